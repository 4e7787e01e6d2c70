// Letters and gathering between real ranks. Every rank runs every test, in the same order.
#include <chrono>
#include <thread>

#include "mpi/world.hpp"
#include "support/catch.hpp"

namespace regatta::test {
namespace {

/// Polls as an event loop does, until this number of letters has come (or 20 s).
std::vector<Letter> wait_for_letters(std::size_t count) {
  std::vector<Letter> all;
  for (int i = 0; i < 10000 && all.size() < count; ++i) {
    for (Letter& letter : world().receive()) {
      all.push_back(std::move(letter));
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  return all;
}

/// Nobody continues to the next test before everybody is done with this one.
void meet() {
  world().gather("");
}

TEST_CASE("everybody's text is gathered by rank, whatever its length") {
  const std::string own(static_cast<std::size_t>(world().rank()) * 1000, 'x');
  const auto all = world().gather(own);
  REQUIRE(all.size() == static_cast<std::size_t>(world().size()));
  for (std::size_t rank = 0; rank < all.size(); ++rank) {
    CHECK(all[rank] == std::string(rank * 1000, 'x'));
  }
}

TEST_CASE("letters of each rank arrive at rank 0 whole and in their order, long ones among short ones") {
  constexpr int kLetters = 50;
  for (int i = 0; i < kLetters; ++i) {
    const std::size_t length = i % 10 == 3 ? std::size_t{1} << 19 : 10;
    world().send(0, make_letter("count", {{"i", i}, {"text", std::string(length, 'y')}}));
  }
  if (world().rank() == 0) {
    const auto letters = wait_for_letters(static_cast<std::size_t>(kLetters * world().size()));
    REQUIRE(letters.size() == static_cast<std::size_t>(kLetters * world().size()));
    std::vector<int> next(static_cast<std::size_t>(world().size()), 0);
    for (const Letter& letter : letters) {
      int& expected = next[static_cast<std::size_t>(letter.from)];
      CHECK(letter.body.at("i") == expected);
      CHECK(letter.body.at("text").get_ref<const std::string&>().size() ==
            (expected % 10 == 3 ? std::size_t{1} << 19 : 10U));
      ++expected;
    }
    for (int rank = 1; rank < world().size(); ++rank) {
      world().send(rank, make_letter("thanks"));
    }
  } else {
    CHECK(wait_for_letters(1).size() == 1);
  }
  meet();
}

TEST_CASE("rank 0 answers every rank, itself included") {
  world().send(0, make_letter("ask"));
  if (world().rank() == 0) {
    std::size_t own = 0;
    for (const Letter& letter : wait_for_letters(static_cast<std::size_t>(world().size()))) {
      CHECK(letter.body.at("type") == "ask");
      own += letter.from == 0 ? 1 : 0;
      world().send(letter.from, make_letter("answer", {{"to", letter.from}}));
    }
    CHECK(own == 1);
  }
  const auto answers = wait_for_letters(1);
  REQUIRE(answers.size() == 1);
  CHECK(answers[0].from == 0);
  CHECK(answers[0].body.at("to") == world().rank());
  meet();
}

}  // namespace
}  // namespace regatta::test
