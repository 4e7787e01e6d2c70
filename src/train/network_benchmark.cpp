#include "regatta/train/network_benchmark.hpp"

#include <cmath>

#include <ATen/core/grad_mode.h>

#include "regatta/base/error.hpp"
#include "regatta/base/host_memory.hpp"
#include "regatta/config/baseline.hpp"
#include "regatta/nn/device.hpp"
#include "regatta/nn/model.hpp"
#include "regatta/nn/weight_edit.hpp"
#include "regatta/nn/weights.hpp"
#include "regatta/train/backend_choice.hpp"
#include "regatta/train/inference.hpp"
#include "regatta/train/step_benchmark.hpp"
#include "train/benchmark_parts.hpp"
#include "train/step.hpp"
#include "train/torch_errors.hpp"

namespace regatta {
namespace {

PairState made_up_pair(const Shape3& shape, const at::Device& device) {
  const at::TensorOptions floats = at::TensorOptions().dtype(at::kFloat).device(device);
  PairState pair;
  pair.moving = wave(shape, 0.0, floats);
  pair.fixed = wave(shape, 1.0, floats);
  return pair;
}

NamedTensors values_of(const Parameters& parameters) {
  NamedTensors tensors;
  for (const Parameter& parameter : parameters.items()) {
    tensors.emplace_back(parameter.name, parameter.value.detach());
  }
  return tensors;
}

void check_flow(const at::Tensor& flow, const NetworkBenchmarkOptions& options, NetworkTimes& times) {
  times.flow_max = flow.abs().max().item<double>();
  REGATTA_REQUIRE(std::isfinite(times.flow_max), BugError, options.model, ": the field is not finite");
  if (!options.save_flow.empty()) {
    write_safetensors(options.save_flow, {{"flow", flow.contiguous()}}, {});
  }
}

void measure_inference(const NetworkBenchmarkOptions& options, const at::Device& device, NetworkTimes& times) {
  const at::NoGradGuard no_grad;
  const auto model = make_model(options.model, Json::object(),
                                network_context(options.run, device, choose_backend(options.run.backend, device)));
  if (options.weights.empty()) {
    model->parameters().initialise(0);
  } else {
    SafetensorsFile file = read_safetensors(options.weights);
    use_current_names(file);
    load_parameters(model->parameters(), file, options.weights);
  }
  if (!options.save_weights.empty()) {
    write_safetensors(options.save_weights, values_of(model->parameters()), {{"model", options.model}});
  }
  times.parameters = model->parameters().count();
  model->parameters().to_device(device);
  const PairState pair = made_up_pair(options.shape, device);
  at::Tensor flow;
  const auto forward = [&] { flow = model->forward(pair.moving, pair.fixed).flow; };
  const auto forward_alone = [&] {
    flow.reset();
    forward();
  };
  reset_peak(device);
  reset_peak_resident();
  times.host_bytes_before = resident_bytes();
  repeat_ms(device, options.warmup, forward_alone);
  times.uncaptured_inference_ms = repeat_ms(device, options.steps, forward_alone);
  times.host_bytes_peak = peak_resident_bytes();
  times.measured.inference = peak_device_bytes(device);
  check_flow(flow, options, times);
  flow.reset();
  Inference inference(*model, choose_backend(options.run.backend, device));
  const auto pass = [&] { inference.run_(pair.moving, pair.fixed); };
  if (device.is_cuda()) {
    repeat_ms(device, Inference::kUncaptured + 1, pass);
  }
  times.inference_captured = inference.replays() > 0;
  times.inference_ms =
      times.inference_captured ? repeat_ms(device, options.steps, pass) : times.uncaptured_inference_ms;
}

/// One loss and its gradients, before anything is timed.
void check_gradients(TrainingStep& step, const PairState& pair, const NetworkBenchmarkOptions& options,
                     NetworkTimes& times) {
  const at::Tensor total = step.objective().values(pair, step.model().forward(pair.moving, pair.fixed)).total;
  total.backward();
  times.loss = total.item<double>();
  double squares = 0.0;
  for (const Parameter& parameter : step.model().parameters().items()) {
    const at::Tensor gradient = parameter.value.grad();
    const double square = gradient.defined() ? gradient.to(at::kDouble).square().sum().item<double>() : 0.0;
    squares += square;
    times.without_gradient += square == 0.0 ? 1 : 0;
    at::Tensor(parameter.value).mutable_grad().reset();
  }
  times.gradient_norm = std::sqrt(squares);
  REGATTA_REQUIRE(std::isfinite(times.loss), BugError, options.model, ": the loss is ", times.loss);
  REGATTA_REQUIRE(std::isfinite(times.gradient_norm) && times.gradient_norm > 0.0, BugError, options.model,
                  ": the norm of the gradients is ", times.gradient_norm);
}

void measure_training(const NetworkBenchmarkOptions& options, const at::Device& device, NetworkTimes& times) {
  Recipe recipe = baseline_recipe(options.model);
  recipe.run = options.run;
  const Backend backend = choose_backend(recipe.run.backend, device);
  TrainingStep step(recipe, device, backend);
  const PairState pair = head_pair(options.shape, /*batch=*/1, device);
  times.mean_field = grow_field_(step.model(), pair, kGrownField);
  check_gradients(step, pair, options, times);
  std::int64_t update = 0;
  const auto whole_step = [&] { step.run_(pair, recipe.optim.lr, ++update); };
  release_cached(device);
  reset_peak(device);
  {
    const FormRecord record;
    whole_step();
    times.parts = record.parts();
    times.forms = forms_text(backend, times.parts);
  }
  repeat_ms(device, options.warmup, whole_step);
  const int per_sample = device.is_cuda() ? kStepsPerSample : 1;
  times.step_ms = repeat_ms(device, options.steps, [&] {
    for (int i = 0; i < per_sample; ++i) {
      whole_step();
    }
  });
  for (double& sample : times.step_ms) {
    sample /= per_sample;
  }
  times.measured.training = peak_device_bytes(device);
  const SkipReport skips = step.take_skips_();
  REGATTA_REQUIRE(skips.skipped == 0 && skips.halted_at == 0, BugError, options.model, ": ", skips.skipped, " of ",
                  update, " steps had a loss or gradient that is not finite");
  times.forward_ms = repeat_ms(device, options.steps,
                               [&] { const ModelOutput output = step.model().forward(pair.moving, pair.fixed); });
}

}  // namespace

NetworkTimes benchmark_network(const NetworkBenchmarkOptions& options) {
  const at::Device device = choose_device(options.run.device);
  set_deterministic(options.run.tf32);
  if (options.run.threads > 0) {
    set_cpu_threads(options.run.threads);
  }
  NetworkTimes times;
  Recipe recipe = baseline_recipe(options.model);
  recipe.run = options.run;
  times.forecast = memory_need(recipe, options.shape, 0, choose_backend(options.run.backend, device));
  with_torch_errors([&] { measure_inference(options, device, times); });
  if (!options.inference_only) {
    with_torch_errors([&] { measure_training(options, device, times); });
  }
  return times;
}

}  // namespace regatta
