// Order and mirroring of training pairs.
#include <algorithm>
#include <array>
#include <set>

#include "regatta/train/pair_order.hpp"
#include "support/catch.hpp"

namespace regatta {
namespace {

TEST_CASE("each epoch takes every pair once and in another order") {
  const PairOrder order(5, 37, 4);
  REQUIRE(order.steps_per_epoch() == 10);
  std::vector<std::vector<std::int64_t>> epochs;
  for (std::int64_t epoch = 0; epoch < 3; ++epoch) {
    std::vector<std::int64_t> seen;
    for (std::int64_t step = epoch * 10; step < (epoch + 1) * 10; ++step) {
      CHECK(order.epoch_of(step) == epoch);
      const auto batch = order.batch_of(step);
      CHECK(batch.size() == (step % 10 == 9 ? 1U : 4U));
      seen.insert(seen.end(), batch.begin(), batch.end());
    }
    CHECK(std::set<std::int64_t>(seen.begin(), seen.end()).size() == 37);
    CHECK(*std::max_element(seen.begin(), seen.end()) == 36);
    epochs.push_back(seen);
  }
  CHECK(epochs[0] != epochs[1]);
  CHECK(epochs[1] != epochs[2]);
}

TEST_CASE("shorter epochs continue through the shuffle, so that every pair comes once before any comes again") {
  const PairOrder order(5, 10, 2, 3);  // an epoch: a batch of 2 and one of 1
  const PairOrder whole(5, 10, 1);
  REQUIRE(order.steps_per_epoch() == 2);
  std::vector<std::int64_t> seen;
  for (std::int64_t step = 0; step < 14; ++step) {
    CHECK(order.epoch_of(step) == step / 2);
    const auto batch = order.batch_of(step);
    CHECK(batch.size() == (step % 2 == 0 ? 2U : 1U));
    seen.insert(seen.end(), batch.begin(), batch.end());
  }
  REQUIRE(seen.size() == 21);
  for (std::size_t place = 0; place < seen.size(); ++place) {
    CHECK(seen[place] == whole.batch_of(static_cast<std::int64_t>(place)).front());
  }
}

TEST_CASE("listed pairs come in the order of the list, whatever the seed, the batch and the epoch's length") {
  const auto sequence_of = [](const PairOrder& order, std::int64_t steps) {
    std::vector<std::int64_t> seen;
    for (std::int64_t step = 0; step < steps; ++step) {
      const auto batch = order.batch_of(step);
      seen.insert(seen.end(), batch.begin(), batch.end());
    }
    return seen;
  };
  CHECK(sequence_of(PairOrder(5, 3, 1, 0, PairSequence::kListed), 7) == std::vector<std::int64_t>{0, 1, 2, 0, 1, 2, 0});
  CHECK(sequence_of(PairOrder(9, 5, 2, 0, PairSequence::kListed), 4) ==
        std::vector<std::int64_t>{0, 1, 2, 3, 4, 0, 1});  // the third step takes what is left of the epoch
  CHECK(sequence_of(PairOrder(5, 5, 2, 3, PairSequence::kListed), 4) == std::vector<std::int64_t>{0, 1, 2, 3, 4, 0});
  CHECK(sequence_of(PairOrder(5, 3, 2, 4, PairSequence::kListed), 4) ==
        std::vector<std::int64_t>{0, 1, 2, 0, 1, 2, 0, 1});
}

TEST_CASE("an epoch may be longer than the pairs are many") {
  const PairOrder order(5, 3, 2, 7);
  CHECK(order.steps_per_epoch() == 4);
  std::array<int, 3> count{};
  for (std::int64_t step = 0; step < 12; ++step) {
    for (const std::int64_t pair : order.batch_of(step)) {
      ++count.at(static_cast<std::size_t>(pair));
    }
  }
  CHECK(count == std::array<int, 3>{7, 7, 7});
}

TEST_CASE("a step's pairs do not depend on the steps that were asked for before it") {
  const PairOrder whole(11, 20, 3);
  for (std::int64_t step = 0; step < 30; ++step) {
    whole.batch_of(step);
  }
  const PairOrder resumed(11, 20, 3);
  CHECK(resumed.batch_of(25) == whole.batch_of(25));
  CHECK(resumed.batch_of(2) == whole.batch_of(2));
  CHECK(resumed.flips_of(25, 1) == whole.flips_of(25, 1));
}

TEST_CASE("another seed gives another order and other flips") {
  const PairOrder a(1, 200, 1);
  const PairOrder b(2, 200, 1);
  int same_pair = 0;
  int same_flips = 0;
  for (std::int64_t step = 0; step < 200; ++step) {
    same_pair += a.batch_of(step) == b.batch_of(step) ? 1 : 0;
    same_flips += a.flips_of(step, 0) == b.flips_of(step, 0) ? 1 : 0;
  }
  CHECK(same_pair < 20);
  CHECK(same_flips < 60);
}

TEST_CASE("each axis is mirrored half of the time, independently of the others") {
  const PairOrder order(3, 10, 2);
  std::array<int, 8> count{};
  constexpr int kSteps = 8000;
  for (std::int64_t step = 0; step < kSteps; ++step) {
    const Flips flips = order.flips_of(step, static_cast<int>(step % 2));
    ++count[static_cast<std::size_t>((flips[0] ? 4 : 0) + (flips[1] ? 2 : 0) + (flips[2] ? 1 : 0))];
  }
  for (const int n : count) {
    CHECK(n > kSteps / 8 - 150);
    CHECK(n < kSteps / 8 + 150);
  }
}

}  // namespace
}  // namespace regatta
