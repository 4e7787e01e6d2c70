// What validation wants to know of a field's Jacobian determinants, in one reading of the field.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "regatta/kernels/device.hpp"
#include "regatta/kernels/volume_size.hpp"

namespace regatta::kernels {

/// The sums, in the order in which they lie in memory. All are float64; those that count voxels are exact.
enum class JacobianSum {
  kFolds,           ///< voxels of the whole grid whose determinant is not above 0; NaN is not
  kVoxels,          ///< that count in the sums below: beyond the margin, within the mask
  kLog,             ///< of log(determinant)
  kLogSquares,      ///< of its square
  kShifted,         ///< of log(determinant + shift) - log(1 + shift), 0 where nothing moves
  kShiftedSquares,  ///< of its square
};

inline constexpr int kJacobianSums = 6;

/// How logarithms are taken: of determinants held between least and most, NaN stays.
struct JacobianLog {
  std::int64_t margin = 2;  ///< voxels left out at each side
  double least = 1e-9;
  double most = 1e9;
  double shift = 3.0;
};

/// Bytes of `scratch`, aligned to 8. What it holds before does not matter.
std::size_t jacobian_scratch_bytes(const VolumeSize& size);

/// Of det(I + du/dp) per voxel, central differences inside, one-sided at the borders: nn's `jacobian_determinant` in
/// float32, to the last bit. Logarithms and sums are float64.
/// @param flow  [n, 3, d, h, w] float32 on the device, voxels, components D, H, W; each size at least 2, below 2^31
///              voxels a volume
/// @param mask  [n, 1, d, h, w]: voxels of 0 do not count in the logarithms; nullptr: none
/// @param sums  [kJacobianSums] float64 on the device, overwritten; of the whole batch
/// @throws BugError on wrong arguments; DeviceError if a launch fails
/// Two launches. Deterministic: a fixed order.
void jacobian_sums(const float* flow, const std::uint8_t* mask, const VolumeSize& size, const JacobianLog& log,
                   double* sums, void* scratch, Stream stream);

/// The same on the CPU. @param mask  empty: none
std::array<double, kJacobianSums> jacobian_sums_reference(const std::vector<float>& flow,
                                                          const std::vector<std::uint8_t>& mask, const VolumeSize& size,
                                                          const JacobianLog& log);

}  // namespace regatta::kernels
