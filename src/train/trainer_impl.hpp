// The state of one training and the functions over it; their sources are trainer.cpp (the loop), trainer_start.cpp,
// trainer_guard.cpp (skipped steps, roll-back) and trainer_end.cpp. What is kept of each of its sides is in
// save_policy.hpp, step_clock.hpp, training_log.hpp and skip_history.hpp. In a group each member runs the same loop
// over its part of every batch. What depends on time, on files or on a request to leave is decided by member 0, the
// only one that writes files, and the others do as it says (trainer_group.cpp).
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "regatta/train/checkpoint.hpp"
#include "regatta/train/evaluator.hpp"
#include "regatta/train/pair_order.hpp"
#include "regatta/train/trainer.hpp"
#include "train/comm.hpp"
#include "train/save_policy.hpp"
#include "train/skip_history.hpp"
#include "train/step.hpp"
#include "train/step_clock.hpp"
#include "train/training_log.hpp"

namespace regatta {

inline constexpr std::int64_t kLinesInAll = 200;  ///< of losses, in metrics.jsonl

/// How a part of the loop ended.
enum class Course {
  kOn,     ///< as it should
  kLeave,  ///< the training was asked to leave
  kBad     ///< numbers are not finite: SkipHistory says where
};

/// What member 0 decides between two steps.
struct Orders {
  std::string refused;            ///< why a checkpoint was refused; empty: none was
  std::int64_t refused_step = 0;  ///< whose checkpoint
  bool leave = false;
  bool save = false;
  bool look = false;  ///< fetch what the device has noted after the next step, and show progress
};

struct Trainer::Impl {
  Impl(TrainSetup given, TrainObserver& watcher)
      : setup(std::move(given)),
        observer(watcher),
        alone(setup.comm == nullptr ? make_self_comm() : nullptr),
        comm(setup.comm == nullptr ? *alone : *setup.comm),
        recipe(setup.resolved.recipe),
        order(recipe.train.seed, setup.resolved.data.train.pairs, recipe.train.batch, recipe.train.epoch_pairs,
              recipe.train.order == "listed" ? PairSequence::kListed : PairSequence::kShuffled),
        evaluator(recipe.validation.metrics),
        steps(setup.resolved.steps),
        log_every(recipe.run.loss_every_steps > 0 ? recipe.run.loss_every_steps
                                                  : std::max<std::int64_t>(1, steps / kLinesInAll)),
        clock(setup.device),
        skips(recipe.guard.max_skips) {}

  TrainOutcome run(const Archive& data);

  // Beginning and end.
  void prepare(const Archive& data);
  void choose_environment(const LoadedCheckpoint* loaded);
  void go_on_from(const LoadedCheckpoint& loaded, StartNote& note);
  void start_from_weights();
  void open_files();
  void remove_leftovers();
  std::string compare_environment(const SafetensorsFile& file);
  TrainOutcome train();
  TrainOutcome leave();
  TrainOutcome diverged();
  TrainOutcome finish();
  void settle_best();

  double rate_of(std::int64_t epoch) const { return counters.lr_factor * learning_rate(recipe.optim, epoch); }
  std::vector<ArchivePair> pairs_at(std::int64_t step) const;
  std::string pairs_text(std::int64_t update) const;

  // Between the members of a group.
  Orders agree();
  Course agreed(Course course);
  bool agreed(bool yes);
  std::optional<LoadedCheckpoint> loaded_by_all(const std::function<std::optional<LoadedCheckpoint>()>& load);
  std::optional<Evaluation> evaluate_together();
  void require_same_weights();
  std::size_t slot_of(int rank, std::size_t pairs) const;

  // In the loop.
  Course run_step(bool look);
  void write_loss_line();
  Course validate();
  void note_best(const Evaluation& evaluation, ValidationNote& note);
  void note_progress(std::int64_t validated, std::int64_t to_validate);
  Course look_at_skips();
  void note_skip(std::int64_t update);
  bool roll_back();
  bool validation_due() const;
  bool at_anchor() const;
  void save();
  void save_best();
  Course handle_saves();
  void check_room() const;
  Course save_at_end();

  TrainSetup setup;
  TrainObserver& observer;
  std::unique_ptr<Comm> alone;
  Comm& comm;
  const Recipe& recipe;
  PairOrder order;
  Evaluator evaluator;
  std::int64_t steps;
  std::int64_t log_every;

  const Archive* archive = nullptr;
  std::optional<Dataset> data;
  std::unique_ptr<TrainingStep> step;
  Json environment;
  int threads = 1;
  Backend backend = Backend::kReference;
  std::string backend_parts;  ///< which parts of a step run by it: see forms_text

  TrainingCounters counters;
  RunLedger ledger;  ///< as it was when this attempt started
  StepClock clock;
  SkipHistory skips;
  std::unique_ptr<TrainingLog> log;   ///< of member 0 alone
  std::unique_ptr<SavePolicy> saves;  ///< of member 0 alone

  std::int64_t first_step = 0;  ///< at which this attempt started
  std::int64_t steps_run = 0;   ///< of this attempt
  double logged_steps_s = 0.0;  ///< the clock's seconds in steps at the last line of losses
};

}  // namespace regatta
