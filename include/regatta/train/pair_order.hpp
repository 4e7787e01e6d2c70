// Which pairs per step trains on and how they are mirrored: pure functions of (seed, step), so that a resumed training
// sees what an uninterrupted one would have seen. No tensors here.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

namespace regatta {

/// Along D, H, W.
using Flips = std::array<bool, 3>;

enum class PairSequence : std::uint8_t {
  kShuffled,  ///< each time all pairs have come, in an order drawn again
  kListed     ///< always as they are listed
};

class PairOrder {
 public:
  /// @param pairs        how many there are, at least 1
  /// @param batch        pairs per step, at least 1; the last step of an epoch takes what is left
  /// @param epoch_pairs  pairs an epoch; 0: all
  PairOrder(std::int64_t seed, std::int64_t pairs, int batch, std::int64_t epoch_pairs = 0,
            PairSequence sequence = PairSequence::kShuffled);

  std::int64_t steps_per_epoch() const { return steps_per_epoch_; }

  /// Epoch of a step, both counted from 0.
  std::int64_t epoch_of(std::int64_t step) const { return step / steps_per_epoch_; }

  /// Indices into the split's pairs: the next of an endless sequence in which all pairs come, shuffled or as listed,
  /// and then all come again. With all pairs an epoch, every pair comes once in each.
  std::vector<std::int64_t> batch_of(std::int64_t step) const;

  /// Mirroring of one pair of the batch: each axis with probability 1/2.
  Flips flips_of(std::int64_t step, int slot) const;

 private:
  std::uint64_t seed_;
  std::int64_t pairs_;
  std::int64_t batch_;
  std::int64_t epoch_pairs_;
  PairSequence sequence_;
  std::int64_t steps_per_epoch_;
  mutable std::int64_t cached_shuffle_ = -1;
  mutable std::vector<std::uint32_t> cached_order_;
};

}  // namespace regatta
