// Voxels per label of two label maps under a displacement, from which Dice follows.
#pragma once

#include <cstdint>
#include <vector>

#include "regatta/kernels/device.hpp"
#include "regatta/kernels/volume_size.hpp"

namespace regatta::kernels {

/// Rows of the counts, each of kLabelValues.
enum class LabelRow { kFixed, kWarped, kBoth, kMoving };

inline constexpr int kLabelValues = 256;
inline constexpr int kLabelRows = 4;

/// Voxels per label: in the fixed map, in the warped one, where both agree, and in the moving map; of the whole batch.
/// @param fixed, moving  uint8 [n, 1, d, h, w] on the device
/// @param flow    [n, 3, d, h, w] float32, voxels. The label is read at the voxel nearest to p + flow(p), halves
/// upwards,
///                0 beyond the centres of the outer voxels or where that is NaN: nn's `warp_labels`, to the last voxel
/// @param counts  [kLabelRows, kLabelValues] int64 on the device, overwritten
/// @throws BugError on wrong arguments; DeviceError if a launch fails
/// A clearing and one launch. Integer atomics: deterministic. Maps of int16 have no form.
void label_counts(const std::uint8_t* fixed, const std::uint8_t* moving, const float* flow, const VolumeSize& size,
                  std::int64_t* counts, Stream stream);

/// The same on the CPU.
std::vector<std::int64_t> label_counts_reference(const std::vector<std::uint8_t>& fixed,
                                                 const std::vector<std::uint8_t>& moving,
                                                 const std::vector<float>& flow, const VolumeSize& size);

}  // namespace regatta::kernels
