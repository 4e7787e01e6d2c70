// `regatta train recipe.json`: one training in its own folder; the same command again continues it. The training is in
// train/trainer, the folder's rules in train/run_folder.
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <iostream>
#include <optional>

#include "app/command.hpp"
#include "regatta/base/log.hpp"
#include "regatta/base/progress.hpp"
#include "regatta/base/shell.hpp"
#include "regatta/base/signals.hpp"
#include "regatta/base/version.hpp"
#include "regatta/config/idle_options.hpp"
#include "regatta/config/settings.hpp"
#include "regatta/nn/device.hpp"
#include "regatta/train/group_run.hpp"
#include "regatta/train/memory_forecast.hpp"
#include "regatta/train/run_folder.hpp"
#include "regatta/train/trainer.hpp"

namespace regatta::app {
namespace {

namespace fs = std::filesystem;

/// Four significant digits: what a line on a terminal has room for.
std::string short_number(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.4g", value);
  return text;
}

std::string numbers_text(const std::map<std::string, double>& numbers) {
  std::vector<std::string> parts;
  for (const auto& [name, value] : numbers) {
    parts.push_back(str(name, " ", short_number(value)));
  }
  return join(parts, ", ");
}

/// Shows a training to a person: a bar on a terminal, lines in a log.
class TerminalObserver final : public TrainObserver {
 public:
  TerminalObserver(std::int64_t steps, double every_s)
      : steps_(steps), options_(ProgressOptions::for_stderr(every_s)) {}

  void on_start(const StartNote& note) override {
    if (note.checkpoint.empty()) {
      log_info("starting at step 0");
    } else {
      log_info("resume: step ", note.step, " from ", note.checkpoint, ", ", note.resume,
               note.resume_reason.empty() ? "" : ": ", note.resume_reason);
    }
    if (note.members > 1) {
      log_info("batches are spread over ", note.members, " processes, what each prints is in log.txt and log-N.txt");
    }
    log_info("data on the device: ", note.data_text(), "; ", note.threads, " CPU threads; backend ", note.parts);
    bar_.emplace("train", steps_, options_, note.step);
  }

  void on_progress(const TrainProgress& progress) override {
    if (progress.to_validate > 0) {
      bar_->update(progress.step, str("validating ", progress.validated, "/", progress.to_validate));
      return;
    }
    bar_->update(progress.step,
                 str("epoch ", progress.epoch + 1, "/", progress.epochs, ", ", numbers_text(progress.losses), ", ",
                     short_number(progress.ms_per_step), " ms/step"));
  }

  void on_validation(const ValidationNote& note) override {
    log_info("step ", note.step, ", epoch ", note.epoch, ": validation ", numbers_text(note.metrics),
             note.is_best ? "  (best so far)" : "");
  }

  void on_checkpoint(const CheckpointNote& note) override {
    log_debug("step ", note.step, ": checkpoint ", note.file, ", ", duration_text(note.save_s));
  }

  bool should_leave() override { return leave_requested(); }

  void finish(std::int64_t step, std::string_view last) {
    if (bar_) {
      bar_->update(step, last);
      bar_->finish(last);
    }
  }

 private:
  std::int64_t steps_;
  ProgressOptions options_;
  std::optional<Progress> bar_;
};

class Train final : public Command {
 public:
  void declare(Arguments& app) override {
    app.add_option("recipe", recipe_path_, "recipe file (docs/recipes.md)")->required();
    app.add_option("-o,--output", output_, "the run's folder; default: runs/NAME of the recipe file");
    app.add_option("--set", sets_, "change an option: /optim/lr=1e-3; may be given several times");
    app.add_option("--device", device_, "auto, cpu or cuda:N; default: the recipe's /run/device");
    app.add_option("--gpus", gpus_,
                   "train on N GPUs of this machine, the batch spread over them; with --device cpu: over N processes")
        ->range(1, 64);
    app.add_option("--threads", threads_, "CPU threads; default: the recipe's /run/threads")->range(1, 1024);
    app.add_option("--patience", patience_s_,
                   "with --gpus: seconds that a process may give no sign of life once the first step is done, or 20 "
                   "steps if that is longer")
        ->range(1.0, 86400.0);
    app.add_flag("--log-pairs", log_pairs_,
                 "write the pairs of each step to a1/steps.jsonl of the run's folder (/run/log_pairs)");
    app.add_flag("--fresh", fresh_, "start from the beginning, even if the folder holds checkpoints");
  }

