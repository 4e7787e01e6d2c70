// `regatta bench`: one training step of a network, timed by stages, correctness checked first; or, with --networks,
// many networks with their memory (bench_networks). The result is a JSON file. `regatta bench collect` measures reports
// instead (bench_collect).
#include <algorithm>
#include <iostream>

#include <nlohmann/json.hpp>

#include "app/bench_collect.hpp"
#include "app/bench_data.hpp"
#include "app/bench_networks.hpp"
#include "app/command.hpp"
#include "app/size_option.hpp"
#include "regatta/base/files.hpp"
#include "regatta/nn/device.hpp"
#include "regatta/nn/model.hpp"
#include "regatta/train/backend_choice.hpp"
#include "regatta/train/step_benchmark.hpp"

namespace regatta::app {
namespace {

constexpr double kValueTolerance = 1e-4;
constexpr double kGradientTolerance = 1e-3;
constexpr double kBackendTolerance = 0.15;        ///< of all gradients together, bf16 activations against float64
constexpr Shape3 kAgreementShape = {64, 80, 96};  ///< each axis rounded up to what the network takes

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
    row["validation_ms"]["metrics"][name] = bench_spread(milliseconds);
  }
  row["validation_ms"]["together"] = bench_spread(times.together_ms);
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
  row["step_ms"] = bench_spread(times.step_ms);
  row["forward_ms"] = bench_spread(times.forward_ms);
  for (const auto& [name, milliseconds] : times.loss_ms) {
    row["loss_ms"][name] = bench_spread(milliseconds);
  }
  row["guard_ms"] = bench_spread(times.guard_ms);
  row["inference_ms"] = bench_spread(times.inference_ms);
  row["inference_captured"] = times.inference_captured;
  row["uncaptured_inference_ms"] = bench_spread(times.uncaptured_inference_ms);
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

class Bench final : public Command {
 public:
  void declare(Arguments& app) override {
    Argument* recipe = app.add_option("--recipe", recipe_,
                                      "measure this recipe's network, losses and optimiser instead of the baseline's");
    app.add_option("--labels", options_.labels,
                   "number of labels of the synthetic heads, if a loss of the recipe needs labels")
        ->capture_default_str()
        ->range(2, 255);
    app.add_option("--model", options_.model, "network")->capture_default_str()->excludes(recipe);
    app.add_option("--model-options", model_options_,
                   "options of the network as JSON; default: the network's own defaults")
        ->excludes(recipe);
    app.add_option("--size", size_, "DxHxW of the volumes")->capture_default_str();
    app.add_option("--archive", options_.archive,
                   "measure on the first training pair of this archive instead of synthetic heads");
    app.add_option("--batch", options_.batch, "pairs per step")->capture_default_str()->range(1, 64);
    app.add_option("--window", options_.ncc_window, "NCC window")->capture_default_str()->excludes(recipe);
    app.add_option("--steps", options_.steps, "timed steps")->capture_default_str()->range(1, 10000);
    app.add_option("--warmup", options_.warmup, "steps before")->capture_default_str()->range(1, 1000);
    app.add_option("--backend", backend_, "both where the fast one can run, fast or reference")
        ->one_of({"both", "fast", "reference"})
        ->capture_default_str();
    app.add_option("--sm", sm_, "80: the forms that an A100 runs, on any GPU; 0: those of the GPU")
        ->one_of({"0", "80"})
        ->capture_default_str();
    app.add_option("--device", options_.run.device, "auto, cpu or cuda:N")->capture_default_str();
    app.add_option("--threads", options_.run.threads, "CPU threads; 0: LibTorch decides")->capture_default_str();
    app.add_option("--networks", networks_, "NAME[,NAME...] or all: measure these networks and their memory instead")
        ->excludes(recipe);
    app.add_flag("--inference", inference_, "with --networks: forward passes without gradients alone");
    app.add_option("--weights", network_.weights,
                   "with one network: its weights (safetensors); default: drawn from seed 0");
    app.add_option("--save-weights", network_.save_weights, "with one network: write its weights to this file");
    app.add_option("--save-flow", network_.save_flow,
                   "with one network: write the field of the synthetic pair to this file");
    app.add_option("-o,--output", output_, "write the figures as JSON to this file; default: print the table only");
    collect_ = app.add_subcommand("collect", "time of a large sweep's report, against reading its journals");
    collect_->add_option("--trials", trials_, "finished trials")->capture_default_str()->range(1, 1000000);
    collect_->add_option("--repeats", repeats_, "measurements of each kind")->capture_default_str();
    data_ = app.add_subcommand(
        "data", "time of packing against inflating the scans, and of loading an archive against reading it");
    data_->add_option("--scan", data_options_.scan, "brain scan that all are made from; without it a made-up head");
    data_->add_option("--count", data_options_.count, "scans")->capture_default_str()->range(2, 1000);
    data_->add_option("--edge", data_options_.size, "edge of the cubes, voxels")->capture_default_str()->range(16, 512);
    data_->add_option("--pack-threads", data_options_.threads, "scans at a time")->capture_default_str()->range(1, 256);
    data_->add_option("--load-bytes", data_options_.load_bytes, "of the archive that is loaded")->capture_default_str();
  }

