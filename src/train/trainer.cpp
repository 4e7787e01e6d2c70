// The training loop: steps, log lines, validations, checkpoints. How an attempt begins and ends is in trainer_start.cpp
// and trainer_end.cpp, the step itself in step.cpp, validation in evaluator.cpp.
#include "regatta/train/trainer.hpp"
#include "regatta/config/json.hpp"

#include <algorithm>
#include <utility>

#include <ATen/ops/empty.h>

#include "regatta/base/error.hpp"
#include "regatta/base/log.hpp"
#include "train/batch_share.hpp"
#include "train/run_record.hpp"
#include "train/torch_errors.hpp"
#include "train/trainer_impl.hpp"

namespace regatta {
namespace {

/// Copies that no later step can change.
NamedTensors to_host(const NamedTensors& tensors) {
  NamedTensors copies;
  for (const auto& [name, tensor] : tensors) {
    at::Tensor copy = at::empty(tensor.sizes(), tensor.options().device(at::kCPU));
    copy.copy_(tensor.detach());
    copies.emplace_back(name, std::move(copy));
  }
  return copies;
}

}  // namespace

Trainer::Trainer(TrainSetup setup, TrainObserver& observer)
    : impl_(std::make_unique<Impl>(std::move(setup), observer)) {}

Trainer::~Trainer() = default;

TrainOutcome Trainer::run(const Archive& archive) {
  return with_torch_errors([&] { return impl_->run(archive); });
}

TrainOutcome Trainer::Impl::run(const Archive& given) {
  prepare(given);
  return train();
}

TrainOutcome Trainer::Impl::train() {
  clock.start(ledger);
  if (saves) {
    saves->start();
  }
  logged_steps_s = clock.steps_s();
  while (true) {
    if (skips.is_bad() && !roll_back()) {
      return diverged();
    }
    if (validation_due()) {
      if (const Course course = validate(); course == Course::kBad) {
        continue;
      } else if (course == Course::kLeave) {
        return leave();
      }
    }
    const Orders orders = agree();
    if (!orders.refused.empty()) {
      skips.refuse(orders.refused_step, orders.refused);
      continue;
    }
    if (counters.step >= steps) {
      return finish();
    }
    if (orders.leave) {
      if (look_at_skips() == Course::kBad) {
        continue;
      }
      return leave();
    }
    if (at_anchor() && look_at_skips() == Course::kBad) {
      continue;
    }
    const bool is_anchor = at_anchor() && skips.in_row() == 0;
    if (is_anchor || orders.save) {
      if (look_at_skips() == Course::kBad) {
        continue;
      }
      counters.anchor_step = is_anchor ? counters.step : counters.anchor_step;
      require_same_weights();
      save();
    }
    run_step(orders.look);
  }
}

std::vector<ArchivePair> Trainer::Impl::pairs_at(std::int64_t number) const {
  const std::vector<ArchivePair>& all = data->pairs(recipe.data.train_split);
  std::vector<ArchivePair> pairs;
  for (const std::int64_t index : order.batch_of(number)) {
    pairs.push_back(all[static_cast<std::size_t>(index)]);
  }
  return pairs;
}

Course Trainer::Impl::run_step(bool look) {
  clock.enter_steps();
  const std::vector<ArchivePair> pairs = pairs_at(counters.step);
  std::vector<Flips> flips;
  if (recipe.train.flip) {
    for (std::size_t slot = 0; slot < pairs.size(); ++slot) {
      flips.push_back(order.flips_of(counters.step, static_cast<int>(slot)));
    }
  }
  if (log) {
    log->write_step(counters.step + 1, *data, pairs, flips);
  }
  const auto begin = slot_of(comm.rank(), pairs.size());
  const auto end = slot_of(comm.rank() + 1, pairs.size());
  BatchShare share;
  const PairState batch = data->gather_part(pairs, flips, begin, end, share);
  if (counters.step + 1 < steps) {
    const std::vector<ArchivePair> next = pairs_at(counters.step + 1);
    const auto at = [&](int rank) { return next.begin() + static_cast<std::ptrdiff_t>(slot_of(rank, next.size())); };
    data->prefetch({at(comm.rank()), at(comm.rank() + 1)});
  }
  step->run_(batch, rate_of(order.epoch_of(counters.step)), counters.step + 1, share);
  ++counters.step;
  ++steps_run;

  // On a GPU the numbers are fetched only now and then: fetching waits for the device.
  const bool line_due = counters.step % log_every == 0 || counters.step == steps;
  if ((setup.device.is_cpu() || line_due || look) && look_at_skips() == Course::kBad) {
    return Course::kBad;
  }
  if (look) {
    note_progress(0, 0);
  }
  if (line_due) {
    write_loss_line();
  }
  return Course::kOn;
}

void Trainer::Impl::write_loss_line() {
  const std::int64_t epoch = order.epoch_of(counters.step - 1);
  const double spent_s = clock.steps_s();
  MetricLine line{MetricLine::Kind::kTrain, counters.step, epoch, rate_of(epoch), 0.0, {}};
  line.values = step->mean_losses();
  const std::int64_t timed = counters.step - std::max(counters.logged_step, first_step);
  line.ms_per_step = 1000.0 * (spent_s - logged_steps_s) / static_cast<double>(std::max<std::int64_t>(timed, 1));
  if (log && !line.values.empty()) {  // every step since the last line may have been skipped
    log->write(line);
  }
  step->clear_sums_();
  counters.logged_step = counters.step;
  logged_steps_s = spent_s;
}

bool Trainer::Impl::validation_due() const {
  if (counters.validated_step == counters.step) {
    return false;
  }
  if (counters.step == 0) {
    return recipe.validation.at_start;
  }
  return counters.step % (recipe.validation.every_epochs * order.steps_per_epoch()) == 0 || counters.step == steps;
}

Course Trainer::Impl::validate() {
  if (look_at_skips() == Course::kBad) {
    return Course::kBad;
  }
  clock.leave_steps();
  const auto evaluation = evaluate_together();
  if (!evaluation) {
    return Course::kLeave;
  }
  const std::int64_t epoch = counters.step / order.steps_per_epoch();
  if (log) {
    log->write_validation(counters.step, epoch, *data, *evaluation);
  }
  counters.validated_step = counters.step;
  counters.last = evaluation->means;
  if (counters.initial.empty()) {
    counters.initial = evaluation->means;
  }
  ValidationNote note{counters.step, epoch, evaluation->means, false};
  note_best(*evaluation, note);
  observer.on_validation(note);
  return Course::kOn;
}

void Trainer::Impl::note_best(const Evaluation& evaluation, ValidationNote& note) {
  const double value = evaluation.means.at(recipe.validation.best);
  if (is_better(value, counters.best_value, setup.resolved.best_direction)) {
    note.is_best = true;
    counters.best_step = counters.step;
    counters.best_value = value;
    counters.best = evaluation.means;
    save_best();
  }
}

void Trainer::Impl::note_progress(std::int64_t validated, std::int64_t to_validate) {
  TrainProgress progress;
  progress.step = counters.step;
  progress.steps = steps;
  progress.epoch = order.epoch_of(std::max<std::int64_t>(counters.step - 1, 0));
  progress.epochs = (steps + order.steps_per_epoch() - 1) / order.steps_per_epoch();
  progress.lr = rate_of(progress.epoch);
  if (counters.step > counters.logged_step) {
    progress.losses = step->mean_losses();
  }
  if (steps_run > 0) {
    const auto run = static_cast<double>(steps_run);
    progress.ms_per_step = 1000.0 * clock.attempt_steps_s() / run;
    progress.eta_s = clock.attempt_s() / run * static_cast<double>(steps - counters.step);
  }
  progress.validated = validated;
  progress.to_validate = to_validate;
  clock.progress_shown();
  comm.set_patience_s(steps_run > 0 ? std::max(setup.patience_s, kStepsSilent * progress.ms_per_step / 1000.0)
                                    : setup.deadline_s);
  observer.on_progress(progress);
}

/// A pure function of the step and of what was skipped, so that a resumed training rolls back to the same state: it is
/// an anchor unless the newest step was skipped.
bool Trainer::Impl::at_anchor() const {
  return counters.step > 0 && counters.step % recipe.guard.anchor_steps == 0 && counters.anchor_step != counters.step;
}

void Trainer::Impl::save() {
  clock.leave_steps();
  if (!saves) {
    return;
  }
  Snapshot snapshot;
  snapshot.counters = counters;
  snapshot.ledger = clock.ledger(ledger);
  snapshot.tensors = to_host(step->state());
  snapshot.metadata = checkpoint_metadata(setup.resolved, counters, environment);
  saves->submit(std::move(snapshot));
}

void Trainer::Impl::save_best() {
  if (saves) {
    saves->submit(
        BestWeights{counters.best_step, to_host(step->weights()), best_metadata(setup.resolved, *archive, counters)});
  }
}

/// Looks at the saves that have ended.
Course Trainer::Impl::handle_saves() {
  if (!saves) {
    return Course::kOn;
  }
  if (const auto refused = saves->look(observer)) {
    skips.refuse(refused->step, refused->error);
    return Course::kBad;
  }
  return Course::kOn;
}

}  // namespace regatta
