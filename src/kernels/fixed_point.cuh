// Fixed point on the device.
#pragma once

#include "regatta/kernels/fixed_point.hpp"

namespace regatta::kernels {

/// @param scaled  value x kFixedPointOne
__device__ __forceinline__ std::uint32_t round_fixed_point(float scaled) {
  const float rounded = rintf(scaled);
  const bool inside = rounded >= 0.0F && rounded <= static_cast<float>(kFixedPointOne);  // NaN: false
  return inside ? static_cast<std::uint32_t>(__float2int_rn(rounded)) : kFixedPointInvalid;
}

}  // namespace regatta::kernels
