// How far a displacement field carries points of the fixed volume from the same points of the moving one, and the
// derivative with respect to the field.
#pragma once

#include <array>
#include <cstddef>
#include <vector>

#include "regatta/kernels/device.hpp"
#include "regatta/kernels/volume_size.hpp"

namespace regatta::kernels {

inline constexpr int kMostKeypoints = 16384;

/// The error of a point p with the same point q: p + flow(p) - q, flow sampled trilinearly; points outside the grid are
/// moved to its border.
struct KeypointWork {
  const float* flow = nullptr;    ///< [1, 3, d, h, w] float32, voxels, components D, H, W; each size at least 2
  VolumeSize size;                ///< n = 1, below 2^31 voxels
  const float* fixed = nullptr;   ///< [points, 3] float32, voxels, order D H W
  const float* moving = nullptr;  ///< the same
  int points = 0;                 ///< 1 .. kMostKeypoints
  const double* count = nullptr;  ///< on the device, how many points are real, those before the others; nullptr: all
  bool squared = false;  ///< mean squared component, in units of half the size along its axis, else mean length
                         ///< in mm
  std::array<double, 9> axes_mm = {1, 0, 0, 0, 1,
                                   0, 0, 0, 1};  ///< 3x3 by rows: mm along columns of voxels. For lengths
  const double* axes_on_device = nullptr;        ///< taken instead of `axes_mm` where not nullptr
};

/// Bytes of `scratch`, aligned to 8. What it holds before does not matter.
std::size_t keypoint_scratch_bytes(int points);

/// @param slopes  [points, 3] float32, what the derivative needs; overwritten
/// @param loss    one float on the device; 0 if no point is real
/// @throws BugError on wrong arguments; DeviceError if a launch fails
/// Two launches. Deterministic.
void keypoint_forward(const KeypointWork& work, float* slopes, float* loss, void* scratch, Stream stream);

/// The derivative of the loss with respect to the field; the time grows with the square of the number of points.
/// @param slopes    of the forward pass
/// @param upstream  derivative with respect to the loss, one float on the device; nullptr: 1
/// @param to_flow   [1, 3, d, h, w] float32, overwritten
/// A clearing and one launch, no scratch. Deterministic: what several points add to a voxel is summed in their order by
/// each of them, and each writes the same number.
void keypoint_backward(const KeypointWork& work, const float* slopes, const float* upstream, float* to_flow,
                       Stream stream);

/// The same in float64 on the CPU; `work` points to memory of the CPU.
/// @param to_flow  resized and written; nullptr: loss only
double keypoint_reference(const KeypointWork& work, std::vector<double>* to_flow);

}  // namespace regatta::kernels
