// Features sampled at p + flow(p), trilinear, with the derivatives of both.
//
// Features are bf16 [N, D, H, W, C], aligned to 16 bytes, the flow is float32 [N, 3, D, H, W], voxels, components D, H,
// W. Points beyond the centres of the outer voxels read the border. `padded`: the result has one voxel more on each
// side, equal to its neighbour inside, as a convolution reads it whose border is replicated.
//
// The adjoint of sampling adds at eight voxels for each voxel, in an order that differs from run to run. So sums are of
// integers, two channels in one 64-bit number: the unit follows the largest derivative and the largest sum of weights
// that any voxel gets, which is found first. No sum can leave its 32 bits, and where fields are smooth the unit is
// about 2^-29 of the largest derivative. Every function returns after queuing, allocates nothing, reads nothing on the
// host and may be captured in a graph. Deterministic: no float atomics.
#pragma once

#include <cstddef>
#include <vector>

#include "regatta/kernels/bf16.hpp"
#include "regatta/kernels/device.hpp"
#include "regatta/kernels/volume_size.hpp"

namespace regatta::kernels {

struct FeatureWarpShape {
  VolumeSize size;  ///< of features and flow, each axis at least 2
  int channels = 0;
  bool padded = false;

  VolumeSize output_size() const {
    const int more = padded ? 2 : 0;
    return {size.n, size.d + more, size.h + more, size.w + more};
  }
};

/// Whether there are kernels for both passes: channels in multiples of 8 up to 1024, a volume below 2^31 voxels.
bool has_form(const FeatureWarpShape& shape, const Capability& chip);

struct FeatureWarpForward {
  const Bf16* features = nullptr;
  const float* flow = nullptr;
  Bf16* out = nullptr;  ///< of output_size
};

/// One launch. A displacement that is not finite makes its voxel NaN. @throws BugError without a form, with a missing
/// or unaligned pointer; DeviceError if a launch fails
void feature_warp_forward(const FeatureWarpShape& shape, const FeatureWarpForward& arrays, const Capability& chip,
                          Stream stream);

/// 4 bytes an element of the features, 4 a voxel. Nothing in it is kept.
std::size_t feature_warp_scratch_bytes(const FeatureWarpShape& shape);

struct FeatureWarpBackward {
  const Bf16* features = nullptr;
  const float* flow = nullptr;
  const Bf16* output_gradient = nullptr;  ///< of output_size
  Bf16* to_features = nullptr;            ///< every element is written
  float* to_flow = nullptr;               ///< likewise; 0 in a component whose point is held at the border
  void* scratch = nullptr;                ///< feature_warp_scratch_bytes, aligned to 16
};

/// Four launches and a memset. A derivative or displacement that is not finite makes all of to_features NaN. Errors as
/// feature_warp_forward.
void feature_warp_backward(const FeatureWarpShape& shape, const FeatureWarpBackward& arrays, const Capability& chip,
                           Stream stream);

// The same on the CPU, float64 inside, host pointers.

std::vector<double> feature_warp_reference(const FeatureWarpShape& shape, const Bf16* features, const float* flow);

struct FeatureWarpGradients {
  std::vector<double> to_features;
  std::vector<double> to_flow;
};

FeatureWarpGradients feature_warp_gradient_reference(const FeatureWarpShape& shape, const Bf16* features,
                                                     const float* flow, const Bf16* output_gradient);

}  // namespace regatta::kernels
