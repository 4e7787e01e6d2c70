// Intensities as integers, so that sums over windows are exact: no drift, no cancellation, the same for any tiling.
#pragma once

#include <cstdint>

#include "regatta/kernels/device.hpp"

namespace regatta::kernels {

/// 1.0; below 2^21, and a multiple of 255, so that bytes are exact.
inline constexpr std::uint32_t kFixedPointOne = 255U * 8192U;

/// Stands for a number outside [0, 1] or NaN. Losses of images that hold it are NaN.
inline constexpr std::uint32_t kFixedPointInvalid = 0xffffffffU;

/// To the nearest, ties to even; kFixedPointInvalid if the rounded number is outside [0, 1].
std::uint32_t to_fixed_point(double value);

/// The same for `count` numbers on the device.
/// @throws BugError on a missing array or a negative count; DeviceError if the launch fails. Deterministic.
void to_fixed_point(const float* values, std::uint32_t* out, std::int64_t count, Stream stream);

}  // namespace regatta::kernels
