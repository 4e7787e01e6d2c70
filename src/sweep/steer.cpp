#include "regatta/sweep/steer.hpp"

#include <algorithm>
#include <chrono>
#include <system_error>

#include "regatta/base/error.hpp"
#include "regatta/config/recipe.hpp"
#include "regatta/sweep/definition.hpp"
#include "regatta/sweep/journal.hpp"
#include "regatta/sweep/state.hpp"

namespace regatta {
namespace {

namespace fs = std::filesystem;
constexpr auto kOldTemporary = std::chrono::hours(24);

SweepState read_state(const SweepFiles& files) {
  SweepState state(rules_of(read_definition(files)));
  JournalReader reader(files.journal());
  state.apply(reader.poll());
  return state;
}

bool is_without_weights(const TrialState& trial) {
  return trial.phase == TrialPhase::kDone && trial.status != TrialStatus::kOk && trial.status != TrialStatus::kPruned;
}

/// Nothing if it cannot be read.
std::optional<Recipe> recipe_in(const TrialFiles& files) {
  try {
    return recipe_from_json(read_json(files.recipe()), files.recipe().string());
  } catch (const Error&) {
    return std::nullopt;
  }
}

class Cleaner {
 public:
  explicit Cleaner(bool dry_run) : dry_run_(dry_run) {}

  void remove_checkpoints(const TrialFiles& files, bool keep_final, std::int64_t anchor_steps) {
    RemovedFiles removed = retire_checkpoints(files, keep_final, anchor_steps, dry_run_);
    cleaned_.files += static_cast<std::int64_t>(removed.paths.size());
    cleaned_.bytes += removed.bytes;
    cleaned_.paths.insert(cleaned_.paths.end(), removed.paths.begin(), removed.paths.end());
  }

  /// Files that a killed writer left under a temporary name. Young ones may be in use.
  void remove_old_temporaries(const fs::path& folder) {
    std::error_code error;
    for (const auto& entry : fs::directory_iterator(folder, error)) {
      const std::string name = entry.path().filename().string();
      const bool is_temporary = name.starts_with('.') && name.find(".tmp.") != std::string::npos;
      if (is_temporary && fs::file_time_type::clock::now() - entry.last_write_time(error) > kOldTemporary) {
        count(entry.path());
        if (!dry_run_) {
          fs::remove(entry.path(), error);
        }
      }
    }
  }

  Cleaned done() && { return std::move(cleaned_); }

 private:
  void count(const fs::path& path) {
    std::error_code error;
    const auto bytes = fs::file_size(path, error);
    ++cleaned_.files;
    cleaned_.bytes += error ? 0 : static_cast<std::int64_t>(bytes);
    cleaned_.paths.push_back(path);
  }

  bool dry_run_;
  Cleaned cleaned_;
};

}  // namespace

StopOrder order_stop(const SweepFiles& files, bool drain) {
  const SweepState state = read_state(files);
  StopOrder order;
  order.finished = state.finished();
  std::vector<std::string> shards;
  for (const auto& [shard, owner] : state.owners()) {
    if (!state.has_left(shard)) {
      shards.push_back(shard);
      if (liveness(owner.process) != Liveness::kGone) {
        order.running.push_back(str("job ", owner.place.job, " on ", owner.process.host));
      }
    }
  }
  const std::set<std::string> jobs = state.slurm_jobs();
  order.jobs.assign(jobs.begin(), jobs.end());
  JournalWriter writer(files.journal(), this_job());
  writer.append("stop", {{"shards", shards}, {"jobs", order.jobs}, {"drain", drain}});
  writer.commit();
  return order;
}

std::vector<RetriedTrial> order_retry(const SweepFiles& files, const std::vector<std::int64_t>& trials) {
  const SweepState state = read_state(files);
  std::vector<std::int64_t> chosen = trials;
  if (chosen.empty()) {
    for (const TrialState& trial : state.trials()) {
      if (is_without_weights(trial)) {
        chosen.push_back(trial.number);
      }
    }
  }
  std::sort(chosen.begin(), chosen.end());
  chosen.erase(std::unique(chosen.begin(), chosen.end()), chosen.end());
  for (const std::int64_t number : chosen) {
    REGATTA_REQUIRE(number >= 0 && number < state.total(), ConfigError, "retry: trial ", number,
                    ", the sweep has trials 0 to ", state.total() - 1);
    const TrialState trial = state.trial(number);
    REGATTA_REQUIRE(is_without_weights(trial), ConfigError, "retry: ", trial_name(number), " is ",
                    trial.status ? status_name(*trial.status) : phase_name(trial.phase),
                    "; only trials that ended without weights are tried again");
  }
  if (!chosen.empty()) {
    JournalWriter writer(files.journal(), this_job());
    for (const std::int64_t number : chosen) {
      writer.append("retry", {{"trial", number}, {"attempt", state.trial(number).attempts}});
    }
    writer.commit();
  }
  std::vector<RetriedTrial> retried;
  for (const std::int64_t number : chosen) {
    const auto checkpoints = list_checkpoints(files.trial(number));
    retried.push_back({number, checkpoints.empty() ? 0 : checkpoints.front().step});
  }
  return retried;
}

Cleaned clean_sweep(const SweepFiles& files, const CleanOptions& options) {
  const SweepState state = read_state(files);
  Cleaner cleaner(options.dry_run);
  cleaner.remove_old_temporaries(files.root);
  cleaner.remove_old_temporaries(files.claims());
  for (const TrialState& trial : state.trials()) {
    if (trial.phase != TrialPhase::kDone || (is_without_weights(trial) && !options.failed)) {
      continue;
    }
    const TrialFiles own = files.trial(trial.number);
    cleaner.remove_old_temporaries(own.root);
    const std::optional<Recipe> recipe = recipe_in(own);
    const bool keep_final =
        trial.status == TrialStatus::kOk && recipe && recipe->checkpoint.keep_final && !options.final;
    cleaner.remove_checkpoints(own, keep_final, keep_final ? recipe->guard.anchor_steps : 0);
    for (const int attempt : own.attempts()) {
      cleaner.remove_old_temporaries(own.attempt(attempt));
    }
  }
  return std::move(cleaner).done();
}

}  // namespace regatta
