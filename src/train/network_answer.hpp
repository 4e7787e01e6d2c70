// What one network, or an ensemble, says of a pair, and what instance optimisation makes of it.
#pragma once

#include <ATen/core/Tensor.h>

#include "regatta/nn/loss.hpp"
#include "regatta/nn/velocity_model.hpp"
#include "regatta/train/refinement.hpp"
#include "regatta/train/registration.hpp"

namespace regatta {

/// All its networks.
void move_to(TrainedModel& trained, const at::Device& device);

class NetworkAnswer {
 public:
  /// Runs the networks, without gradients. Of an ensemble: the mean of the velocities where all are trainings of one
  /// network that regularises its velocity, else of the fields.
  /// @param trained, pair  outlive this; fixed and moving are looked at, [1, 1, D, H, W]
  NetworkAnswer(TrainedModel& trained, const PairState& pair);

  const ModelOutput& output() const { return output_; }

  /// Improves the velocity where there is one, else the field. @throws see `refine_field`
  Refinement refine(const RefineOptions& options);

  /// The way back as the network has it, [1, 3, D, H, W]: its other direction, or the negated velocity; undefined: it
  /// has none.
  at::Tensor inverse() const;

 private:
  ModelOutput warped(const at::Tensor& value) const;

  const TrainedModel& trained_;
  const PairState& pair_;
  const VelocityModel* velocity_;  ///< null: none
  ModelOutput output_;
};

}  // namespace regatta
