// What a sweep is: the resolved job as born (SWEEP/job.json), its identity, and the trials that follow from it.
// Opening a sweep again compares identities; nothing here runs anything.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "regatta/sweep/describer.hpp"
#include "regatta/sweep/extension.hpp"
#include "regatta/sweep/layout.hpp"
#include "regatta/sweep/scheduler.hpp"
#include "regatta/sweep/space.hpp"
#include "regatta/sweep/state.hpp"

namespace regatta {

inline constexpr int kSweepSchema = 1;

/// A job whose names have been checked against the models.
struct SweepDefinition {
  JobOptions job;       ///< recipe: all Recipe fields written out; objective.direction filled in; trials as written
  Description base;     ///< of the base recipe; where folds are an axis, with the first trial's
  Json identity;        ///< what defines the experiment: no totals, budgets, resources, paths
  std::string hash;     ///< of the identity
  std::int64_t trials;  ///< in total, at birth
  std::vector<Extension> extensions;  ///< of a sweep that is there, by number, as its journal shows them
  ProposedSettings proposals;         ///< the same, of a sampler that reads the history
  std::vector<std::string> notes;     ///< what a person should know of the job: values that stand twice

  bool maximise() const { return job.objective.direction == "maximise"; }
};

/// What the replay must know of a definition.
SweepRules rules_of(const SweepDefinition& definition);

/// Epochs at which every trial pauses, before its end; empty: none. @throws ConfigError if no rung fits
std::vector<std::int64_t> rungs_of(const SweepDefinition& definition);

/// Epochs of the base recipe's training as born, begun ones included.
std::int64_t epochs_of(const SweepDefinition& definition);

/// The budgets that the job gives.
Budget budget_of(const JobOptions& job);

/// Records the budgets of a job that ask for more than is recorded. Any number of processes may do so.
/// @return whether a record was written
bool extend_budget(const SweepFiles& files, const JobOptions& job, const SweepState& state, bool maximise);

/// The trials by number, those that extensions have added too. Only while the definition lives.
TrialList trials_of(const SweepDefinition& definition);

/// How long every trial trains now: at birth, or since the newest extension that has made trainings longer.
TrainingLength length_of(const SweepDefinition& definition);

/// The number of that extension; 0: the length is that of birth.
std::int64_t length_number(const std::vector<Extension>& extensions);

/// The job's recipe at that length.
Json base_recipe(const SweepDefinition& definition);

/// Resolves a job: values that stand twice in a list are dropped, with a note; base recipe, objective direction,
/// identity. Asks the describer once, for the base recipe.
/// @throws ConfigError: unknown axis, sampler or metric; objective metric that is not the recipe's /validation/best
SweepDefinition define_sweep(const JobOptions& job, Describer& describer);

Json to_json(const SweepDefinition& definition);

/// @throws DataError naming `source` on another schema or missing members
SweepDefinition definition_from_json(const Json& value, const std::string& source);

/// Reads SWEEP/job.json. @throws DataError if there is none ("not a sweep")
SweepDefinition read_definition(const SweepFiles& files);

struct OpenedSweep {
  SweepDefinition definition;  ///< identity, base, axes and totals as born; resources, budgets and paths given now
  SweepDefinition asked;       ///< the job given now: what `extend_sweep` brings the sweep to
  bool created = false;
};

/// A new directory gets job.json (exclusively: of two processes at once one creates, the other opens). An existing one
/// must have the same identity, but for what an extension may change: values of a grid's axes, replicates, the length.
/// @throws ConfigError with all differences if the experiment has changed
OpenedSweep create_or_open(const SweepFiles& files, const SweepDefinition& definition);

/// Records what the job's /warm_start sweeps lend, of each once: settings of the same axes whose trials have ended.
/// Values outside this job's axes are left out.
/// @return a line for each that is recorded now
/// @throws ConfigError: other axes, data, objective or length of training; DataError: no sweep there
std::vector<std::string> lend_histories(const SweepFiles& files, const SweepDefinition& definition,
                                        const SweepState& state);

/// What a job asks for beyond what a sweep has.
struct ExtensionPlan {
  std::optional<Extension> extension;
  std::vector<std::string> notes;  ///< what the job asks for less of: nothing is taken back
};

/// @param total  trials that the sweep has now; its extensions stand in the opened definition
/// @throws ConfigError: the job leaves out trials that the sweep has and adds others; a schedule that ends with the
/// training as born
ExtensionPlan plan_extension(const OpenedSweep& opened, std::int64_t total);

/// Brings an opened sweep to what the job asks for now: plans, describes the new trials, and records what is missing as
/// extensions, until nothing is. Any number of processes may do so at once.
/// @param read_state  the state with everything that the journal holds now; it must stay as it is until the next call
/// @return the definition with all extensions; `said` gets a line each
/// @throws ConfigError as `plan_extension`; also for longer trainings of trials that keep no final checkpoint
SweepDefinition extend_sweep(const SweepFiles& files, OpenedSweep opened,
                             const std::function<const SweepState&()>& read_state, Describer& describer,
                             std::vector<std::string>& said);

/// Puts "/optim/lr=0.001" settings into the job's recipe; the value is JSON, or a string if it is not.
/// @param is_new  whether the sweep is yet to begin
/// @throws ConfigError: no '=', an unknown option, an axis of this job; what has no effect (sweep/effect.hpp)
void apply_settings(JobOptions& job, const std::vector<std::string>& settings, bool is_new = true);

/// One trial, resolved and described.
struct TrialPlan {
  TrialPoint trial;
  std::int64_t seed = 0;    ///< /train/seed
  Description description;  ///< `.resolved` is the trial's recipe.json, `.hash` its recipe hash; `.error` is empty
};

/// Trials first .. first + count - 1 (open ones with a point that could come there), described in one call; two where
/// an extension has made trainings longer whose schedule has a horizon of birth. @throws ConfigError naming the first
/// trial that is refused
std::vector<TrialPlan> plan_trials(const SweepDefinition& definition, std::int64_t first, std::int64_t count,
                                   Describer& describer);

/// Writes trials/tNNNNN/recipe.json. A recipe already there must define the same training (its paths and resources may
/// differ: the new ones hold). @throws DataError with the differences if it does not
void write_trial_recipe(const TrialFiles& files, const TrialPlan& plan);

}  // namespace regatta
