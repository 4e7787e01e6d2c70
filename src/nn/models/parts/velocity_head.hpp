// The head of the probabilistic diffeomorphic networks (voxelmorph-diff, transmorph-diff): a normal distribution of
// velocities on a grid that may be coarser than the volumes, a draw from it, its integral, the warp.
#pragma once

#include <optional>

#include <ATen/core/Tensor.h>

#include "nn/layers/conv.hpp"
#include "regatta/nn/model.hpp"
#include "regatta/nn/parameters.hpp"

namespace regatta::models {

class VelocityHead {
 public:
  /// Registers flow_mean.weight, .bias, flow_sigma.weight, .bias.
  /// @param reference  as the TransMorph repository computes it, for its weights: the network's output is squared seven
  ///     times without the division by 2^7, and up-sampled without its values being scaled; regularised is then the
  ///     integrated field on the velocity's grid, in voxels of that grid, which the reference's prior looks at
  VelocityHead(Parameters& parameters, std::int64_t channels, bool reference);

  /// All of the output but the halfway and inverse parts: regularised is the velocity, drawn in training and the mean
  /// otherwise.
  /// @param features  [N, channels, d, h, w], the volumes' grid or a coarser one of the same extent
  /// @param moving    [N, 1, D, H, W]
  /// @param draw      of the training; none: the mean is integrated
  ModelOutput operator()(const Feature& features, const at::Tensor& moving,
                         const std::optional<TrainingDraw>& draw) const;

  /// See Model. The reference's form has none: what it regularises is the integrated field.
  bool gives_velocity() const { return !reference_; }
  at::Tensor displacement_of(const at::Tensor& velocity, const at::Tensor& volume) const;

 private:
  Conv3d mean_;
  Conv3d log_variance_;
  bool reference_;
  Backend backend_;
};

}  // namespace regatta::models
