// Passes over a part of a batch whose other samples other processes have: random numbers are drawn for the places of
// the samples in the whole batch, so that it does not matter how it is spread.
#pragma once

#include <cstdint>

namespace regatta {

/// Samples first .. first + own - 1 of a larger batch.
struct BatchPart {
  std::int64_t first = 0;
  std::int64_t samples = 0;  ///< of the whole batch
};

/// While it lives, passes of its thread are over such a part.
class PartOfBatch {
 public:
  explicit PartOfBatch(const BatchPart& part);
  ~PartOfBatch();
  PartOfBatch(const PartOfBatch&) = delete;
  PartOfBatch& operator=(const PartOfBatch&) = delete;

 private:
  BatchPart before_;
};

/// Where the samples of this thread's pass stand. @param own  how many it has: the whole batch where no part was named
BatchPart part_of_batch(std::int64_t own);

}  // namespace regatta
