// `regatta bench`: its four parts, whose measuring is the layer `bench`. Each writes one JSON file.
#include <iostream>

#include "app/command_group.hpp"
#include "app/size_option.hpp"
#include "regatta/base/files.hpp"
#include "regatta/bench/collect.hpp"
#include "regatta/bench/data.hpp"
#include "regatta/bench/networks.hpp"
#include "regatta/bench/step.hpp"
#include "regatta/nn/device.hpp"
#include "regatta/train/backend_choice.hpp"

namespace regatta::app {
namespace {

/// A part, which gives its figures.
class Benchmark : public Command {
 public:
  void declare(Arguments& app) final {
    declare_own(app);
    app.add_option("-o,--output", output_, "write the figures as JSON to this file; default: print the table only");
  }

  ExitCode run() final {
    const Json report = measure();
    if (!output_.empty()) {
      write_file_atomically(output_, dump_pretty(report));
      std::cout << "wrote " << output_ << '\n';
    }
    return ExitCode::kOk;
  }

 private:
  virtual void declare_own(Arguments& app) = 0;
  virtual Json measure() = 0;

  std::string output_;
};

/// How long, how large, by which backends: the options that steps and networks have in common.
struct MeasuredRun {
  RunOptions run;
  std::string size = kPublishedSize;
  std::string backend = "both";
  int steps = 10;
  int warmup = 4;

  void declare(Arguments& app) {
    app.add_option("--size", size, "DxHxW of the volumes")->capture_default_str();
    app.add_option("--steps", steps, "timed steps")->capture_default_str()->range(1, 10000);
    app.add_option("--warmup", warmup, "steps before the timed ones")->capture_default_str()->range(1, 1000);
    app.add_option("--backend", backend, "both where the fast one can run, fast or reference")
        ->one_of({"both", "fast", "reference"})
        ->capture_default_str();
    app.add_option("--device", run.device, "auto, cpu or cuda:N")->capture_default_str();
    app.add_option("--threads", run.threads, "CPU threads; 0: LibTorch decides")->capture_default_str();
  }

  std::vector<std::string> backends() const {
    std::vector<std::string> names;
    if (backend != "reference") {
      const std::string lack = why_not_fast(choose_device(run.device));
      REGATTA_REQUIRE(lack.empty() || backend == "both", DeviceError, "--backend fast: ", lack);
      if (lack.empty()) {
        names.emplace_back("fast");
      } else {
        std::cout << "fast backend: not measured, " << lack << '\n';
      }
    }
    if (backend != "fast") {
      names.emplace_back("reference");
    }
    return names;
  }
};

class BenchStep final : public Benchmark {
  void declare_own(Arguments& app) override {
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
    app.add_option("--archive", options_.archive,
                   "measure on the first training pair of this archive instead of synthetic heads");
    app.add_option("--batch", options_.batch, "pairs per step")->capture_default_str()->range(1, 64);
    app.add_option("--window", options_.ncc_window, "NCC window")->capture_default_str()->excludes(recipe);
    app.add_option("--sm", sm_, "80: the forms that an A100 runs, on any GPU; 0: those of the GPU")
        ->one_of({"0", "80"})
        ->capture_default_str();
    run_.declare(app);
  }

  Json measure() override {
    options_.shape = shape_from(run_.size);
    options_.run = run_.run;
    options_.steps = run_.steps;
    options_.warmup = run_.warmup;
    options_.sm80 = sm_ == "80";
    options_.model_options = parse_json(model_options_, "--model-options");
    if (!recipe_.empty()) {
      options_.recipe = recipe_from_json(read_json(recipe_), recipe_);
      options_.model = options_.recipe->model.name;
      options_.model_options = options_.recipe->model.options;
    }
    return bench::measure_step(options_, run_.backends());
  }

  StepBenchmarkOptions options_;
  MeasuredRun run_;
  std::string recipe_;
  std::string model_options_ = "{}";
  std::string sm_ = "0";
};

class BenchNetworks final : public Benchmark {
  void declare_own(Arguments& app) override {
    app.add_option("names", names_, "NAME[,NAME...] or all")->required();
    app.add_flag("--inference", options_.inference_only, "forward passes without gradients alone");
    app.add_option("--weights", options_.weights,
                   "with one network: its weights (safetensors); default: drawn from seed 0");
    app.add_option("--save-weights", options_.save_weights, "with one network: write its weights to this file");
    app.add_option("--save-flow", options_.save_flow,
                   "with one network: write the field of the synthetic pair to this file");
    run_.declare(app);
  }

  Json measure() override {
    options_.shape = shape_from(run_.size);
    options_.run = run_.run;
    options_.steps = run_.steps;
    options_.warmup = run_.warmup;
    return bench::measure_networks(names_, run_.backends(), options_);
  }

  NetworkBenchmarkOptions options_;
  MeasuredRun run_;
  std::string names_;
};

class BenchData final : public Benchmark {
  void declare_own(Arguments& app) override {
    app.add_option("--scan", options_.scan, "brain scan that all are made from; default: a synthetic head");
    app.add_option("--count", options_.count, "scans")->capture_default_str()->range(2, 1000);
    app.add_option("--edge", options_.size, "edge of the cubes, voxels")->capture_default_str()->range(16, 512);
    app.add_option("--pack-threads", options_.threads, "scans at a time")->capture_default_str()->range(1, 256);
    app.add_option("--load-bytes", options_.load_bytes, "size of the archive that is loaded")->capture_default_str();
  }

  Json measure() override { return bench::measure_data(options_); }

  bench::DataBenchmark options_;
};

class BenchCollect final : public Benchmark {
  void declare_own(Arguments& app) override {
    app.add_option("--trials", trials_, "finished trials")->capture_default_str()->range(1, 1000000);
    app.add_option("--repeats", repeats_, "measurements of each kind")->capture_default_str();
  }

  Json measure() override { return bench::measure_collect(trials_, repeats_); }

  std::int64_t trials_ = 10000;
  int repeats_ = 5;
};

}  // namespace

std::unique_ptr<Command> make_bench() {
  auto group = std::make_unique<CommandGroup>();
  group->add("step", "one training step of a network by stages, both backends side by side",
             std::make_unique<BenchStep>());
  group->add("networks", "time and memory of a step and of inference, for many networks",
             std::make_unique<BenchNetworks>());
  group->add("data", "packing against inflating the scans, and loading an archive against reading the file",
             std::make_unique<BenchData>());
  group->add("collect", "the report of a large sweep against reading its journals", std::make_unique<BenchCollect>());
  return group;
}

}  // namespace regatta::app
