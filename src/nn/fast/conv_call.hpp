// One convolution of the fast backend: what it reads, its layer, and the kernels' word for it.
#pragma once

#include <optional>
#include <vector>

#include "nn/fast/conv.hpp"
#include "nn/fast/reading.hpp"
#include "regatta/kernels/conv.hpp"
#include "regatta/nn/chip.hpp"

namespace regatta::fast {

struct ConvCall {
  Reading first;
  Reading second;  ///< without `raw`: none
  ConvLayer layer;
  at::Tensor rounded{};  ///< `folded_weight` as cuDNN takes it, where that was made already

  /// The convolution as our kernels take it, or nothing: other kernels, paddings and strides are cuDNN's.
  std::optional<kernels::ConvShape> shape() const;

  bool has_form(kernels::ConvPass pass) const;

  /// Two inputs as one, where our kernels have forms for that and none for the two apart: with channels of zeros after
  /// them if only so there are forms. Nothing otherwise.
  std::optional<ConvCall> joined_by_kernel(const Feature& a, const Feature& b) const;

  /// A field's convolution with channels of zeros beside the three: where only for that our kernels have gradients.
  std::optional<ConvCall> widened() const;

  /// Packed for a pass that has a form.
  at::Tensor packed(const kernels::ConvShape& shape, kernels::ConvPass pass, const Chip& chip) const;

  // As cuDNN takes them: the inputs in one, and the parallel kernels, without the identity, in one of float32.
  at::Tensor joined() const;
  at::Tensor folded_weight() const;
  at::Tensor rounded_weight() const;
  at::Tensor folded_bias() const;  ///< undefined without

  std::vector<std::int64_t> paddings() const { return std::vector<std::int64_t>(3, layer.padding); }
};

inline constexpr std::int64_t kWidenedChannels = 8;

/// How many channels both inputs of a convolution need as one, so that our kernels have forms for all passes: those
/// that they have, or more, zeros then. Nothing if there are no forms.
std::optional<std::int64_t> joined_width(kernels::ConvShape shape, const kernels::Capability& chip);

/// Weights of zeros for further input channels, up to this count.
void widen_(ConvLayer& layer, std::int64_t channels);

/// Weights of zeros for further output channels, where the layer may have them and that many are faster.
void widen_output_(ConvCall& call);

/// The kernel of this edge in the middle of a larger one.
at::Tensor middle(at::Tensor weight, std::int64_t edge);

/// What is wanted of a backward pass.
struct ConvWanted {
  bool first = false;
  bool second = false;
};

struct ConvGradients {
  ReadingGradient first;
  ReadingGradient second;
  std::vector<at::Tensor> weights;  ///< as the layer's
  std::vector<at::Tensor> biases;
};

/// Each part by our kernel where there is one, the others by cuDNN together.
/// @param upstream  gradient of what came before the layer's activation
ConvGradients conv_backward(const ConvCall& call, const at::Tensor& upstream, const ConvWanted& wanted);

}  // namespace regatta::fast
