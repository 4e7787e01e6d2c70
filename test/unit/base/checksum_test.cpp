#include "regatta/base/checksum.hpp"
#include "regatta/base/error.hpp"
#include "support/catch.hpp"

using namespace regatta;

TEST_CASE("xxh3 of pieces is that of the whole") {
  std::string text;
  for (int i = 0; i < 5000; ++i) {
    text += static_cast<char>(i * i % 251);
  }
  for (const std::size_t piece : {1U, 7U, 240U, 1024U, 5000U}) {
    Xxh3 hash;
    for (std::size_t at = 0; at < text.size(); at += piece) {
      hash.add(text.data() + at, std::min(piece, text.size() - at));
    }
    CHECK(hash.value() == xxh3(text.data(), text.size()));
  }
  CHECK(Xxh3().value() == xxh3("", 0));
}

TEST_CASE("xxh3 of the empty input is the published value") {
  CHECK(xxh3_text("") == "2d06800538d394c2");
}

TEST_CASE("a sealed line verifies, and any changed byte breaks it") {
  const std::string line = seal_line(R"({"type":"start","trial":42})");
  REQUIRE(is_sealed(line));
  for (std::size_t i = 0; i < line.size(); ++i) {
    std::string broken = line;
    broken[i] = static_cast<char>(broken[i] ^ 1);
    CHECK_FALSE(is_sealed(broken));
  }
  for (std::size_t length = 0; length < line.size(); ++length) {
    CHECK_FALSE(is_sealed(line.substr(0, length)));
  }
}

TEST_CASE("only objects with members are sealed") {
  CHECK_THROWS_AS(seal_line("{}"), BugError);
  CHECK_THROWS_AS(seal_line("[1]"), BugError);
}
