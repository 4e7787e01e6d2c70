#include "regatta/kernels/device.hpp"

#include <algorithm>

namespace regatta::kernels {

Capability as_sm80(Capability real) {
  constexpr std::size_t kSharedBytes = std::size_t{163} << 10;
  real.major = 8;
  real.minor = 0;
  real.shared_bytes = std::min(real.shared_bytes, kSharedBytes);
  return real;
}

}  // namespace regatta::kernels
