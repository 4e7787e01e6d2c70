// Means over blocks of 2x2x2 voxels of features, stride 2, as PyTorch's AvgPool3d(2): of odd sizes the last plane, row
// or column is left out.
//
// Features are bf16 [N, D, H, W, C], aligned to 16 bytes; sums are float32. Both functions are one launch without
// scratch, return after queuing, allocate nothing, read nothing on the host and may be captured in a graph.
// Deterministic.
#pragma once

#include <vector>

#include "regatta/kernels/bf16.hpp"
#include "regatta/kernels/device.hpp"
#include "regatta/kernels/volume_size.hpp"

namespace regatta::kernels {

struct MeanPoolShape {
  VolumeSize size;  ///< of the input, each axis at least 2
  int channels = 0;

  VolumeSize output_size() const { return {size.n, size.d / 2, size.h / 2, size.w / 2}; }
};

/// Whether there are kernels for both passes: channels in multiples of 8.
bool has_form(const MeanPoolShape& shape, const Capability& chip);

/// @param in   [N, D, H, W, C]
/// @param out  [N, D / 2, H / 2, W / 2, C]
/// @throws BugError without a form, with a missing or unaligned pointer; DeviceError if the launch fails
void mean_pool_forward(const MeanPoolShape& shape, const Bf16* in, Bf16* out, const Capability& chip, Stream stream);

/// @param output_gradient  [N, D / 2, H / 2, W / 2, C]
/// @param input_gradient   [N, D, H, W, C], every element is written
/// Errors as mean_pool_forward.
void mean_pool_backward(const MeanPoolShape& shape, const Bf16* output_gradient, Bf16* input_gradient,
                        const Capability& chip, Stream stream);

// The same on the CPU, float64, host pointers.

std::vector<double> mean_pool_reference(const MeanPoolShape& shape, const Bf16* in);
std::vector<double> mean_pool_gradient_reference(const MeanPoolShape& shape, const Bf16* output_gradient);

}  // namespace regatta::kernels
