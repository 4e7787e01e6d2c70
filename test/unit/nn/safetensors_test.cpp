// Broken safetensors files, made by hand and by mutation: each is refused with one line, none is believed.
#include <cstring>
#include <fstream>

#include <ATen/ops/ones.h>

#include "nn/weights/safetensors_header.hpp"
#include "regatta/base/error.hpp"
#include "regatta/base/files.hpp"
#include "regatta/base/random.hpp"
#include "regatta/nn/weights.hpp"
#include "support/catch.hpp"
#include "support/temporary_folder.hpp"

namespace regatta::test {
namespace {

/// A file with a given header text and 32 bytes of data, as another program might write it.
std::string file_text(const std::string& header, char fill = '\0') {
  std::string length(8, '\0');
  const std::uint64_t bytes = header.size();
  std::memcpy(length.data(), &bytes, 8);
  return length + header + std::string(32, fill);
}

/// The message of the refusal; "accepted" where there is none. Anything but a DataError passes through.
std::string said(const std::string& text) {
  static const TemporaryFolder folder;
  std::ofstream(folder / "w", std::ios::binary) << text;  // thousands of files: without fsync
  try {
    read_safetensors(folder / "w");
  } catch (const DataError& error) {
    return error.what();
  }
  return "accepted";
}

std::string tensor(const std::string& name, const std::string& type, const std::string& shape,
                   const std::string& offsets) {
  return str('"', name, R"(":{"dtype":")", type, R"(","shape":)", shape, R"(,"data_offsets":)", offsets, '}');
}

std::string one(const std::string& type, const std::string& shape, const std::string& offsets) {
  return file_text(str('{', tensor("a", type, shape, offsets), '}'));
}

}  // namespace

TEST_CASE("offsets that overlap, leave a gap or end outside the file are refused by the tensor's name") {
  const auto two = [](const std::string& first, const std::string& second) {
    return said(file_text(str('{', tensor("a", "U8", "[16]", first), ',', tensor("b", "U8", "[16]", second), '}')));
  };
  CHECK(two("[0,16]", "[16,32]") == "accepted");
  CHECK(two("[16,32]", "[0,16]") == "accepted");  // the order of names is free
  CHECK_THAT(two("[0,16]", "[0,16]"), Catch::Contains("'b' starts at byte 0, the one before it ends at 16"));
  CHECK_THAT(two("[0,16]", "[8,24]"), Catch::Contains("'b' starts at byte 8, the one before it ends at 16"));
  CHECK_THAT(two("[1,17]", "[17,32]"), Catch::Contains("'b': U8 [16] has 16 bytes, the offsets say 15"));
  CHECK_THAT(two("[0,16]", "[17,33]"), Catch::Contains("'b': bytes 17..33 are outside the 32 bytes of data"));
  CHECK_THAT(two("[0,16]", "[18446744073709551600,18446744073709551615]"), Catch::Contains("outside the 32 bytes"));
  CHECK_THAT(two("[0,16]", "[16,18446744073709551616]"), Catch::Contains("expected a whole number"));
}

TEST_CASE("keys that stand twice are refused, at every level of the header") {
  const std::string a = tensor("a", "U8", "[32]", "[0,32]");
  CHECK_THAT(said(file_text(str('{', a, ',', a, '}'))), Catch::Contains("key 'a' stands twice"));
  CHECK_THAT(said(file_text(R"({"__metadata__":{"k":"1","k":"2"},)" + a + "}")),
             Catch::Contains("key 'k' stands twice"));
  CHECK_THAT(said(file_text(R"({"a":{"dtype":"U8","dtype":"I8","shape":[32],"data_offsets":[0,32]}})")),
             Catch::Contains("key 'dtype' stands twice"));
}

TEST_CASE("a header above the cap or beyond the file is refused before it is read") {
  const auto with_length = [](std::uint64_t length) {
    std::string text(8, '\0');
    std::memcpy(text.data(), &length, 8);
    return said(text + "{}");
  };
  CHECK(with_length(2) == "accepted");
  CHECK_THAT(with_length(100'000'001), Catch::Contains("header of 100000001 bytes, at most 100000000 allowed"));
  CHECK_THAT(with_length(~std::uint64_t{0}), Catch::Contains("at most 100000000 allowed"));
  CHECK_THAT(with_length(3), Catch::Contains("header of 3 bytes, the file has 10"));
}

TEST_CASE("names that are not UTF-8 are refused, read and written") {
  const std::string bad = "a\xff";
  CHECK_THAT(said(file_text(str('{', tensor(bad, "U8", "[32]", "[0,32]"), '}'))), Catch::Contains("not JSON"));
  CHECK_THAT(said(file_text(str('{', tensor("a\\ud800", "U8", "[32]", "[0,32]"), '}'))), Catch::Contains("not JSON"));
  CHECK(said(file_text(str('{', tensor("\xc3\xa4", "U8", "[32]", "[0,32]"), '}'))) == "accepted");
  const TemporaryFolder folder;
  CHECK_THROWS_WITH(write_safetensors(folder / "w", {{bad, at::ones({1})}}, {}), Catch::Contains("not UTF-8"));
  CHECK_THROWS_WITH(write_safetensors(folder / "w", {{"__metadata__", at::ones({1})}}, {}),
                    Catch::Contains("cannot be named"));
  CHECK_FALSE(std::filesystem::exists(folder / "w"));
}

TEST_CASE("shapes whose bytes or strides overflow are refused, empty tensors included") {
  CHECK_THAT(said(one("F32", "[4294967296,4294967296]", "[0,32]")), Catch::Contains("needs more bytes"));
  CHECK_THAT(said(one("F64", "[281474976710657]", "[0,32]")), Catch::Contains("size 281474976710657 is too large"));
  CHECK_THAT(said(one("F32", "[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,8]", "[0,32]")), Catch::Contains("at most 16 sizes"));
  const auto empty = [](const std::string& shape) {
    return said(
        file_text(str('{', tensor("a", "U8", "[32]", "[0,32]"), ',', tensor("b", "F32", shape, "[32,32]"), '}')));
  };
  CHECK(empty("[0,7]") == "accepted");
  CHECK_THAT(empty("[0,281474976710656,281474976710656]"), Catch::Contains("'b': shape [0, 281474976710656,"));
  CHECK_THAT(said(one("F32", "[1e400]", "[0,32]")), Catch::Contains("a number is too large"));
}

TEST_CASE("truth values are 0 or 1") {
  const std::string header = str('{', tensor("a", "BOOL", "[32]", "[0,32]"), '}');
  CHECK(said(file_text(header, '\1')) == "accepted");
  CHECK_THAT(said(file_text(header, '\2')), Catch::Contains("'a' is BOOL and has a byte that is neither 0 nor 1"));
}

TEST_CASE("20000 mutations of a file give success or one line, never anything else") {
  const std::string whole =
      file_text(str(R"({"__metadata__":{"k":"v"},)", tensor("a.weight", "F32", "[2,2]", "[0,16]"), ',',
                    tensor("b", "I16", "[4]", "[16,24]"), ',', tensor("c", "BOOL", "[0,3]", "[24,24]"), ',',
                    tensor("d", "F64", "[]", "[24,32]"), "}  "));
  REQUIRE(said(whole) == "accepted");
  const std::vector<std::string> words = {"[0,8]", "-1", "1e400", "281474976710656", "\"BOOL\"", "{", "}", "\"", ",,"};
  const CounterRng rng(11, RandomPurpose::kSynthetic);
  int accepted = 0;
  int faults = 0;
  for (std::uint64_t round = 0; round < 20000; ++round) {
    std::string text = whole;
    const std::uint64_t changes = 1 + rng.below(3, round, 0);
    for (std::uint32_t change = 0; change < changes; ++change) {
      const auto draw = [&](std::uint64_t n, std::uint32_t what) {
        return static_cast<std::size_t>(rng.below(n, round, 1 + 4 * change + what));
      };
      const std::size_t at = draw(text.size(), 0);
      switch (draw(5, 1)) {
        case 0: text[at] = static_cast<char>(draw(256, 2)); break;
        case 1: text[at] = static_cast<char>(text[at] ^ (1 << draw(8, 2))); break;
        case 2: text.erase(at, 1 + draw(8, 2)); break;
        case 3: text.insert(at, words[draw(words.size(), 2)]); break;
        default: text.insert(at, text.substr(draw(text.size(), 2), 1 + draw(24, 3))); break;
      }
      text += text.empty() ? "x" : "";
    }
    const std::string message = said(text);
    accepted += message == "accepted" ? 1 : 0;
    faults += message.find('\n') == std::string::npos ? 0 : 1;
  }
  CHECK(faults == 0);
  CHECK(accepted > 100);  // flips in the data of a file without checksums
  CHECK(accepted < 10000);
}

}  // namespace regatta::test
