#include "regatta/train/step_benchmark.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include <ATen/TensorOperators.h>
#include <ATen/core/Tensor.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/ones_like.h>
#include <ATen/ops/sum.h>
#include <ATen/ops/zeros_like.h>

#include "regatta/base/error.hpp"
#include "regatta/config/baseline.hpp"
#include "regatta/kernels/ncc.hpp"
#include "regatta/nn/chip.hpp"
#include "regatta/nn/device.hpp"
#include "regatta/nn/loss.hpp"
#include "regatta/nn/model.hpp"
#include "regatta/train/backend_choice.hpp"
#include "regatta/train/dataset.hpp"
#include "train/benchmark_parts.hpp"
#include "train/skip_guard.hpp"
#include "train/step.hpp"

namespace regatta {
namespace {

Recipe recipe_of(const StepBenchmarkOptions& options) {
  Recipe recipe = options.recipe.value_or(baseline_recipe(options.model, options.model_options));
  if (!options.recipe) {
    recipe.losses[kBaselineSimilarity].options = {{"window", options.ncc_window}};
  }
  recipe.run = options.run;
  return recipe;
}

/// The loss of one forward pass, and all gradients in one row.
struct LossAndGradients {
  double loss = 0.0;
  at::Tensor flow;
  std::vector<at::Tensor> gradients;
};

LossAndGradients loss_and_gradients(TrainingStep& step, const PairState& pair) {
  LossAndGradients out;
  const ModelOutput output = step.model().forward(pair.moving, pair.fixed);
  const at::Tensor total = step.objective().values(pair, output).total;
  total.backward();
  out.loss = total.item<double>();
  out.flow = output.flow.detach().to(at::kDouble).cpu();
  for (const Parameter& parameter : step.model().parameters().items()) {
    const at::Tensor gradient = parameter.value.grad();  // none of a layer that the network does not use
    out.gradients.push_back(
        (gradient.defined() ? gradient : at::zeros_like(parameter.value.detach())).to(at::kDouble).cpu().reshape({-1}));
    at::Tensor(parameter.value).mutable_grad().reset();
  }
  return out;
}

/// 0 of two zeros.
double relative(const at::Tensor& value, const at::Tensor& reference) {
  const double apart = (value - reference).norm().item<double>();
  return apart == 0.0 ? 0.0 : apart / reference.norm().item<double>();
}

void copy_weights_(const Model& from, Model& to) {
  const at::NoGradGuard no_grad;
  const std::vector<Parameter>& values = from.parameters().items();
  for (std::size_t i = 0; i < values.size(); ++i) {
    at::Tensor(to.parameters().items()[i].value).copy_(values[i].value);
  }
}

/// The network computes in float64 from here on, as a reference.
void make_double_(Model& model) {
  const at::NoGradGuard no_grad;
  for (const Parameter& parameter : model.parameters().items()) {
    parameter.value.set_data(parameter.value.to(at::kDouble));
  }
}

Agreement agreement_of(const LossAndGradients& found, const LossAndGradients& expected, const Model& model) {
  Agreement agreement;
  agreement.loss_relative = std::abs(found.loss - expected.loss) / std::abs(expected.loss);
  agreement.flow_relative = relative(found.flow, expected.flow);
  agreement.gradient_relative = relative(at::cat(found.gradients), at::cat(expected.gradients));
  for (std::size_t i = 0; i < expected.gradients.size(); ++i) {
    const double one = relative(found.gradients[i], expected.gradients[i]);
    if (one > agreement.worst_gradient) {
      agreement.worst_gradient = one;
      agreement.worst_parameter = model.parameters().items()[i].name;
    }
  }
  return agreement;
}

/// The first pair that an archive has for training.
PairState pair_of_archive(const std::string& path, const at::Device& device) {
  const Archive archive = Archive::open(path);
  const std::string split = DataOptions().train_split;
  const Dataset data = Dataset::load(archive, {{split}, "", ""}, device);
  return data.gather({data.pairs(split).front()});
}

/// With the labels that a loss of the recipe needs.
PairState made_up_heads(const StepBenchmarkOptions& options, const Recipe& recipe, const Shape3& shape, int batch,
                        const at::Device& device) {
  PairState pair = head_pair(shape, batch, device);
  for (const auto& [name, loss] : recipe.losses) {
    for (const std::string& need : make_loss(name, loss.options)->needs()) {
      REGATTA_REQUIRE(need == "labels", ConfigError, "/losses/", name, ": needs ", need,
                      ", which made-up heads have not; give --archive");
      add_labels_(pair, options.labels);
    }
  }
  return pair;
}

PairState pair_for(const StepBenchmarkOptions& options, const Recipe& recipe, const Shape3& shape, int batch,
                   const at::Device& device) {
  return options.archive.empty() ? made_up_heads(options, recipe, shape, batch, device)
                                 : pair_of_archive(options.archive, device);
}

Shape3 shape_of(const PairState& pair) {
  return {pair.fixed.size(2), pair.fixed.size(3), pair.fixed.size(4)};
}

/// The kernels of one step that is not captured, phase by phase.
std::vector<PhaseTime> phase_times(const Recipe& recipe, const at::Device& device, Backend backend, const Model& like,
                                   const PairState& pair) {
  TrainingStep step(recipe, device, backend, Capture::kNever);
  copy_weights_(like, step.model());
  for (std::int64_t update = 1; update <= 2; ++update) {  // libraries choose their kernels
    step.run_(pair, recipe.optim.lr, update);
  }
  KernelWatch watch(device);
  std::vector<PhaseTime> phases;
  step.observe_([&](const char* phase) {
    std::vector<KernelTime> kernels = watch.take();
    phases.push_back({phase, total_ms(kernels), std::move(kernels)});
  });
  step.run_(pair, recipe.optim.lr, /*update=*/3);
  return phases;
}

/// NCC's value and its gradient with respect to the warped image, in float64 on the CPU.
std::pair<double, at::Tensor> ncc_with_gradient(int window, PairState pair) {
  pair.warped = pair.warped.detach().clone().set_requires_grad(true);
  const at::Tensor value = make_loss(kBaselineSimilarity, {{"window", window}})->value(pair);
  value.backward();
  return {value.to(at::kDouble).item<double>(), pair.warped.grad().to(at::kDouble).cpu()};
}

/// The same by the kernels' reference, all in float64.
std::pair<double, at::Tensor> ncc_oracle(int window, const PairState& pair) {
  const auto values = [](const at::Tensor& image) {
    const at::Tensor exact = image.to(at::kCPU, at::kDouble).contiguous();
    return std::vector<double>(exact.const_data_ptr<double>(), exact.const_data_ptr<double>() + exact.numel());
  };
  std::vector<double> gradient;
  const double value = kernels::ncc_reference(values(pair.fixed), values(pair.warped), fast::volume_size(pair.warped),
                                              window, -1.0, &gradient);
  const at::Tensor to_warped = at::empty(pair.warped.sizes(), at::dtype(at::kDouble));
  std::copy(gradient.begin(), gradient.end(), to_warped.mutable_data_ptr<double>());
  return {value, to_warped};
}

/// What the skip guard adds to a step, on gradients of ones.
std::vector<double> guard_times(const Model& model, const at::Device& device, int steps) {
  SkipGuard guard(device, 10);
  std::vector<at::Tensor> gradients;
  for (const Parameter& parameter : model.parameters().items()) {
    gradients.push_back(at::ones_like(parameter.value));
  }
  const at::Tensor loss = gradients.front().sum();
  std::int64_t update = 0;
  return repeat_ms(device, steps, [&] { guard.check_(loss, gradients, {.update = ++update}); });
}

/// As validation runs it, and what that measures of the pair.
void measure_validation(const StepBenchmarkOptions& options, TrainingStep& step, const PairState& pair,
                        StepTimes& times) {
  const at::NoGradGuard no_gradients;
  const at::Device device = pair.fixed.device();
  ModelOutput out;
  times.uncaptured_inference_ms =
      repeat_ms(device, options.steps, [&] { out = step.model().forward(pair.moving, pair.fixed); });
  const at::Tensor plain = std::exchange(out, ModelOutput{}).flow;
  const auto pass = [&] { out = step.inference().run_(pair.moving, pair.fixed); };
  repeat_ms(device, Inference::kUncaptured + 1, pass);
  times.inference_ms = repeat_ms(device, options.steps, pass);
  times.inference_captured = step.inference().replays() > 0;
  REGATTA_REQUIRE(out.flow.equal(plain) || step.model().numerical_on_cuda(), BugError, options.model,
                  ": captured inference gives another field");
  if (pair.fixed.size(0) == 1) {
    PairState registered = with_output(pair, out);
    if (options.archive.empty()) {
      add_structures_(registered, options.labels);
    }
    times.validation = benchmark_validation(registered, options.steps);
  }
}

}  // namespace

double median(std::vector<double> values) {
  REGATTA_REQUIRE(!values.empty(), BugError, "median of nothing");
  std::sort(values.begin(), values.end());
  const std::size_t middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : 0.5 * (values[middle - 1] + values[middle]);
}

StepTimes benchmark_step(const StepBenchmarkOptions& options) {
  const at::Device device = choose_device(options.run.device);
  set_deterministic(options.run.tf32);
  if (options.run.threads > 0) {
    set_cpu_threads(options.run.threads);
  }
  const Recipe recipe = recipe_of(options);
  const Backend backend = choose_backend(recipe.run.backend, device);
  fast::take_sm80_forms(options.sm80);
  TrainingStep step(recipe, device, backend);
  PairState pair = pair_for(options, recipe, options.shape, options.batch, device);
  StepTimes times;
  times.shape = shape_of(pair);
  times.backend = backend_name(backend);
  times.mean_field = grow_field_(step.model(), pair, kGrownField);
  release_cached(device);
  reset_peak(device);
  std::int64_t update = 0;
  const auto whole_step = [&] { step.run_(pair, recipe.optim.lr, ++update); };
  const auto loss_of_last = [&] {
    const auto means = step.mean_losses();
    REGATTA_REQUIRE(!means.empty(), BugError, "step ", update, ": loss or gradient is not finite");
    const double total = means.at("total");
    step.clear_sums_();
    return total;
  };
  {
    const FormRecord forms;
    whole_step();
    times.parts = forms.parts();
    times.backend_parts = forms_text(backend, times.parts);
  }
  times.first_loss = loss_of_last();
  repeat_ms(device, options.warmup - 1, whole_step);
  times.step_ms = repeat_ms(device, options.steps, [&] {
    for (int i = 0; i < kStepsPerSample; ++i) {
      whole_step();
    }
  });
  for (double& sample : times.step_ms) {
    sample /= kStepsPerSample;
  }
  times.replays = step.replays();
  times.operations = step.captured_operations();
  times.peak_bytes = peak_device_bytes(device);
  step.clear_sums_();
  whole_step();
  times.last_loss = loss_of_last();

  pair.backend = backend;
  ModelOutput out;
  times.forward_ms = repeat_ms(device, options.steps, [&] { out = step.model().forward(pair.moving, pair.fixed); });
  const auto leaf = [](const at::Tensor& tensor) { return tensor.detach().set_requires_grad(true); };
  PairState seen = with_output(pair, out);
  seen.warped = leaf(out.warped);
  seen.flow = leaf(out.flow);
  seen.regularised = leaf(out.regularised);
  for (const auto& [name, options_of] : recipe.losses) {
    const auto loss = make_loss(name, options_of.options);
    times.loss_ms[name] = repeat_ms(device, options.steps, [&] { loss->value(seen).backward(); });
  }
  times.guard_ms = guard_times(step.model(), device, options.steps);
  out = ModelOutput{};
  measure_validation(options, step, pair, times);
  if (device.is_cuda()) {
    times.phases = phase_times(recipe, device, backend, step.model(), pair);
    KernelWatch watch(device);
    for (int i = 0; i < kStepsPerSample; ++i) {
      whole_step();
    }
    times.kernels_ms = total_ms(watch.take()) / kStepsPerSample;
  }
  return times;
}

BackendAgreement compare_backends(const StepBenchmarkOptions& options, const Shape3& shape) {
  const at::Device device = choose_device(options.run.device);
  Recipe recipe = recipe_of(options);
  recipe.run.tf32 = false;
  recipe.run.channels_last = false;
  set_deterministic(false);
  const PairState pair = pair_for(options, recipe, shape, /*batch=*/1, device);
  BackendAgreement agreement;
  agreement.shape = shape_of(pair);
  TrainingStep reference(recipe, device, Backend::kReference);
  agreement.mean_field = grow_field_(reference.model(), pair, kGrownField);
  fast::take_sm80_forms(options.sm80);
  TrainingStep fast(recipe, device, Backend::kFast);
  TrainingStep exact(recipe, device, Backend::kReference);
  copy_weights_(reference.model(), fast.model());
  copy_weights_(reference.model(), exact.model());
  make_double_(exact.model());
  PairState exact_pair = pair;
  exact_pair.moving = pair.moving.to(at::kDouble);
  exact_pair.fixed = pair.fixed.to(at::kDouble);
  const LossAndGradients expected = loss_and_gradients(exact, exact_pair);
  agreement.reference = agreement_of(loss_and_gradients(reference, pair), expected, reference.model());
  agreement.fast = agreement_of(loss_and_gradients(fast, pair), expected, reference.model());
  return agreement;
}

NccAgreement compare_ncc(const Shape3& shape, int window, const std::string& device_text) {
  const at::Device device = choose_device(device_text);
  const at::TensorOptions floats = at::TensorOptions().dtype(at::kFloat).device(device);
  PairState pair;
  pair.fixed = wave(shape, 1.0, floats);
  pair.warped = wave(shape, 0.0, floats);
  const auto [value, gradient] = ncc_with_gradient(window, pair);
  const auto [oracle_value, oracle_gradient] = ncc_oracle(window, pair);
  NccAgreement agreement;
  agreement.value_relative = std::abs(value - oracle_value) / std::abs(oracle_value);
  agreement.gradient_relative =
      (gradient - oracle_gradient).norm().item<double>() / oracle_gradient.norm().item<double>();
  return agreement;
}

}  // namespace regatta
