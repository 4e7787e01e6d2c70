// What a sweep is: the resolved job as born (SWEEP/job.json), its identity, and the trials that follow from it.
// Opening a sweep again compares identities; nothing here runs anything.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "regatta/sweep/describer.hpp"
#include "regatta/sweep/layout.hpp"
#include "regatta/sweep/space.hpp"
#include "regatta/sweep/state.hpp"

namespace regatta {

inline constexpr int kSweepSchema = 1;

/// The axis along which trials are one setting: folds of a cross-validation.
inline constexpr const char* kFoldAxis = "/data/fold";

/// A job whose names have been checked against the models.
struct SweepDefinition {
  JobOptions job;       ///< recipe: all Recipe fields written out; objective.direction filled in; trials as written
  Description base;     ///< of the base recipe; where folds are an axis, with the first trial's
  Json identity;        ///< what defines the experiment: no totals, budgets, resources, paths
  std::string hash;     ///< of the identity
  std::int64_t trials;  ///< in total, at birth

  bool maximise() const { return job.objective.direction == "maximise"; }
};

/// What the fold must know of a definition.
SweepRules rules_of(const SweepDefinition& definition);

/// Resolves a job: base recipe, objective direction, identity. Asks the describer once, for the base recipe.
/// @throws ConfigError: unknown axis, sampler or metric; objective metric that is not the recipe's /validation/best
SweepDefinition define_sweep(const JobOptions& job, Describer& describer);

Json to_json(const SweepDefinition& definition);

/// @throws DataError naming `source` on another schema or missing members
SweepDefinition definition_from_json(const Json& value, const std::string& source);

/// Reads SWEEP/job.json. @throws DataError if there is none ("not a sweep")
SweepDefinition read_definition(const SweepFiles& files);

struct OpenedSweep {
  SweepDefinition
      definition;  ///< identity, base and `trials` as born; resources, budgets and paths of the job given now
  std::int64_t asked_trials = 0;  ///< total that the job given now asks for
  bool created = false;
};

/// A new directory gets job.json (exclusively: of two processes at once one creates, the other opens). An existing one
/// must have the same identity. If `asked_trials` exceeds `SweepState::total()` the caller appends an "extend" record;
/// if it is smaller nothing changes (totals already reached stay; the caller says so).
/// @throws ConfigError with all differences if the experiment has changed
OpenedSweep create_or_open(const SweepFiles& files, const SweepDefinition& definition);

/// Puts "/optim/lr=0.001" settings into the job's recipe; the value is JSON, or a string if it is not.
/// @throws ConfigError: no '=', an unknown option, an axis of this job
void apply_settings(JobOptions& job, const std::vector<std::string>& settings);

/// One trial, resolved and described.
struct TrialPlan {
  TrialPoint trial;
  std::int64_t seed = 0;    ///< /train/seed
  Description description;  ///< `.resolved` is the trial's recipe.json, `.hash` its recipe hash; `.error` is empty
};

/// Trials first .. first + count - 1, described in one call. @throws ConfigError naming the first trial that is refused
std::vector<TrialPlan> plan_trials(const SweepDefinition& definition, std::int64_t first, std::int64_t count,
                                   Describer& describer);

/// Writes trials/tNNNNN/recipe.json. A recipe already there must define the same training (its paths and resources may
/// differ: the new ones hold). @throws DataError with the differences if it does not
void write_trial_recipe(const TrialFiles& files, const TrialPlan& plan);

}  // namespace regatta
