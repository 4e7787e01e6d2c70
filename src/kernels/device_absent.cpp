// The build without CUDA kernels.
#include "regatta/base/error.hpp"
#include "regatta/kernels/device.hpp"

namespace regatta::kernels {

bool built() {
  return false;
}

std::string build_text() {
  return REGATTA_KERNELS_WHY;
}

Capability capability(int) {
  throw NotBuilt(str("CUDA kernels are ", build_text()));
}

}  // namespace regatta::kernels
