#include "train/network_answer.hpp"

#include <ATen/TensorOperators.h>

#include "regatta/nn/warp.hpp"

namespace regatta {

NetworkAnswer::NetworkAnswer(TrainedModel& trained, const PairState& pair)
    : trained_(trained), pair_(pair), velocity_(trained.one_network ? velocity_model(*trained.model) : nullptr) {
  output_ = trained.model->forward(pair.moving, pair.fixed);
  if (trained.others.empty()) {
    return;
  }
  at::Tensor mean = (velocity_ != nullptr ? output_.regularised : output_.flow).clone();
  for (const auto& other : trained.others) {
    const ModelOutput output = other->forward(pair.moving, pair.fixed);
    mean.add_(velocity_ != nullptr ? output.regularised : output.flow);
  }
  output_ = warped(mean.div_(static_cast<double>(trained.others.size() + 1)));
}

/// @param value  the velocity, or without one the field
ModelOutput NetworkAnswer::warped(const at::Tensor& value) const {
  WarpOptions warping;
  warping.backend = trained_.model->context().backend;
  ModelOutput out;
  out.flow = velocity_ != nullptr ? velocity_->displacement_of(value, pair_.moving) : value;
  out.regularised = value;
  out.warped = warp(pair_.moving, out.flow, warping);
  return out;
}

Refinement NetworkAnswer::refine(const RefineOptions& options) {
  Refined start{output_.flow};
  if (velocity_ != nullptr) {
    start.value = output_.regularised;
    start.displacement_of = [this](const at::Tensor& value) { return velocity_->displacement_of(value, pair_.moving); };
  }
  Refinement done;
  const at::Tensor value =
      refine_field(pair_, start, trained_.recipe.losses, options, trained_.model->context().backend, done);
  output_ = warped(value);
  return done;
}

at::Tensor NetworkAnswer::inverse() const {
  if (output_.inverse_flow.defined() || velocity_ == nullptr) {
    return output_.inverse_flow;
  }
  return velocity_->displacement_of(output_.regularised.neg(), pair_.moving);
}

}  // namespace regatta