  ExitCode run() override {
    if (collect_->parsed()) {
      finish(bench_collect(trials_, repeats_));
      return ExitCode::kOk;
    }
    if (data_->parsed()) {
      finish(bench_data(data_options_));
      return ExitCode::kOk;
    }
    options_.shape = shape_from(size_);
    options_.model_options = parse_json(model_options_, "--model-options");
    if (!recipe_.empty()) {
      options_.recipe = recipe_from_json(read_json(recipe_), recipe_);
      options_.model = options_.recipe->model.name;
      options_.model_options = options_.recipe->model.options;
    }
    if (!networks_.empty()) {
      REGATTA_REQUIRE(options_.batch == 1 && options_.model_options.empty(), ConfigError,
                      "--networks measures one pair and default options: leave out --batch and --model-options");
      network_.shape = options_.shape;
      network_.warmup = options_.warmup;
      network_.steps = options_.steps;
      network_.run = options_.run;
      network_.inference_only = inference_;
      finish(bench_networks(networks_, backends(), network_));
      return ExitCode::kOk;
    }
    options_.sm80 = sm_ == "80";
    const bool fast = wants_fast();
    const NccAgreement agreement = compare_ncc({24, 20, 28}, options_.ncc_window, options_.run.device);
    REGATTA_REQUIRE(agreement.value_relative <= kValueTolerance && agreement.gradient_relative <= kGradientTolerance,
                    BugError, "NCC differs from its reference: value by ", agreement.value_relative, ", gradient by ",
                    agreement.gradient_relative);
    Json report = head(agreement);
    std::cout << options_.model << " at " << size_ << ", batch " << options_.batch << ", on "
              << report["device"].get<std::string>() << '\n';
    if (fast) {
      add_agreement(report);
    }
    const auto measure = [&](const std::string& backend) {
      options_.run.backend = backend;
      const StepTimes times = benchmark_step(options_);
      print_row(times);
      report["rows"].push_back(times_to_json(options_, times));
    };
    if (fast) {
      measure("fast");
    }
    if (backend_ != "fast") {
      measure("reference");
    }
    finish(report);
    return ExitCode::kOk;
  }

 private:
  std::vector<std::string> backends() const {
    std::vector<std::string> names;
    if (wants_fast()) {
      names.emplace_back("fast");
    }
    if (backend_ != "fast") {
      names.emplace_back("reference");
    }
    return names;
  }

  bool wants_fast() const {
    if (backend_ == "reference") {
      return false;
    }
    const std::string lack = why_not_fast(choose_device(options_.run.device));
    if (!lack.empty()) {
      REGATTA_REQUIRE(backend_ == "both", DeviceError, "--backend fast: ", lack);
      std::cout << "fast backend: not measured, " << lack << '\n';
    }
    return lack.empty();
  }

  Shape3 agreement_shape() const {
    const int multiple = make_model(options_.model, options_.model_options, {.without_data = true})->size_multiple();
    Shape3 shape = kAgreementShape;
    for (auto& size : shape) {
      size = (size + multiple - 1) / multiple * multiple;
    }
    return shape;
  }

  void add_agreement(Json& report) const {
    const BackendAgreement agreement = compare_backends(options_, agreement_shape());
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

  Json head(const NccAgreement& agreement) const {
    Json report = bench_head("training step", options_.shape, options_.run);
    report["warmup"] = options_.warmup;
    report["steps"] = options_.steps;
    report["ncc_against_float64_oracle"] = {{"value_relative", agreement.value_relative},
                                            {"gradient_relative", agreement.gradient_relative}};
    report["rows"] = Json::array();
    return report;
  }

  void finish(const Json& report) const {
    if (!output_.empty()) {
      write_file_atomically(output_, dump_pretty(report));
      std::cout << "wrote " << output_ << '\n';
    }
  }

  static void print_validation(const StepTimes& times) {
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

  void print_row(const StepTimes& times) const {
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

  StepBenchmarkOptions options_;
  NetworkBenchmarkOptions network_;
  std::string size_ = kPublishedSize;
  std::string recipe_;
  std::string model_options_ = "{}";
  std::string networks_;
  std::string backend_ = "both";
  std::string sm_ = "0";
  std::string output_;
  bool inference_ = false;
  Arguments* collect_ = nullptr;
  Arguments* data_ = nullptr;
  DataBenchmark data_options_;
  std::int64_t trials_ = 10000;
  int repeats_ = 5;
};

}  // namespace

std::unique_ptr<Command> make_bench() {
  return std::make_unique<Bench>();
}

}  // namespace regatta::app
