#include "regatta/nn/batch_part.hpp"

#include "regatta/base/error.hpp"

namespace regatta {
namespace {

thread_local BatchPart current;  ///< no samples: no part is named

}  // namespace

PartOfBatch::PartOfBatch(const BatchPart& part) : before_(current) {
  current = part;
}

PartOfBatch::~PartOfBatch() {
  current = before_;
}

BatchPart part_of_batch(std::int64_t own) {
  if (current.samples == 0) {
    return {0, own};
  }
  REGATTA_REQUIRE(current.first + own <= current.samples, BugError, own, " samples from place ", current.first,
                  " of a batch of ", current.samples);
  return current;
}

}  // namespace regatta
