// The build without CUDA kernels.
#include "kernels/conv/launch.hpp"
#include "regatta/base/error.hpp"

namespace regatta::kernels::conv {
namespace {

[[noreturn]] void refuse() {
  throw NotBuilt(str("CUDA kernels are not built: ", build_text()));
}

}  // namespace

void launch_form(Family, int, const ExtendedCall&, int, Stream) {
  refuse();
}

void launch_form(Family, int, const WeightCall&, int, Stream) {
  refuse();
}

void launch_pack(const PackBatch&, int, Stream) {
  refuse();
}

void launch_reduce(const ReduceCall&, Stream) {
  refuse();
}

void launch_sum(const float*, int, float*, Stream) {
  refuse();
}

void launch_child_sums(const void*, void*, const VolumeSize&, int, Stream) {
  refuse();
}

}  // namespace regatta::kernels::conv
