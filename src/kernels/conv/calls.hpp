// What the kernels are called with: pointers on the device and sizes. No CUDA header.
#pragma once

#include <cstdint>

#include "regatta/kernels/device.hpp"

namespace regatta::kernels::conv {

/// A convolution of stride 1 (march.cuh), a first layer of stride 2 (thin_forward.cuh), the gradient of an up-sampled
/// input (fold.cuh) or of stride 2 (strided_gradient.cuh). Sizes are the output's.
struct ForwardCall {
  const void* wide[2] = {nullptr, nullptr};  // bf16 [N, D, H, W, channels]; wide[0] of half the size if up-sampled
  const void* thin = nullptr;                // bf16 [N, D, H, W, 2 or 4]
  const void* weights = nullptr;             // packed, one group of output channels after the other
  const float* bias = nullptr;               // [out] or null
  const void* activation = nullptr;          // bf16, as `out`; null: no mask
  void* out = nullptr;
  long long N = 0;
  int D = 0;
  int H = 0;
  int W = 0;
  int input_D = 0;  // of forms of stride 2 alone: the source's
  int input_H = 0;
  int input_W = 0;
  float slope = 1.0F;
  int groups = 1;
};

/// What large kernels and PReLUs need besides. A struct of its own: as members of ForwardCall they would cost registers
/// in the kernels that know neither.
struct ExtendedCall : ForwardCall {
  const float* more_bias[2] = {nullptr, nullptr};  // large kernels alone: as `bias`, added to it
  // of forms with PReLU alone
  void* raw = nullptr;              // bf16, as `out`: the values before the activation; or null
  const float* slope_at = nullptr;  // one slope in memory; null: `slope`
  float* slope_partial = nullptr;   // gradients: [groups x blocks], of that slope; or null
};

/// Gradient of the weights that read one input. Sizes are the output gradient's; in the up-sampled form the input's.
struct WeightCall {
  const void* input = nullptr;
  const void* gradient = nullptr;  // of the output, or its child sums
  float* partial = nullptr;        // [group][block][values]
  long long N = 0;
  int D = 0;
  int H = 0;
  int W = 0;
  int input_D = 0;  // of a thin input alone
  int input_H = 0;
  int input_W = 0;
  int channels = 0;  // of `gradient` in memory
  int groups = 1;
  int slices = 1;  // of the input's channels; groups count slices first
  int blocks = 0;  // of a group
  int pitch = 0;   // weight_gradient.cuh alone: channels of `input` in memory
};

}  // namespace regatta::kernels::conv
