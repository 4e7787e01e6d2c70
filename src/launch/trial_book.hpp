// The recipes of a sweep's trials, as rank 0 has them described: what is written into a trial's folder when it is born,
// and how many steps it takes.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "regatta/sweep/definition.hpp"

namespace regatta {

class TrialBook {
 public:
  TrialBook() = default;
  virtual ~TrialBook() = default;

  /// @param describer  must live as long as the book
  TrialBook(SweepDefinition definition, Describer& describer)
      : definition_(std::move(definition)), describer_(&describer), length_(length_number(definition_.extensions)) {}

  /// Has the trials first .. end - 1 described in one go. @throws Error naming the first that is refused
  void describe(std::int64_t first, std::int64_t end);

  /// Of a trial that was not described before (another job has extended the sweep), it is described now.
  const TrialPlan& plan(std::int64_t trial);

  /// Takes in what the journal says beyond what is known here: trials that extensions have added, a longer training of
  /// all, settings on which the sampler has decided.
  void follow(const SweepState& state);

  /// For "start": the number of the extension whose length the recipes have.
  std::int64_t length() const { return length_; }

  /// Why the models refuse what the sampler has decided on; nothing if they do not. Samplers without history propose
  /// nothing that was not looked at before: there it is an error. @throws Error
  std::optional<std::string> refusal(std::int64_t trial);

  virtual std::string recipe_hash(std::int64_t trial) { return plan(trial).description.hash; }

  /// Steps of a trial, 0 if it has not been described.
  virtual std::int64_t steps(std::int64_t trial) const;

  /// The step of a rung at which a trial pauses.
  virtual std::int64_t rung_step(std::int64_t trial, int rung);

  /// Deletes the checkpoints of a trial that was pruned.
  virtual void drop_checkpoints(const TrialFiles& files);

  /// Of the trials that have been described, on average.
  virtual double mean_steps() const;

  /// Writes recipe.json. The number of threads is fixed at the trial's birth (on the CPU it decides the bits): the
  /// recipe's own, else `threads`. @return CPU threads @throws DataError if another recipe stands there
  virtual int bear(std::int64_t trial, const TrialFiles& files, int threads);

  /// What a trial's process left as its result, if it did. @throws DataError if it cannot be read
  virtual std::optional<TrialResult> standing_result(const TrialFiles& files) const;

 private:
  SweepDefinition definition_;
  Describer* describer_ = nullptr;
  std::int64_t length_ = 0;
  std::map<std::int64_t, TrialPlan> plans_;
  void forget(std::int64_t trial);
  double all_steps_ = 0.0;  ///< of the plans
};

}  // namespace regatta
