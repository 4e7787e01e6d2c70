// The optimiser step.
#include "train/step.hpp"

#include <algorithm>
#include <cmath>

#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/zeros.h>

#include "regatta/base/error.hpp"
#include "regatta/nn/batch_part.hpp"
#include "regatta/train/backend_choice.hpp"
#include "train/gradient_buckets.hpp"

namespace regatta {
namespace {

constexpr const char* kLossSums = "train/loss_sums";
constexpr const char* kSkipsInRow = "train/skips_in_row";

const at::Tensor& tensor_of(const SafetensorsFile& file, const char* name, const at::Tensor& like,
                            const std::string& source) {
  const auto found =
      std::find_if(file.tensors.begin(), file.tensors.end(), [name](const auto& item) { return item.first == name; });
  REGATTA_REQUIRE(found != file.tensors.end() && found->second.sizes() == like.sizes(), DataError, source, ": tensor '",
                  name, "' is missing or of another shape");
  return found->second;
}

std::string reason_against_capture(const std::string& name, const Model& model, const Objective& objective) {
  const std::string why = model.why_not_captured();
  return why.empty() ? objective.why_not_captured() : str("network ", name, ": ", why);
}

}  // namespace

TrainingStep::TrainingStep(const Recipe& recipe, const at::Device& device, Backend backend, Capture capture, Comm* comm)
    : seed_(static_cast<std::uint64_t>(recipe.train.seed)),
      comm_(comm != nullptr && !comm->is_alone() ? comm : nullptr),
      model_(make_model(recipe.model.name, recipe.model.options, network_context(recipe.run, device, backend))),
      objective_(recipe.losses, backend),
      guard_(device, recipe.guard.max_skips) {
  model_->parameters().initialise(seed_);
  model_->parameters().to_device(device);
  optimizer_ = std::make_unique<Optimizer>(model_->parameters(), recipe.optim, backend);
  loss_sums_ = at::zeros({static_cast<std::int64_t>(objective_.size()) + 2}, at::device(device).dtype(at::kDouble));
  one_ = at::ones({}, at::device(device).dtype(at::kFloat));
  std::shared_ptr<GraphPool> pool;
  if (backend == Backend::kFast && device.is_cuda()) {
    pool = std::make_shared<GraphPool>(device);
    why_not_captured_ = reason_against_capture(recipe.model.name, *model_, objective_);
    captured_ =
        std::make_unique<CapturedSteps>(device, why_not_captured_.empty() ? capture : Capture::kNever, pool,
                                        [this](const PairState& batch, const BatchShare& share,
                                               const UpdateNumbers& numbers) { work_on_(batch, share, numbers); });
  }
  inference_ = std::make_unique<Inference>(*model_, backend, capture, std::move(pool));
}

void TrainingStep::run_(const PairState& batch, double lr, std::int64_t update, const BatchShare& share) {
  if (captured_ == nullptr) {
    work_on_(batch, share, {.lr = lr, .update = update});
  } else {
    captured_->run(batch, share, lr, update);
  }
}

std::int64_t TrainingStep::replays() const {
  return captured_ == nullptr ? 0 : captured_->replays();
}

std::int64_t TrainingStep::captured_operations() const {
  return captured_ == nullptr ? 0 : captured_->operations();
}

void TrainingStep::work_on_(const PairState& batch, const BatchShare& share, const UpdateNumbers& numbers) {
  auto [total, parts] = pass_(batch, share, numbers);
  update_(total, std::move(parts), numbers);
  end_phase("update");
}

/// Forward and backward pass over the pairs that this process has; zeros if it has none.
ObjectiveValues TrainingStep::pass_(const PairState& batch, const BatchShare& share, const UpdateNumbers& numbers) {
  if (!batch.moving.defined()) {
    const at::Tensor zero = at::zeros({}, one_.options());
    return {zero, std::vector<at::Tensor>(objective_.size(), zero)};
  }
  const bool on_device = numbers.on_device.defined();
  const PartOfBatch part({share.first, share.pairs});
  model_->set_training({seed_, numbers.update, on_device ? numbers.on_device.select(0, 1) : at::Tensor()});
  ObjectiveValues values = [&] {  // the backward pass keeps of the output what it needs, not all
    const ModelOutput output = model_->forward(batch.moving, batch.fixed);
    model_->set_evaluation();
    end_phase("forward");
    return objective_.values(batch, output, share);
  }();
  end_phase("losses");
  values.total.backward();
  end_phase("backward");
  return values;
}

void TrainingStep::update_(const at::Tensor& total, std::vector<at::Tensor> parts, const UpdateNumbers& numbers) {
  const at::NoGradGuard no_gradients;
  parts.push_back(total.detach());
  at::Tensor losses;
  std::vector<at::Tensor> gradients;
  at::Tensor flat;
  if (optimizer_->is_flat()) {
    flat = optimizer_->flat_gradient_();
  } else {
    gradients = optimizer_->gradients();
  }
  at::Tensor whole = total.detach();
  if (comm_ == nullptr) {
    parts.push_back(one_);
    losses = at::stack(parts);
  } else {
    const at::Tensor sums = at::stack(parts);
    if (flat.defined()) {
      sum_flat_over_members_(*comm_, flat, sums);
    } else {
      sum_over_members_(*comm_, gradients, sums);
    }
    whole = sums.select(0, sums.size(0) - 1);
    losses = at::cat({sums, one_.view({1})});
  }
  const at::Tensor skip =
      flat.defined() ? guard_.check_flat_(whole, flat, numbers) : guard_.check_(whole, gradients, numbers);
  loss_sums_.add_(losses.masked_fill(skip.gt(0.5), 0.0));
  optimizer_->step_(gradients, numbers, skip);
  optimizer_->clear_gradients_();
}

std::map<std::string, double> TrainingStep::mean_losses() const {
  const at::Tensor sums = loss_sums_.to(at::kCPU);
  const double* values = sums.const_data_ptr<double>();
  const double count = values[objective_.size() + 1];
  std::map<std::string, double> means;
  if (count == 0.0) {
    return means;
  }
  for (std::size_t i = 0; i < objective_.size(); ++i) {
    means[objective_.name(i)] = values[i] / count;
  }
  means["total"] = values[objective_.size()] / count;
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
  for (auto& item : optimizer_->state()) {
    tensors.push_back(std::move(item));
  }
  tensors.emplace_back(kLossSums, loss_sums_);
  tensors.emplace_back(kSkipsInRow, guard_.in_row());
  return tensors;
}

std::string TrainingStep::load_weights_(const SafetensorsFile& file, const std::string& source) {
  return load_parameters(model_->parameters(), file, source);
}

void TrainingStep::load_(const SafetensorsFile& file, const std::string& source) {
  const at::NoGradGuard no_gradients;
  load_parameters(model_->parameters(), file, source, {"optim/", "train/"});
  optimizer_->load_state_(file, source);
  loss_sums_.copy_(tensor_of(file, kLossSums, loss_sums_, source));
  guard_.set_in_row_(tensor_of(file, kSkipsInRow, guard_.in_row(), source));
}

}  // namespace regatta
