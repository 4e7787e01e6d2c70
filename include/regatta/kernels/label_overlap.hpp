// Voxels per label of two label maps under a displacement, from which Dice follows.
#pragma once

#include <cstdint>
#include <vector>

#include "regatta/kernels/device.hpp"
#include "regatta/kernels/volume_size.hpp"

namespace regatta::kernels {

/// Rows of the counts, each of kLabelValues.
enum class LabelRow { kFixed, kWarped, kBoth, kMoving };

/// Which label a point between voxels has; 0 where the displacement is NaN.
enum class LabelWarp {
  /// That of the nearest voxel, halves upwards; 0 beyond the centres of the outer voxels: nn's `warp_labels`, to the
  /// last
  /// voxel.
  kNearest,
  /// That with the largest sum of trilinear weights, of equal ones the lowest; voxels outside weigh nothing, and 0
  /// where
  /// all are outside. Weights are float32 of the displacement's fraction, as the reference's to the last bit.
  kLargestWeight
};

inline constexpr int kLabelValues = 256;
inline constexpr int kLabelRows = 4;

/// Voxels per label: in the fixed map, in the warped one, where both agree, and in the moving map; of the whole batch.
/// @param fixed, moving  uint8 [n, 1, d, h, w] on the device
/// @param flow    [n, 3, d, h, w] float32, voxels: the label is read at p + flow(p)
/// @param counts  [kLabelRows, kLabelValues] int64 on the device, overwritten
/// @throws BugError on wrong arguments; DeviceError if a launch fails
/// A clearing and one launch. Integer atomics: deterministic. Maps of int16 have no form.
void label_counts(const std::uint8_t* fixed, const std::uint8_t* moving, const float* flow, const VolumeSize& size,
                  LabelWarp warp, std::int64_t* counts, Stream stream);

/// The same on the CPU.
std::vector<std::int64_t> label_counts_reference(const std::vector<std::uint8_t>& fixed,
                                                 const std::vector<std::uint8_t>& moving,
                                                 const std::vector<float>& flow, const VolumeSize& size,
                                                 LabelWarp warp);

}  // namespace regatta::kernels
