#include "regatta/kernels/fixed_point.hpp"

#include <cmath>

namespace regatta::kernels {

std::uint32_t to_fixed_point(double value) {
  const double scaled = std::nearbyint(value * kFixedPointOne);
  const bool inside = scaled >= 0.0 && scaled <= kFixedPointOne;  // NaN: false
  return inside ? static_cast<std::uint32_t>(scaled) : kFixedPointInvalid;
}

}  // namespace regatta::kernels
