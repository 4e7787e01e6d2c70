// Faults of one training at the n-th file-system call, at a power cut, by damaged checkpoints and by signals. Every
// run is a fork of this process, which has trained once already and has no threads: a run takes a fraction of a second.
#include <cerrno>
#include <csignal>
#include <map>

#include <ATen/Parallel.h>
#include <sys/stat.h>
#include <unistd.h>

#include "faults/campaign.hpp"
#include "faults/damaged_checkpoints.hpp"
#include "faults/power_cut.hpp"
#include "faults/training_run.hpp"
#include "regatta/base/clock.hpp"
#include "regatta/base/error.hpp"
#include "regatta/base/files.hpp"
#include "regatta/base/log.hpp"
#include "regatta/base/random.hpp"
#include "regatta/base/run_main.hpp"
#include "regatta/base/signals.hpp"
#include "regatta/train/checkpoint.hpp"
#include "unit/train/scene.hpp"

namespace regatta::faults {
namespace {

namespace fs = std::filesystem;

Row faults_at_each_call(const Options& options, const Whole& whole, const Kind& kind) {
  const std::vector<long> numbers = chosen(options, whole.calls, 2);
  const bool dies = kind.fault == Fault::kKillBefore || kind.fault == Fault::kKillAfter;
  const bool passes_by =
      kind.error == ESTALE || kind.error == EINTR || kind.fault == Fault::kShortWrite || kind.fault == Fault::kStall;
  return run_cases(options, "call n: " + kind.name, static_cast<std::int64_t>(numbers.size()),
                   [&](std::int64_t number, const fs::path& folder) -> std::string {
                     const long n = numbers[static_cast<std::size_t>(number)];
                     const std::string at = str("call ", n, ": ");
                     const fs::path run = folder / "run";
                     const ChildEnd end = run_child(plan_of(kind, folder / "run", n), folder / "log",
                                                    [&] { return train(run, whole.recipe); });
                     if (dies ? end.code != -9 && end.code != 0 : end.code != 0 && end.code != 3) {
                       return at + str("ended with ", end.code, ": ", one_line(end.log, 400));
                     }
                     const std::int64_t reached = fs::exists(run) ? newest_step(run) : 0;
                     const bool at_the_end =
                         end.log.find("the final checkpoint could not be written") != std::string::npos;
                     if (end.code == 3 && !at_the_end && reached > 0 && reached < kSteps) {
                       return at + str("the training ended at step ", reached, ": ", one_line(end.log, 400));
                     }
                     if (passes_by && (end.code != 0 || end.log.find("could not save") != std::string::npos)) {
                       return at + str("a save was lost: ", one_line(end.log, 400));
                     }
                     const std::string fault = finish_cleanly(whole, whole.recipe, run, folder / "log.clean");
                     return fault.empty() ? "" : at + fault;
                   });
}

/// Newest checkpoint that was published (its manifest durable) by each record of a trace.
std::vector<std::int64_t> published_by(const std::vector<TraceRecord>& trace) {
  std::vector<std::int64_t> steps;
  std::int64_t written = -1;
  std::int64_t published = -1;
  bool manifest_waits = false;
  for (const TraceRecord& record : trace) {
    const std::string to = fs::path(record.second).filename().string();
    if (record.call == kRename && to == "manifest.json") {
      manifest_waits = true;
    } else if (record.call == kRename && to != "best.safetensors" && to.ends_with(".safetensors")) {
      written = std::stoll(to);
    } else if (record.call == kSync && record.file == 0 && manifest_waits &&
               fs::path(record.first).filename() == "checkpoints") {
      published = written;
      manifest_waits = false;
    }
    steps.push_back(published);
  }
  return steps;
}

/// What is wrong with a disk after a power cut; empty: nothing.
std::string check_state(const fs::path& run, const std::string& hash, std::int64_t published,
                        const std::map<std::int64_t, std::string>& known) {
  const TrialFiles files{run};
  const auto loaded = load_newest_checkpoint(files, hash);
  if (!loaded && published >= 0) {
    return str("the checkpoint of step ", published, " is lost");
  }
  if (loaded && loaded->counters.step < published) {
    return str("step ", loaded->counters.step, " is loaded, step ", published, " was published");
  }
  if (loaded && loaded->file.xxh3 != known.at(loaded->counters.step)) {
    return str("the checkpoint of step ", loaded->counters.step, " has other bytes");
  }
  if (fs::exists(run) && has_bad_files(run)) {
    return "a published checkpoint did not verify";
  }
  std::error_code error;
  if (fs::exists(files.best_weights(), error)) {
    read_safetensors(files.best_weights());
  }
  for (const fs::path& path : {files.recipe(), files.result()}) {
    if (fs::exists(path, error)) {
      read_json(path);
    }
  }
  read_metric_lines(files);
  return "";
}

/// The model of the disk finds what a writer without fsync would lose.
Row missing_fsync(const Options& options, const Whole& whole, const fs::path& root,
                  const std::vector<TraceRecord>& trace, const std::map<std::int64_t, std::string>& known) {
  return run_cases(options, "without fsync a loss is noticed", 1,
                   [&](std::int64_t, const fs::path& folder) -> std::string {
                     Disk disk(root);
                     for (const TraceRecord& record : trace) {
                       if (record.call != kSync || record.file == 0) {
                         disk.apply(record);
                       }
                     }
                     disk.write_state(folder / "state", 0);
                     try {
                       const std::string fault = check_state(folder / "state" / "run", whole.hash, kSteps, known);
                       return fault.empty() ? "nothing was noticed" : "";
                     } catch (const Error&) {
                       return "";
                     }
                   });
}

void power_cuts(const Options& options, const Whole& whole, std::vector<Row>& rows) {
  const fs::path root = options.work / "traced";
  fs::create_directories(root);
  Recipe recipe = whole.recipe;
  recipe.checkpoint.every_steps = 20;
  Plan plan = no_fault();
  std::snprintf(plan.root, sizeof plan.root, "%s", root.c_str());
  std::snprintf(plan.trace, sizeof plan.trace, "%s", (options.work / "trace").c_str());
  const ChildEnd end = run_child(plan, options.work / "log", [&] { return train(root / "run", recipe); });
  REGATTA_REQUIRE(end.code == 0, BugError, "the traced training ended with ", end.code, ": ", end.log);
  const std::vector<TraceRecord> trace = read_trace(options.work / "trace");
  const std::vector<std::int64_t> published = published_by(trace);
  REGATTA_REQUIRE(published.back() == kSteps, BugError, "the trace publishes step ", published.back());
  std::map<std::int64_t, std::string> known;
  Disk last(root);
  for (const TraceRecord& record : trace) {
    last.apply(record);
    if (record.call == kRename && record.second.ends_with(".safetensors") &&
        fs::path(record.second).filename() != "best.safetensors") {
      last.write_state(options.work / "now", 1);
      const SafetensorsFile file =
          read_safetensors(options.work / "now" / fs::path(record.second).lexically_relative(root));
      known[std::stoll(fs::path(record.second).filename().string())] = file.xxh3;
    }
  }
  const std::uint64_t seeds = options.full ? 100 : 3;
  const std::vector<long> cuts = chosen(options, static_cast<long>(trace.size()), 60);
  rows.push_back(missing_fsync(options, whole, root, trace, known));
  rows.push_back(run_cases(options, "power cut", static_cast<std::int64_t>(cuts.size()),
                           [&](std::int64_t number, const fs::path& folder) -> std::string {
                             const auto cut = static_cast<std::size_t>(cuts[static_cast<std::size_t>(number)]);
                             Disk disk(root);
                             for (std::size_t i = 0; i < cut; ++i) {
                               disk.apply(trace[i]);
                             }
                             for (std::uint64_t seed = 0; seed < seeds; ++seed) {
                               disk.write_state(folder / "state", seed < 2 ? seed : seed + options.seed * 1000003);
                               const std::string fault =
                                   check_state(folder / "state" / "run", whole.hash, published[cut - 1], known);
                               if (!fault.empty()) {
                                 return str("cut after record ", cut, ", seed ", seed, ": ", fault);
                               }
                             }
                             return "";
                           }));
}

Row signals(const Options& options, const Whole& whole) {
  return run_cases(
      options, "USR2 or TERM at a random moment", options.full ? 100 : 4,
      [&](std::int64_t number, const fs::path& folder) -> std::string {
        const fs::path run = folder / "run";
        const CounterRng rng(options.seed, RandomPurpose::kSynthetic);
        Recipe recipe = whole.recipe;
        recipe.checkpoint.every_steps = number % 2 == 0 ? 1 : 0;  // half of them inside saves
        const ChildEnd end = run_child(
            no_fault(), folder / "log",
            [&] {
              catch_leave_signals();
              return train(run, recipe);
            },
            [&](int pid) {
              for (int i = 0; i < 60000 && !fs::exists(run / "a1" / "metrics.jsonl"); ++i) {
                ::usleep(1000);
              }
              ::usleep(static_cast<useconds_t>(rng.uniform(static_cast<std::uint64_t>(number), 2) * 3e5));
              ::kill(pid, number % 3 == 0 ? SIGUSR2 : SIGTERM);
            });
        if (end.code != 85 && end.code != 0) {
          return str("ended with ", end.code, ": ", one_line(end.log, 300));
        }
        const auto published = list_checkpoints({run});
        if (end.code == 85 && newest_step(run) > 0 && (published.empty() || published[0].step < newest_step(run))) {
          return str("step ", newest_step(run), " was not saved");
        }
        return finish_cleanly(whole, whole.recipe, run, folder / "log.clean");
      });
}

/// With every fsync taking long, most checkpoints that are due are left out: steps do not wait for a save.
Row slow_disk(const Options& options, const Whole& whole) {
  return run_cases(options, "fsync takes 0.5 s", 1, [&](std::int64_t, const fs::path& folder) -> std::string {
    const fs::path run = folder / "run";
    Plan plan = plan_of({"", Fault::kStall, 0, 1000000}, run, 1);
    plan.calls = kSync;
    plan.stall_ms = 500;
    Recipe recipe = whole.recipe;
    recipe.checkpoint.every_steps = 1;
    const ChildEnd end = run_child(plan, folder / "log", [&] {
      const int code = train(run, recipe);
      write_file_atomically(folder / "calls", str(fault_shim_calls()));
      return code;
    });
    const long syncs = std::stol(read_file(folder / "calls"));
    if (end.code != 0 || syncs > 3 * kSteps) {
      return str("ended with ", end.code, " after ", syncs, " fsyncs");
    }
    return finish_cleanly(whole, whole.recipe, run, folder / "log.clean");
  });
}

/// A training in an odd environment ends like any other.
Row in_environment(const Options& options, const Whole& whole, const std::string& name, const Plan& plan, mode_t mask) {
  return run_cases(options, name, 1, [&](std::int64_t, const fs::path& folder) -> std::string {
    const fs::path run = folder / "run";
    const ChildEnd end = run_child(plan, folder / "log", [&] {
      ::umask(mask);
      return train(run, whole.recipe);
    });
    if (end.code != 0) {
      return str("ended with ", end.code, ": ", one_line(end.log, 300));
    }
    for (const auto& entry : fs::recursive_directory_iterator(run)) {
      struct stat info {};
      ::stat(entry.path().c_str(), &info);
      const mode_t expected = (entry.is_directory() ? 0777U : 0666U) & ~mask;
      if ((info.st_mode & 0777U) != expected) {
        return str(entry.path().filename().string(), ": mode ", info.st_mode & 0777U, ", expected ", expected);
      }
    }
    return finish_cleanly(whole, whole.recipe, run, folder / "log.clean");
  });
}

Row read_only_folder(const Options& options, const Whole& whole) {
  return run_cases(options, "read-only folder", 1, [&](std::int64_t, const fs::path& folder) -> std::string {
    fs::create_directories(folder / "run");
    Plan plan = plan_of({"", Fault::kError, EROFS, 1000000}, folder / "run", 1);  // root may write anywhere
    const ChildEnd end = run_child(plan, folder / "log", [&] { return train(folder / "run", whole.recipe); });
    const bool one_line_only = std::count(end.log.begin(), end.log.end(), '\n') == 1;
    return end.code == 3 && one_line_only && end.log.find("Read-only file system") != std::string::npos
               ? ""
               : str("ended with ", end.code, ": ", end.log);
  });
}

Whole undisturbed(const Options& options) {
  Whole whole;
  fs::create_directories(options.work / "data");
  whole.recipe = test::scene_recipe(test::write_scene(options.work / "data"));
  whole.recipe.model.options = parse_json(R"({"encoder": [1,1,1,1], "decoder": [1,1,1,1,1,1,1]})", "network");
  whole.recipe.train.steps = kSteps;
  whole.recipe.checkpoint.every_steps = 5;
  whole.recipe.checkpoint.keep = 3;
  whole.recipe.validation.every_epochs = 5;
  whole.run = options.work / "whole";
  Plan counting;
  std::snprintf(counting.root, sizeof counting.root, "%s", whole.run.c_str());
  fault_shim_arm(&counting);
  const double start_s = system_clock().monotonic_s();
  REGATTA_REQUIRE(train(whole.run, whole.recipe) == 0, BugError, "the undisturbed training failed");
  whole.calls = fault_shim_calls();
  log_info("one training: ", whole.calls, " file-system calls, ",
           duration_text(system_clock().monotonic_s() - start_s));
  const Plan none = no_fault();
  fault_shim_arm(&none);
  whole.last = test::newest_checkpoint_bytes(whole.run);
  whole.best = test::bytes_of(whole.run / "best.safetensors");
  RecipeResolver resolver;
  whole.hash = resolver.resolve(whole.recipe).hash;
  return whole;
}

int campaign(int argc, char** argv) {
  at::set_num_threads(1);
  const Options options = read_arguments(argc, argv);
  const Whole whole = undisturbed(options);
  std::vector<Row> rows;
  for (const Kind& kind : all_kinds()) {
    rows.push_back(faults_at_each_call(options, whole, kind));
  }
  power_cuts(options, whole, rows);
  rows.push_back(bit_flips(options, whole));
  rows.push_back(truncations(options, whole));
  rows.push_back(all_but_the_oldest(options, whole));
  rows.push_back(all_damaged(options, whole));
  rows.push_back(signals(options, whole));
  rows.push_back(slow_disk(options, whole));
  for (const int error : {EAGAIN, ENOLCK, 524}) {
    Plan plan = no_fault();
    plan.lock_error = error;
    rows.push_back(in_environment(options, whole, str("flock fails with ", error), plan, 022));
  }
  Plan jumping = no_fault();
  jumping.clock_jump_s = 86400;
  rows.push_back(in_environment(options, whole, "wall clock leaps by a day", jumping, 022));
  rows.push_back(in_environment(options, whole, "umask 077", no_fault(), 077));
  rows.push_back(in_environment(options, whole, "umask 002", no_fault(), 002));
  rows.push_back(read_only_folder(options, whole));
  return finish(options, "training_faults", rows);
}

}  // namespace
}  // namespace regatta::faults

int main(int argc, char** argv) {
  return regatta::run_main([&] { return static_cast<regatta::ExitCode>(regatta::faults::campaign(argc, argv)); });
}
