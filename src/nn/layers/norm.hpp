// Normalisation with its activation, part of the vocabulary of layers.
#pragma once

#include <string>

#include <ATen/core/Tensor.h>

#include "nn/layers/conv.hpp"
#include "regatta/nn/parameters.hpp"

namespace regatta {

/// Instance normalisation over D, H, W (eps 1e-5, biased variance, no running statistics), then none or a leaky
/// activation. Keeps its input and the statistics for the backward pass, not the normalised values.
class InstanceNorm {
 public:
  /// Without trained scale and shift.
  explicit InstanceNorm(const Activation& activation = Activation::none());

  /// With `name`.weight and `name`.bias [C].
  InstanceNorm(Parameters& parameters, const std::string& name, std::int64_t channels,
               const Activation& activation = Activation::none());

  /// @param input  [N, C, D, H, W]
  at::Tensor operator()(const at::Tensor& input) const;

 private:
  at::Tensor weight_;
  at::Tensor bias_;
  Activation activation_;
};

}  // namespace regatta
