// The state of one training and the functions over it; their sources are trainer.cpp (the loop), trainer_start.cpp,
// trainer_guard.cpp (skipped steps, roll-back) and trainer_end.cpp.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "regatta/base/clock.hpp"
#include "regatta/train/checkpoint.hpp"
#include "regatta/train/evaluator.hpp"
#include "regatta/train/pair_order.hpp"
#include "regatta/train/trainer.hpp"
#include "train/line_log.hpp"
#include "train/step.hpp"

namespace regatta {

inline constexpr std::int64_t kLinesInAll = 200;  ///< of losses, in metrics.jsonl
inline constexpr double kFirstSavePause_s = 5.0;  ///< after a save that failed; then twice as long each time
inline constexpr double kLongestSavePause_s = 300.0;
inline constexpr std::int64_t kSkipsShown = 20;  ///< as warnings in the log; metrics.jsonl has them all

inline double now_s() {
  return system_clock().monotonic_s();
}

struct Trainer::Impl {
  Impl(TrainSetup given, TrainObserver& watcher)
      : setup(std::move(given)),
        observer(watcher),
        recipe(setup.resolved.recipe),
        order(recipe.train.seed, setup.resolved.data.train.pairs, recipe.train.batch, recipe.train.epoch_pairs,
              recipe.train.order == "listed" ? PairSequence::kListed : PairSequence::kShuffled),
        evaluator(recipe.validation.metrics),
        steps(setup.resolved.steps),
        log_every(recipe.run.loss_every_steps > 0 ? recipe.run.loss_every_steps
                                                  : std::max<std::int64_t>(1, steps / kLinesInAll)) {}

  TrainOutcome run(const Archive& data);

  // Beginning and end.
  void prepare(const Archive& data);
  void start_from_weights();
  void remove_leftovers();
  std::string compare_environment(const SafetensorsFile& file);
  TrainOutcome train();
  TrainOutcome leave();
  TrainOutcome diverged();
  TrainOutcome finish();
  void settle_best();

  double rate_of(std::int64_t epoch) const { return counters.lr_factor * learning_rate(recipe.optim, epoch); }
  std::string pairs_of(std::int64_t update) const;

  // In the loop.
  void run_step();
  void prefetch(std::int64_t number);
  void write_loss_line();
  void write_step_line(const std::vector<ArchivePair>& pairs, const std::vector<Flips>& flips);
  bool validate();
  void note_progress(std::int64_t validated, std::int64_t to_validate);
  bool look_at_skips();
  void note_skip(std::int64_t update);
  bool roll_back();
  bool validation_due() const;
  bool anchor_due();
  bool checkpoint_due() const;
  void save();
  void save_best();
  bool handle_saves();
  void note_failed_save(const SaveEvent& event);
  void check_room() const;
  bool save_at_end();

  // Time in steps is measured between the other things, which synchronise with the device.
  void stop_step_time();
  double train_s() const { return ledger.train_s + (now_s() - started_s); }
  double step_s() const { return ledger.step_s + attempt_step_s + (in_steps ? now_s() - steps_since_s : 0.0); }

  TrainSetup setup;
  TrainObserver& observer;
  const Recipe& recipe;
  PairOrder order;
  Evaluator evaluator;
  std::int64_t steps;
  std::int64_t log_every;

  const Archive* archive = nullptr;
  std::optional<Dataset> data;
  std::unique_ptr<TrainingStep> step;
  std::unique_ptr<LineLog> metric_lines;
  std::unique_ptr<LineLog> pair_lines;
  std::unique_ptr<LineLog> step_lines;  ///< null unless /run/log_pairs
  std::unique_ptr<CheckpointWriter> writer;
  Json environment;
  TrainingCounters counters;
  RunLedger ledger;  ///< as it was when this attempt started
  int threads = 1;
  Backend backend = Backend::kReference;
  std::string backend_parts;  ///< which parts of a step run by it: see forms_text

  std::int64_t first_step = 0;       ///< at which this attempt started
  std::int64_t steps_run = 0;        ///< of this attempt
  std::int64_t skips_in_row = 0;     ///< when last looked at
  std::int64_t skips_shown = 0;      ///< as warnings
  std::int64_t bad_step = -1;        ///< first of too many in a row whose loss or gradient was not finite
  std::string bad_tensor;            ///< or: what the checkpoint's writer refused
  std::int64_t submitted_step = -1;  ///< of the newest checkpoint given to the writer
  std::int64_t submitted_validation = -1;
  std::int64_t published_step = -1;
  std::string save_error;
  double failing_since_s = 0.0;  ///< saves, if `save_error` is not empty
  double save_again_s = 0.0;     ///< when a save that failed is tried again; 0: none has
  double save_pause_s = 0.0;

  double started_s = 0.0;
  double last_save_s = 0.0;
  double last_progress_s = 0.0;
  double attempt_step_s = 0.0;
  double steps_since_s = 0.0;
  bool in_steps = false;
  double logged_step_s = 0.0;
};

}  // namespace regatta
