// Order and mirroring of pairs over the counter-based generator.
#include "regatta/train/pair_order.hpp"

#include <algorithm>

#include "regatta/base/error.hpp"
#include "regatta/base/random.hpp"

namespace regatta {

PairOrder::PairOrder(std::int64_t seed, std::int64_t pairs, int batch, std::int64_t epoch_pairs, PairSequence sequence)
    : seed_(static_cast<std::uint64_t>(seed)),
      pairs_(pairs),
      batch_(batch),
      epoch_pairs_(epoch_pairs == 0 ? pairs : epoch_pairs),
      sequence_(sequence) {
  REGATTA_REQUIRE(pairs > 0 && pairs <= 0xffffffff && batch > 0 && epoch_pairs >= 0, BugError, "order of ", pairs,
                  " pairs in batches of ", batch, ", ", epoch_pairs, " an epoch");
  steps_per_epoch_ = (epoch_pairs_ + batch_ - 1) / batch_;
}

std::vector<std::int64_t> PairOrder::batch_of(std::int64_t step) const {
  const std::int64_t epoch_begin = epoch_of(step) * epoch_pairs_;
  const std::int64_t begin = epoch_begin + (step % steps_per_epoch_) * batch_;
  const std::int64_t end = std::min(begin + batch_, epoch_begin + epoch_pairs_);
  std::vector<std::int64_t> batch;
  for (std::int64_t place = begin; place < end; ++place) {
    if (sequence_ == PairSequence::kListed) {
      batch.push_back(place % pairs_);
      continue;
    }
    const std::int64_t shuffle = place / pairs_;
    if (shuffle != cached_shuffle_) {
      cached_order_ = CounterRng(seed_, RandomPurpose::kPairOrder)
                          .permutation(static_cast<std::uint32_t>(pairs_), static_cast<std::uint64_t>(shuffle));
      cached_shuffle_ = shuffle;
    }
    batch.push_back(cached_order_[static_cast<std::size_t>(place % pairs_)]);
  }
  return batch;
}

Flips PairOrder::flips_of(std::int64_t step, int slot) const {
  const std::uint64_t bits = CounterRng(seed_, RandomPurpose::kAugment)
                                 .bits(static_cast<std::uint64_t>(step), static_cast<std::uint32_t>(slot));
  return {(bits & 1U) != 0, (bits & 2U) != 0, (bits & 4U) != 0};
}

}  // namespace regatta
