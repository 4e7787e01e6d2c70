// Order and mirroring of pairs over the counter-based generator.
#include "regatta/train/pair_order.hpp"

#include <algorithm>

#include "regatta/base/error.hpp"
#include "regatta/base/random.hpp"

namespace regatta {

PairOrder::PairOrder(std::int64_t seed, std::int64_t pairs, int batch)
    : seed_(static_cast<std::uint64_t>(seed)), pairs_(pairs), batch_(batch) {
  REGATTA_REQUIRE(pairs > 0 && pairs <= 0xffffffff && batch > 0, BugError, "order of ", pairs, " pairs in batches of ",
                  batch);
  steps_per_epoch_ = (pairs_ + batch_ - 1) / batch_;
}

std::vector<std::int64_t> PairOrder::batch_of(std::int64_t step) const {
  const std::int64_t epoch = epoch_of(step);
  if (epoch != cached_epoch_) {
    cached_order_ = CounterRng(seed_, RandomPurpose::kPairOrder)
                        .permutation(static_cast<std::uint32_t>(pairs_), static_cast<std::uint64_t>(epoch));
    cached_epoch_ = epoch;
  }
  const std::int64_t begin = (step % steps_per_epoch_) * batch_;
  const std::int64_t end = std::min(begin + batch_, pairs_);
  return {cached_order_.begin() + begin, cached_order_.begin() + end};
}

Flips PairOrder::flips_of(std::int64_t step, int slot) const {
  const std::uint64_t bits = CounterRng(seed_, RandomPurpose::kAugment)
                                 .bits(static_cast<std::uint64_t>(step), static_cast<std::uint32_t>(slot));
  return {(bits & 1U) != 0, (bits & 2U) != 0, (bits & 4U) != 0};
}

}  // namespace regatta