  ExitCode run() override {
    catch_leave_signals();
    const fs::path folder = output_.empty() ? fs::path("runs") / fs::path(recipe_path_).stem() : fs::path(output_);
    const TrialFiles files{folder};
    RecipeResolver resolver;
    Recipe recipe = read_recipe(fresh_ || !fs::exists(files.recipe()));
    std::int64_t forecast_bytes = 0;
    try {  // everything that can be wrong with it is said before a folder is made
      const ResolvedRecipe resolved = resolver.resolve(recipe);
      require_group(resolved, gpus_);
      require_group_device(recipe);
      forecast_bytes = MemoryForecast().bytes(of_one_member(resolved));
    } catch (const ConfigError& error) {
      throw ConfigError(str(recipe_path_, ": ", error.what()));
    }
    const RunOwner owner(folder);
    TrainSetup setup;
    setup.resolved =
        settle_recipe(files, std::move(recipe), resolver, fresh_ ? Existing::kForget : Existing::kContinue);
    setup.files = files;
    if (const auto result = finished_result(files, setup.resolved)) {
      log_info("nothing left to do: ", result->steps, " steps trained, ", setup.resolved.steps, " asked for");
      print_end(files, *result);
      return ExitCode::kOk;
    }
    setup.attempt = next_attempt(files);
    TerminalObserver observer(setup.resolved.steps, setup.resolved.recipe.run.log_every_s);
    if (gpus_ > 1) {
      return end(files, train_together(std::move(setup), forecast_bytes, observer));
    }
    setup.device = choose_device(setup.resolved.recipe.run.device);
    print_start(setup, forecast_bytes);
    const Archive& archive = resolver.archive(setup.resolved.recipe.data.archive);
    const TrainOutcome outcome = Trainer(std::move(setup), observer).run(archive);
    observer.finish(outcome.step, status_name(outcome.status));
    return end(files, outcome);
  }

 private:
  /// What one process has of the batch.
  ResolvedRecipe of_one_member(ResolvedRecipe resolved) const {
    resolved.recipe.train.batch = (resolved.recipe.train.batch + gpus_ - 1) / gpus_;
    return resolved;
  }

  void require_group_device(const Recipe& recipe) const {
    const std::string& device = recipe.run.device;
    REGATTA_REQUIRE(gpus_ == 1 || device == "auto" || device == "cpu", ConfigError, "--gpus ", gpus_, " beside ",
                    device_.empty() ? "/run/device " : "--device ", device,
                    ": takes the first GPUs that are visible; allowed beside it: auto, cpu");
    if (gpus_ > 1 && device == "auto") {
      gpus_of_members(gpus_, visible_gpus());
    }
  }

  /// By several processes, of which this one is none.
  TrainOutcome train_together(TrainSetup setup, std::int64_t forecast_bytes, TerminalObserver& observer) const {
    const Recipe& recipe = setup.resolved.recipe;
    GroupOrder order;
    order.program = {std::filesystem::read_symlink("/proc/self/exe").string(), "worker"};
    order.files = setup.files;
    order.attempt = setup.attempt;
    order.members = gpus_;
    order.threads = std::max(1, recipe.run.threads / gpus_);
    if (recipe.run.device != "cpu") {
      order.gpus = gpus_of_members(gpus_, visible_gpus());
      setup.device = choose_device("cuda:0");
    }
    order.patience_s = patience_s_;
    print_start(setup, forecast_bytes);
    TrainOutcome outcome = run_group(order, observer);
    observer.finish(outcome.step, status_name(outcome.status));
    return outcome;
  }

  Recipe read_recipe(bool is_new) const {
    const fs::path path(recipe_path_);
    Json json = read_json(path);
    Recipe recipe = recipe_from_json(json, recipe_path_);
    recipe = with_settings(std::move(recipe), idle_in_text(json), is_new);
    if (!device_.empty()) {
      recipe.run.device = device_;
    }
    if (threads_ > 0) {
      recipe.run.threads = threads_;
    }
    recipe.run.log_pairs = recipe.run.log_pairs || log_pairs_;
    for (std::string* option : {&recipe.data.archive, &recipe.model.init_from}) {
      *option = absolute_path(*option, path.parent_path());
    }
    return recipe;
  }

  /// The recipe with every --set applied; keys inside plug-in options may be new, their plug-in judges them.
  /// @param idle  what its text gives without an effect
  Recipe with_settings(Recipe recipe, const std::vector<std::string>& idle, bool is_new) const {
    Json json = write_options(recipe);
    require_distinct_settings(sets_);
    for (const std::string& setting : sets_) {
      const auto [pointer, value] = parse_setting(setting);
      REGATTA_REQUIRE((pointer != "/run/device" || device_.empty()) && (pointer != "/run/threads" || threads_ == 0),
                      ConfigError, "--set ", one_line(setting, 80), ": is replaced by ",
                      pointer == "/run/device" ? "--device" : "--threads", "; give one of them");
      const std::size_t options = pointer.rfind("/options/");
      if (options != std::string::npos) {
        Json changed = find_pointer(json, pointer.substr(0, options + 8)) != nullptr
                           ? *find_pointer(json, pointer.substr(0, options + 8))
                           : Json::object();
        changed[pointer.substr(options + 9)] = value;
        set_pointer(json, pointer.substr(0, options + 8), changed);
      } else {
        set_pointer(json, pointer, value);
      }
    }
    Recipe changed = recipe_from_json(json, str(recipe_path_, " with --set"));
    require_effect(write_options(changed), sets_, idle, is_new);
    return changed;
  }

