// Described trials, and the birth of a trial.
#include "launch/trial_book.hpp"

#include <algorithm>

#include "regatta/base/error.hpp"
#include "regatta/base/files.hpp"

namespace regatta {
namespace {

int threads_of(const Json& recipe, const std::string& source) {
  const Json* threads = find_pointer(recipe, "/run/threads");
  REGATTA_REQUIRE(threads != nullptr && threads->is_number_integer(), DataError, source, ": no /run/threads");
  return threads->get<int>();
}

}  // namespace

void TrialBook::describe(std::int64_t first, std::int64_t end) {
  if (first < end) {
    for (TrialPlan& plan : plan_trials(definition_, first, end - first, *describer_)) {
      const std::int64_t number = plan.trial.number;
      all_steps_ += static_cast<double>(plan.description.steps - steps(number));
      plans_.insert_or_assign(number, std::move(plan));
    }
  }
}

void TrialBook::forget(std::int64_t trial) {
  if (const auto found = plans_.find(trial); found != plans_.end()) {
    all_steps_ -= static_cast<double>(found->second.description.steps);
    plans_.erase(found);
  }
}

void TrialBook::follow(const SweepState& state) {
  if (state.proposals().size() > definition_.proposals.size()) {
    definition_.proposals = state.proposals();
    const TrialList trials = trials_of(definition_);
    std::vector<std::int64_t> other;  // trials that were described with a point that only could have come there
    for (const auto& [number, plan] : plans_) {
      const TrialPoint now = plan.trial.open ? trials.trial(number) : plan.trial;
      if (plan.trial.open && !now.open && now.point != plan.trial.point) {
        other.push_back(number);
      }
    }
    std::for_each(other.begin(), other.end(), [this](std::int64_t number) { forget(number); });
  }
  const std::vector<Extension>& extensions = state.extensions();
  if (extensions.size() == definition_.extensions.size()) {
    return;
  }
  definition_.extensions = extensions;
  if (const std::int64_t length = length_number(extensions); length != length_) {
    length_ = length;
    plans_.clear();
    all_steps_ = 0.0;
  }
}

const TrialPlan& TrialBook::plan(std::int64_t trial) {
  if (!plans_.contains(trial)) {
    describe(trial, trial + 1);
  }
  return plans_.at(trial);
}

std::optional<std::string> TrialBook::refusal(std::int64_t trial) {
  if (describer_ == nullptr || plans_.contains(trial)) {
    return std::nullopt;
  }
  try {
    plan(trial);
    return std::nullopt;
  } catch (const Error& error) {
    if (!trials_of(definition_).space().reads_history()) {
      throw;
    }
    return error.what();
  }
}

std::int64_t TrialBook::steps(std::int64_t trial) const {
  const auto found = plans_.find(trial);
  return found == plans_.end() ? 0 : found->second.description.steps;
}

std::int64_t TrialBook::rung_step(std::int64_t trial, int rung) {
  return rungs_of(definition_).at(static_cast<std::size_t>(rung)) * epoch_steps(plan(trial).description);
}

void TrialBook::drop_checkpoints(const TrialFiles& files) {
  retire_checkpoints(files, false, 0);
}

double TrialBook::mean_steps() const {
  return plans_.empty() ? 0.0 : all_steps_ / static_cast<double>(plans_.size());
}

std::optional<TrialResult> TrialBook::standing_result(const TrialFiles& files) const {
  if (!std::filesystem::exists(files.result())) {
    return std::nullopt;
  }
  return result_from_json(read_json(files.result()), files.result().string());
}

int TrialBook::bear(std::int64_t trial, const TrialFiles& files, int threads) {
  TrialPlan now = plan(trial);
  Json& recipe = now.description.resolved;
  int kept = threads_of(recipe, files.recipe().string());
  if (std::filesystem::exists(files.recipe())) {
    kept = threads_of(read_json(files.recipe()), files.recipe().string());
  } else if (kept == 0) {
    kept = threads;
  }
  set_pointer(recipe, "/run/threads", kept);
  write_trial_recipe(files, now);
  return kept;
}

}  // namespace regatta
