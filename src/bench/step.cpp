#include "regatta/bench/step.hpp"

#include <algorithm>
#include <iostream>

#include <nlohmann/json.hpp>

#include "bench/report.hpp"
#include "regatta/base/error.hpp"
#include "regatta/nn/forms.hpp"
#include "regatta/nn/model.hpp"

namespace regatta::bench {
namespace {

constexpr double kValueTolerance = 1e-4;
constexpr double kGradientTolerance = 1e-3;
constexpr double kBackendTolerance = 0.15;  ///< of all gradients together, bf16 activations against float64
constexpr Shape3 kAgreementShape = {64, 80, 96};

Json kernels_to_json(const std::vector<KernelTime>& kernels) {
  Json rows = Json::array();
  for (const KernelTime& kernel : kernels) {
    rows.push_back({{"name", kernel.name}, {"calls", kernel.calls}, {"ms", kernel.ms}});
  }
  return rows;
}

/// Of a step's time, what no kernel, copy or fill was running in.
double outside_kernels(const StepTimes& times) {
  return std::max(0.0, 1.0 - times.kernels_ms / median(times.step_ms));
}

Json agreement_to_json(const Agreement& agreement) {
  return {{"loss_relative", agreement.loss_relative},
          {"flow_relative", agreement.flow_relative},
          {"gradient_relative", agreement.gradient_relative},
          {"worst_gradient_relative", agreement.worst_gradient},
          {"worst_parameter", agreement.worst_parameter}};
}

std::string agreement_text(const Agreement& agreement) {
  return str("loss ", agreement.loss_relative, ", flow ", agreement.flow_relative, ", gradient ",
             agreement.gradient_relative, " (worst ", agreement.worst_gradient, ", ", agreement.worst_parameter, ")");
}

void add_validation(Json& row, const ValidationTimes& times) {
  if (times.together_ms.empty()) {
    return;  // of batches of one pair only
  }
  for (const auto& [name, milliseconds] : times.metric_ms) {
    row["validation_ms"]["metrics"][name] = spread_of(milliseconds);
  }
  row["validation_ms"]["together"] = spread_of(times.together_ms);
  for (const auto& [name, apart] : times.from_reference) {
    row["validation_from_reference"][name] = apart;
  }
}

Json times_to_json(const StepBenchmarkOptions& options, const StepTimes& times) {
  Json row;
  row["model"] = options.model;
  row["model_options"] = options.model_options;
  row["shape"] = times.shape;
  row["batch"] = options.batch;
  if (options.recipe) {
    row["losses"] = write_options(*options.recipe).at("losses");
  } else {
    row["window"] = options.ncc_window;
  }
  row["backend"] = times.backend;
  row["backend_parts"] = times.backend_parts;
  row["parts"] = forms_json(times.parts);
  row["sm80_forms"] = options.sm80;
  row["mean_field"] = times.mean_field;
  row["replays"] = times.replays;
  row["captured_operations"] = times.operations;
  row["step_ms"] = spread_of(times.step_ms);
  row["forward_ms"] = spread_of(times.forward_ms);
  for (const auto& [name, milliseconds] : times.loss_ms) {
    row["loss_ms"][name] = spread_of(milliseconds);
  }
  row["guard_ms"] = spread_of(times.guard_ms);
  row["inference_ms"] = spread_of(times.inference_ms);
  row["inference_captured"] = times.inference_captured;
  row["uncaptured_inference_ms"] = spread_of(times.uncaptured_inference_ms);
  add_validation(row, times.validation);
  if (times.kernels_ms > 0.0) {
    row["kernels_ms"] = times.kernels_ms;
    row["share_outside_kernels"] = outside_kernels(times);
  }
  for (const PhaseTime& phase : times.phases) {
    row["phases"][phase.name] = {{"ms", phase.ms}, {"kernels", kernels_to_json(phase.kernels)}};
  }
  row["peak_device_bytes"] = times.peak_bytes;
  row["first_loss"] = number_to_json(times.first_loss);
  row["last_loss"] = number_to_json(times.last_loss);
  return row;
}

/// Each axis rounded up to what the network takes.
Shape3 agreement_shape(const StepBenchmarkOptions& options) {
  const int multiple = make_model(options.model, options.model_options, {.without_data = true})->size_multiple();
  Shape3 shape = kAgreementShape;
  for (auto& size : shape) {
    size = (size + multiple - 1) / multiple * multiple;
  }
  return shape;
}

void add_agreement(Json& report, const StepBenchmarkOptions& options) {
  const BackendAgreement agreement = compare_backends(options, agreement_shape(options));
  report["against_float64"] = {{"shape", agreement.shape},
                               {"mean_field", agreement.mean_field},
                               {"fast", agreement_to_json(agreement.fast)},
                               {"reference", agreement_to_json(agreement.reference)}};
  std::cout << "against float64 at " << join(agreement.shape, "x") << ", mean |u| " << agreement.mean_field
            << " voxels:\n  fast: " << agreement_text(agreement.fast)
            << "\n  reference: " << agreement_text(agreement.reference) << std::endl;
  REGATTA_REQUIRE(agreement.fast.gradient_relative <= kBackendTolerance, BugError,
                  "the fast backend's gradient differs from that in float64 by ", agreement.fast.gradient_relative);
}

void print_validation(const StepTimes& times) {
  if (times.validation.together_ms.empty()) {
    return;
  }
  std::cout << "    validation of a pair: inference " << median(times.inference_ms) << " ms"
            << (times.inference_captured ? str(" captured, ", median(times.uncaptured_inference_ms), " not") : "")
            << ", metrics " << median(times.validation.together_ms) << " ms together (hd95 left out); alone";
  for (const auto& [name, milliseconds] : times.validation.metric_ms) {
    std::cout << ' ' << name << ' ' << median(milliseconds);
  }
  std::cout << std::endl;
}

void print_row(const StepTimes& times) {
  std::cout << "  " << times.backend_parts << ": step " << median(times.step_ms) << " ms (of it forward "
            << median(times.forward_ms);
  for (const auto& [name, milliseconds] : times.loss_ms) {
    std::cout << ", " << name << ' ' << median(milliseconds);
  }
  std::cout << ", guard " << median(times.guard_ms) << "), inference " << median(times.inference_ms) << " ms, peak "
            << bytes_text(static_cast<double>(times.peak_bytes)) << ", loss " << times.first_loss << " -> "
            << times.last_loss << ", mean |u| " << times.mean_field << ", " << times.operations
            << " operations captured";
  if (times.kernels_ms > 0.0) {
    std::cout << ", " << 100.0 * outside_kernels(times) << " % of the step outside kernels";
  }
  std::cout << std::endl;
  print_validation(times);
  for (const PhaseTime& phase : times.phases) {
    std::cout << "    " << phase.name << ": kernels " << phase.ms << " ms" << std::endl;
  }
}

void require_exact_ncc(const NccAgreement& agreement) {
  REGATTA_REQUIRE(agreement.value_relative <= kValueTolerance && agreement.gradient_relative <= kGradientTolerance,
                  BugError, "NCC differs from its reference: value by ", agreement.value_relative, ", gradient by ",
                  agreement.gradient_relative);
}

}  // namespace

Json measure_step(StepBenchmarkOptions options, const std::vector<std::string>& backends) {
  const NccAgreement ncc = compare_ncc({24, 20, 28}, options.ncc_window, options.run.device);
  require_exact_ncc(ncc);
  Json report = head_of_report("training step", options.shape, options.run);
  report["warmup"] = options.warmup;
  report["steps"] = options.steps;
  report["ncc_against_float64"] = {{"value_relative", ncc.value_relative},
                                   {"gradient_relative", ncc.gradient_relative}};
  report["rows"] = Json::array();
  std::cout << options.model << " at " << join(options.shape, "x") << ", batch " << options.batch << ", on "
            << report["device"].get<std::string>() << '\n';
  if (std::find(backends.begin(), backends.end(), "fast") != backends.end()) {
    add_agreement(report, options);
  }
  for (const std::string& backend : backends) {
    options.run.backend = backend;
    const StepTimes times = benchmark_step(options);
    print_row(times);
    report["rows"].push_back(times_to_json(options, times));
  }
  return report;
}

}  // namespace regatta::bench
