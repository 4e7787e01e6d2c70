// The optimiser step.
#include "train/step.hpp"

#include <algorithm>
#include <cmath>

#include <ATen/core/grad_mode.h>
#include <ATen/ops/_amp_foreach_non_finite_check_and_unscale.h>
#include <ATen/ops/isfinite.h>
#include <ATen/ops/maximum.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/zeros.h>

#include "regatta/base/error.hpp"

namespace regatta {
namespace {

constexpr const char* kLossSums = "train/loss_sums";

}  // namespace

TrainingStep::TrainingStep(const Recipe& recipe, const at::Device& device)
    : model_(make_model(recipe.model.name, recipe.model.options)) {
  model_->parameters().initialise(static_cast<std::uint64_t>(recipe.train.seed));
  model_->parameters().to_device(device);
  model_->set_channels_last(recipe.run.channels_last);
  for (const auto& [name, term] : recipe.losses) {
    terms_.push_back({name, term.weight, make_loss(name, term.options)});
  }
  adam_ = std::make_unique<Adam>(model_->parameters(), recipe.optim);
  loss_sums_ = at::zeros({static_cast<std::int64_t>(terms_.size()) + 1}, at::device(device).dtype(at::kDouble));
  bad_ = at::zeros({1}, at::device(device).dtype(at::kFloat));
  good_steps_ = at::zeros({1}, at::device(device).dtype(at::kDouble));
  one_ = at::ones({1}, at::device(device).dtype(at::kFloat));
}

void TrainingStep::run_(PairState batch, double lr, std::int64_t update) {
  ModelOutput output = model_->forward(batch.moving, batch.fixed);
  batch.warped = output.warped;
  batch.flow = output.flow;
  batch.regularised = output.regularised;
  at::Tensor total;
  std::vector<at::Tensor> parts;
  for (const Term& term : terms_) {
    if (term.weight == 0.0) {  // seen in the log, without a part in the sum: 0 x NaN is NaN
      const at::NoGradGuard no_gradients;
      parts.push_back(term.loss->value(batch));
      continue;
    }
    const at::Tensor part = term.loss->value(batch);
    const at::Tensor weighted = part.mul(term.weight);
    total = total.defined() ? total.add(weighted) : weighted;
    parts.push_back(part.detach());
  }
  total.backward();
  const at::NoGradGuard no_gradients;
  parts.push_back(total.detach());
  loss_sums_.add_(at::stack(parts));
  const at::Tensor loss_bad = at::isfinite(total.detach()).logical_not().to(at::kFloat).reshape({1});
  bad_.copy_(at::maximum(bad_, loss_bad));
  const std::vector<at::Tensor> gradients = adam_->gradients();
  at::_amp_foreach_non_finite_check_and_unscale_(gradients, bad_, one_);
  good_steps_.add_(one_.sub(bad_));
  adam_->step_(gradients, lr, update, bad_);
  adam_->clear_gradients_();
}

std::int64_t TrainingStep::good_steps() const {
  return static_cast<std::int64_t>(good_steps_.item<double>());
}

std::map<std::string, double> TrainingStep::mean_losses(std::int64_t steps) const {
  const at::Tensor sums = loss_sums_.to(at::kCPU);
  const double* values = sums.const_data_ptr<double>();
  const double count = static_cast<double>(std::max<std::int64_t>(steps, 1));
  std::map<std::string, double> means;
  for (std::size_t i = 0; i < terms_.size(); ++i) {
    means[terms_[i].name] = values[i] / count;
  }
  means["total"] = values[terms_.size()] / count;
  return means;
}

void TrainingStep::clear_sums_() {
  loss_sums_.zero_();
}

NamedTensors TrainingStep::weights() const {
  NamedTensors tensors;
  for (const Parameter& parameter : model_->parameters().items()) {
    tensors.emplace_back(parameter.name, parameter.value.detach());
  }
  return tensors;
}

NamedTensors TrainingStep::state() const {
  NamedTensors tensors = weights();
  for (auto& item : adam_->state()) {
    tensors.push_back(std::move(item));
  }
  tensors.emplace_back(kLossSums, loss_sums_);
  return tensors;
}

void TrainingStep::load_(const SafetensorsFile& file, const std::string& source) {
  const at::NoGradGuard no_gradients;
  load_parameters(model_->parameters(), file, source, {"optim/", "train/"});
  adam_->load_state_(file, source);
  const auto sums =
      std::find_if(file.tensors.begin(), file.tensors.end(), [](const auto& item) { return item.first == kLossSums; });
  REGATTA_REQUIRE(sums != file.tensors.end() && sums->second.sizes() == loss_sums_.sizes(), DataError, source,
                  ": tensor '", kLossSums, "' is missing or of another shape");
  loss_sums_.copy_(sums->second);
  bad_.zero_();
  good_steps_.zero_();
}

}  // namespace regatta