  std::string device_text(const TrainSetup& setup) const {
    if (gpus_ == 1) {
      return str(setup.device.str(), " (", device_name(setup.device), ")");
    }
    return setup.device.is_cpu() ? str(gpus_, " processes on the cpu")
                                 : str(gpus_, " GPUs (", device_name(setup.device), ")");
  }

  void print_start(const TrainSetup& setup, std::int64_t forecast_bytes) const {
    const ResolvedRecipe& resolved = setup.resolved;
    const Recipe& recipe = resolved.recipe;
    std::vector<std::string> losses;
    for (const auto& [name, term] : recipe.losses) {
      losses.push_back(str(short_number(term.weight), " x ", name));
    }
    std::cout << str("run        ", setup.files.root.string(), ", attempt ", setup.attempt, '\n',  //
                     "recipe     ", resolved.hash, ", seed ", recipe.train.seed, '\n',             //
                     "network    ", recipe.model.name, ", ", resolved.parameters, " parameters, ",
                     short_number(resolved.mul_adds / 1e9), " G multiply-adds\n",  //
                     recipe.model.init_from.empty() ? "" : str("starts     from ", recipe.model.init_from, '\n'),
                     "losses     ", join(losses, " + "), '\n',  //
                     "optimiser  ", recipe.optim.name, recipe.optim.amsgrad ? " (AMSGrad)" : "", ", lr ",
                     recipe.optim.lr, ", ", recipe.optim.schedule, " over ", recipe.optim.horizon_epochs,
                     " epochs\n",  //
                     "length     ", resolved.steps, " steps, ", resolved.steps_per_epoch, " an epoch, batch ",
                     recipe.train.batch,
                     '\n',  //
                     "data       ", recipe.data.archive, ", ", shape_text(resolved.data.shape), ", ",
                     resolved.data.train.pairs, " + ", resolved.data.val.pairs, " pairs, ",
                     bytes_text(static_cast<double>(resolved.data.resident_bytes)), ", fingerprint ",
                     resolved.data.fingerprint, '\n',  //
                     "memory     ", bytes_text(static_cast<double>(forecast_bytes)), " by forecast",
                     gpus_ > 1 ? ", for each process" : "", "\n", "device     ", device_text(setup), ", ",
                     recipe.run.threads, " threads\n",  //
                     "versions   regatta ", build_id(), ", ", torch_version_text(), '\n')
              << std::flush;
  }

  ExitCode end(const TrialFiles& files, const TrainOutcome& outcome) const {
    if (outcome.status == AttemptStatus::kOk) {
      print_end(files, outcome.result.value());
      return ExitCode::kOk;
    }
    if (outcome.status == AttemptStatus::kPaused) {
      log_info(outcome.message, "; the same command continues");
      return ExitCode::kRequeue;
    }
    throw Error(ExitCode::kDiverged,
                str(status_name(outcome.status), " at step ", outcome.step, ": ", outcome.message));
  }

  static void print_end(const TrialFiles& files, const TrialResult& result) {
    const std::string& metric = result.best_metric;
    const auto value = [&](const std::map<std::string, double>& numbers) {
      const auto found = numbers.find(metric);
      return found == numbers.end() ? std::string("-") : short_number(found->second);
    };
    std::cout << str("done       ", result.steps, " steps in ", duration_text(result.train_s), ", ",
                     short_number(result.ms_per_step), " ms/step, attempt ", result.attempts, ", resume ",
                     result.resume, '\n',  //
                     "validation ", metric, " ", value(result.initial), " -> ", value(result.best), " at step ",
                     result.best_step, '\n', "weights    ", files.best_weights().string(), '\n',  //
                     "use        regatta register --model ", shell_quote(files.best_weights().string()),
                     " --fixed FIXED.nii.gz --moving MOVING.nii.gz -o out\n")
              << std::flush;
  }

  std::string recipe_path_;
  std::string output_;
  std::vector<std::string> sets_;
  std::string device_;
  int threads_ = 0;
  int gpus_ = 1;
  double patience_s_ = 60.0;
  bool log_pairs_ = false;
  bool fresh_ = false;
};

}  // namespace

std::unique_ptr<Command> make_train() {
  return std::make_unique<Train>();
}

}  // namespace regatta::app
