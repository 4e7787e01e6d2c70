// The build without CUDA kernels.
#include "kernels/window_attention/form.hpp"
#include "regatta/base/error.hpp"

namespace regatta::kernels::attention {
namespace {

[[noreturn]] void refuse() {
  throw NotBuilt(str("CUDA kernels are not built: ", build_text()));
}

}  // namespace

void launch_forward(int, const Call&, Stream) {
  refuse();
}

void launch_backward(int, const Call&, Stream) {
  refuse();
}

}  // namespace regatta::kernels::attention
