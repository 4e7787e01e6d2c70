// The build without CUDA kernels.
#include "kernels/up_conv/form.hpp"
#include "regatta/base/error.hpp"

namespace regatta::kernels::up_conv {
namespace {

[[noreturn]] void refuse() {
  throw NotBuilt(str("CUDA kernels are not built: ", build_text()));
}

}  // namespace

void launch_pack(const PackBatch&, int, Stream) {
  refuse();
}

void launch_forward(int, const Call&, int, Stream) {
  refuse();
}

void launch_input_gradient(int, const Call&, int, Stream) {
  refuse();
}

void launch_weight_gradient(int, const WeightCall&, Stream) {
  refuse();
}

}  // namespace regatta::kernels::up_conv
