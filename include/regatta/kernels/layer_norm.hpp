// LayerNorm of tokens, with the residual branch that is added before it: what lies between two products of a
// transformer, in one pass each way.
//
//   sum = stream + factor (branch + bias)
//   out = (sum - mean) / sqrt(variance + 1e-5) weight + shift
// with mean and biased variance of each row. The residual stream and its gradient are float32, branches are bf16 as
// products leave them (their bias is added here, in float32), the result is bf16 as the next product takes it or
// float32. Sums and statistics are float32, the variance that of differences from the mean. A row is a token, or the
// eight tokens of 2x2x2 places side by side (patch merging), which are read and given back where they lie.
//
// Every function returns after queuing, allocates nothing, reads nothing on the host and may be captured in a graph.
// Deterministic: sums in a fixed order, which depends on the chip's number of multiprocessors.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "regatta/kernels/bf16.hpp"
#include "regatta/kernels/device.hpp"
#include "regatta/kernels/volume_size.hpp"

namespace regatta::kernels {

inline constexpr double kLayerNormEpsilon = 1e-5;

struct LayerNormShape {
  VolumeSize size;     ///< the grid of tokens [N, D, H, W, C] that is read
  int channels = 0;    ///< C
  bool merge = false;  ///< a row is 2x2x2 tokens, [N, D/2, H/2, W/2, 8 C] in Swin's order; no branch then

  std::int64_t rows() const { return merge ? size.all() / 8 : size.all(); }
  int row_channels() const { return merge ? 8 * channels : channels; }
  std::int64_t values() const { return size.all() * channels; }
};

/// Whether there are kernels for both passes: channels in multiples of 8, up to 8192 in a row; even sizes for `merge`.
bool has_form(const LayerNormShape& shape, const Capability& chip);

struct LayerNormForward {
  const float* stream = nullptr;   ///< [rows, C]; nullptr: none
  const Bf16* branch = nullptr;    ///< [rows, C]; nullptr: none
  const float* bias = nullptr;     ///< [C], of the branch; nullptr: none
  const float* factors = nullptr;  ///< [N], of the branch of each sample; nullptr: 1
  const float* weight = nullptr;   ///< [row's channels]
  const float* shift = nullptr;    ///< likewise
  float* sum = nullptr;            ///< [rows, C], with a branch only; may be `stream`; nullptr: not wanted
  Bf16* out = nullptr;             ///< [rows, row's channels]; nullptr: `wide_out` is wanted
  float* wide_out = nullptr;
  float* mean = nullptr;               ///< [rows], for the backward pass; nullptr, as the next: not wanted
  float* inverse_deviation = nullptr;  ///< [rows]
};

/// One launch. Arrays are aligned to 16 bytes.
/// @throws BugError without a form, with a missing or unaligned pointer; DeviceError if the launch fails
void layer_norm_forward(const LayerNormShape& shape, const LayerNormForward& arrays, const Capability& chip,
                        Stream stream);

/// Bytes of the backward pass's scratch, to be aligned to 16. @throws BugError without a form
std::size_t layer_norm_scratch_bytes(const LayerNormShape& shape, const Capability& chip);

struct LayerNormBackward {
  const float* sum = nullptr;  ///< what was normalised: the forward pass's `sum`, or its `stream` without a branch
  const float* mean = nullptr;
  const float* inverse_deviation = nullptr;
  const float* weight = nullptr;
  const float* factors = nullptr;
  const Bf16* out_gradient = nullptr;  ///< nullptr: `wide_out_gradient` is given
  const float* wide_out_gradient = nullptr;
  const float* sum_gradient = nullptr;  ///< what else reads `sum` gives back; nullptr: nothing does
  float* to_sum = nullptr;              ///< [rows, C]: the stream's gradient; overwritten; may be `sum_gradient`
  Bf16* to_branch = nullptr;            ///< [rows, C], the factor in it; nullptr: not wanted
  float* to_weight = nullptr;           ///< written, not added to
  float* to_shift = nullptr;            ///< likewise
  float* to_bias = nullptr;             ///< likewise; nullptr: not wanted
  void* scratch = nullptr;
};

/// Two or three launches. Errors as layer_norm_forward.
void layer_norm_backward(const LayerNormShape& shape, const LayerNormBackward& arrays, const Capability& chip,
                         Stream stream);

// The same in float64 on the CPU. An empty vector stands for what is missing.

struct LayerNormInputs {
  std::vector<double> stream, branch, bias, factors, weight, shift;
};

struct LayerNormResult {
  std::vector<double> sum, out;
};

LayerNormResult layer_norm_reference(const LayerNormShape& shape, const LayerNormInputs& inputs);

struct LayerNormGradients {
  std::vector<double> to_sum, to_branch, to_weight, to_shift, to_bias;
};

LayerNormGradients layer_norm_gradient_reference(const LayerNormShape& shape, const LayerNormInputs& inputs,
                                                 const std::vector<double>& out_gradient,
                                                 const std::vector<double>& sum_gradient);

/// Where value `channel` of row `row` lies among the tokens.
std::int64_t layer_norm_place(const LayerNormShape& shape, std::int64_t row, int channel);

}  // namespace regatta::kernels
