// When an attempt saves, and what a save that failed leads to: the training continues, and the next try comes after a
// pause that doubles each time. Files are written by CheckpointWriter.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "regatta/config/recipe.hpp"
#include "regatta/train/checkpoint.hpp"
#include "regatta/train/trainer.hpp"

namespace regatta {

class SavePolicy {
 public:
  /// @param options         the recipe's, which outlives this object
  /// @param give_up_s       an error once every save has failed for so long
  /// @param before_publish  see CheckpointWriter
  SavePolicy(const TrialFiles& files, int attempt, const CheckpointOptions& options, double give_up_s,
             std::function<void()> before_publish);

  /// The state that the attempt continues from is on the disk already.
  void start_from(const TrainingCounters& counters);

  /// As `start_from`, after a roll-back.
  void go_back_to(const TrainingCounters& counters);

  /// The attempt's loop begins.
  void start();

  /// Whether the state after this step is to be saved now, by time or by number of steps.
  bool due(std::int64_t step) const;

  void submit(Snapshot snapshot);
  void submit(BestWeights best) { writer_.submit(std::move(best)); }

  /// Waits until nothing is left to write.
  void drain() { writer_.drain(); }

  /// Looks at the saves that have ended. @return one that was refused because a tensor is not finite
  /// @throws DataError if no save has succeeded for too long
  std::optional<SaveEvent> look(TrainObserver& observer);

  /// Whether this state has not been given to the writer yet.
  bool is_new(const TrainingCounters& counters) const;

  /// Of the newest checkpoint that can be loaded; -1: there is none.
  std::int64_t published_step() const { return published_step_; }

  /// Why the newest save failed; empty: it did not.
  const std::string& error() const { return error_; }

 private:
  void note_failed(const SaveEvent& event);

  const CheckpointOptions& options_;
  double give_up_s_;
  CheckpointWriter writer_;
  std::int64_t submitted_step_ = -1;  ///< of the newest checkpoint given to the writer
  std::int64_t submitted_validation_ = -1;
  std::int64_t published_step_ = -1;
  double last_s_ = 0.0;  ///< when a checkpoint was last given to the writer
  std::string error_;
  double failing_since_s_ = 0.0;  ///< if `error_` is not empty
  double again_s_ = 0.0;          ///< when a save that failed is tried again; 0: none has
  double pause_s_ = 0.0;
};

}  // namespace regatta
