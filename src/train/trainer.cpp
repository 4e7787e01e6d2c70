// The training loop: steps, log lines, validations, checkpoints. How an attempt begins and ends is in trainer_start.cpp
// and trainer_end.cpp, the step itself in step.cpp, validation in evaluator.cpp.
#include "regatta/train/trainer.hpp"
#include "regatta/config/json.hpp"

#include <algorithm>
#include <utility>

#include <ATen/ops/empty.h>

#include "regatta/base/error.hpp"
#include "regatta/base/log.hpp"
#include "regatta/nn/device.hpp"
#include "train/run_record.hpp"
#include "train/torch_errors.hpp"
#include "train/trainer_impl.hpp"

namespace regatta {
namespace {

constexpr double kProgressEvery_s = 0.5;

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
  started_s = last_save_s = last_progress_s = now_s();
  logged_step_s = step_s();
  while (true) {
    if (bad_step >= 0 && !roll_back()) {
      return diverged();
    }
    if (validation_due() && !validate()) {
      if (bad_step >= 0) {
        continue;
      }
      return leave();
    }
    if (!handle_saves()) {
      continue;
    }
    if (counters.step >= steps) {
      return finish();
    }
    if (observer.should_leave()) {
      if (!look_at_skips()) {
        continue;
      }
      return leave();
    }
    const bool is_anchor = anchor_due();
    if (is_anchor || checkpoint_due()) {
      if (!look_at_skips()) {
        continue;
      }
      counters.anchor_step = is_anchor ? counters.step : counters.anchor_step;
      save();
    }
    run_step();
  }
}

void Trainer::Impl::prefetch(std::int64_t number) {
  const std::vector<ArchivePair>& all = data->pairs(recipe.data.train_split);
  std::vector<ArchivePair> pairs;
  for (const std::int64_t index : order.batch_of(number)) {
    pairs.push_back(all[static_cast<std::size_t>(index)]);
  }
  data->prefetch(pairs);
}

void Trainer::Impl::run_step() {
  if (!in_steps) {
    in_steps = true;
    steps_since_s = now_s();
  }
  const std::vector<ArchivePair>& all = data->pairs(recipe.data.train_split);
  std::vector<ArchivePair> pairs;
  std::vector<Flips> flips;
  for (const std::int64_t index : order.batch_of(counters.step)) {
    if (recipe.train.flip) {
      flips.push_back(order.flips_of(counters.step, static_cast<int>(pairs.size())));
    }
    pairs.push_back(all[static_cast<std::size_t>(index)]);
  }
  write_step_line(pairs, flips);
  const PairState batch = data->gather(pairs, flips);
  if (counters.step + 1 < steps) {
    prefetch(counters.step + 1);
  }
  step->run_(batch, rate_of(order.epoch_of(counters.step)), counters.step + 1);
  ++counters.step;
  ++steps_run;

  // On a GPU the numbers are fetched only now and then: fetching waits for the device.
  const bool line_due = counters.step % log_every == 0 || counters.step == steps;
  const bool progress_due = now_s() - last_progress_s >= kProgressEvery_s;
  if ((setup.device.is_cpu() || line_due || progress_due) && !look_at_skips()) {
    return;
  }
  if (progress_due) {
    note_progress(0, 0);
  }
  if (line_due) {
    write_loss_line();
  }
}

void Trainer::Impl::write_step_line(const std::vector<ArchivePair>& pairs, const std::vector<Flips>& flips) {
  if (!step_lines) {
    return;
  }
  Json line;
  line["kind"] = "step";
  line["step"] = counters.step + 1;
  line["pairs"] = Json::array();
  for (std::size_t i = 0; i < pairs.size(); ++i) {
    Json pair = {{"moving", data->subject_id(pairs[i].moving)}, {"fixed", data->subject_id(pairs[i].fixed)}};
    if (!flips.empty()) {
      pair["flips"] = flips[i];
    }
    line["pairs"].push_back(pair);
  }
  step_lines->append(dump_line(line) + "\n");
}

void Trainer::Impl::write_loss_line() {
  const std::int64_t epoch = order.epoch_of(counters.step - 1);
  const double spent_s = step_s();
  MetricLine line{MetricLine::Kind::kTrain, counters.step, epoch, rate_of(epoch), 0.0, {}};
  line.values = step->mean_losses();
  const std::int64_t timed = counters.step - std::max(counters.logged_step, first_step);
  line.ms_per_step = 1000.0 * (spent_s - logged_step_s) / static_cast<double>(std::max<std::int64_t>(timed, 1));
  if (!line.values.empty()) {  // every step since the last line may have been skipped
    metric_lines->append(metric_line_text(line));
  }
  step->clear_sums_();
  counters.logged_step = counters.step;
  logged_step_s = spent_s;
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

/// @return false if it was cut short (leave request) or too many steps were skipped
bool Trainer::Impl::validate() {
  if (!look_at_skips()) {
    return false;
  }
  stop_step_time();
  const auto keep_going = [&](std::int64_t done, std::int64_t all) {
    if (now_s() - last_progress_s >= kProgressEvery_s) {
      note_progress(done, all);
    }
    return !observer.should_leave();
  };
  auto evaluation = evaluator.evaluate(step->inference(), *data, data->pairs(recipe.data.val_split), keep_going);
  if (!evaluation) {
    return false;
  }
  const std::int64_t epoch = counters.step / order.steps_per_epoch();
  std::string lines;
  for (const PairMeasures& measures : evaluation->pairs) {
    Json line;
    line["kind"] = "pair";
    line["step"] = counters.step;
    line["moving"] = data->subject_id(measures.pair.moving);
    line["fixed"] = data->subject_id(measures.pair.fixed);
    line["values"] = numbers_to_json(measures.values);
    lines += dump_line(line) + "\n";
  }
  pair_lines->append(lines);
  metric_lines->append(
      metric_line_text({MetricLine::Kind::kValidation, counters.step, epoch, 0.0, 0.0, evaluation->means}));

  ValidationNote note{counters.step, epoch, evaluation->means, false};
  counters.validated_step = counters.step;
  counters.last = evaluation->means;
  if (counters.initial.empty()) {
    counters.initial = evaluation->means;
  }
  const double value = evaluation->means.at(recipe.validation.best);
  if (is_better(value, counters.best_value, setup.resolved.best_direction)) {
    note.is_best = true;
    counters.best_step = counters.step;
    counters.best_value = value;
    counters.best = evaluation->means;
    save_best();
  }
  observer.on_validation(note);
  return true;
}

void Trainer::Impl::note_progress(std::int64_t validated, std::int64_t to_validate) {
  const double now = now_s();
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
    progress.ms_per_step = 1000.0 * (step_s() - ledger.step_s) / static_cast<double>(steps_run);
    progress.eta_s = (now - started_s) / static_cast<double>(steps_run) * static_cast<double>(steps - counters.step);
  }
  progress.validated = validated;
  progress.to_validate = to_validate;
  last_progress_s = now;
  observer.on_progress(progress);
}

void Trainer::Impl::stop_step_time() {
  if (in_steps) {
    synchronize(setup.device);
    attempt_step_s += now_s() - steps_since_s;
    in_steps = false;
  }
}

/// A pure function of the step and of what was skipped, so that a resumed training rolls back to the same state.
bool Trainer::Impl::anchor_due() {
  return counters.step > 0 && counters.step % recipe.guard.anchor_steps == 0 && counters.anchor_step != counters.step &&
         look_at_skips() && skips_in_row == 0;
}

bool Trainer::Impl::checkpoint_due() const {
  if (counters.step == submitted_step || counters.step == 0 || writer->busy()) {
    return false;
  }
  if (save_again_s > 0.0) {
    return now_s() >= save_again_s;
  }
  const std::int64_t since = counters.step - std::max(submitted_step, first_step);
  const CheckpointOptions& options = recipe.checkpoint;
  return (options.every_steps > 0 && since >= options.every_steps) ||
         (options.every_s > 0.0 && now_s() - last_save_s >= options.every_s);
}

void Trainer::Impl::save() {
  stop_step_time();
  Snapshot snapshot;
  snapshot.counters = counters;
  snapshot.ledger = {ledger.started_utc, train_s(), step_s(), ledger.resume};
  snapshot.tensors = to_host(step->state());
  snapshot.metadata = checkpoint_metadata(setup.resolved, counters, environment);
  writer->submit(std::move(snapshot));
  submitted_step = counters.step;
  submitted_validation = counters.validated_step;
  last_save_s = now_s();
}

void Trainer::Impl::save_best() {
  writer->submit(
      BestWeights{counters.best_step, to_host(step->weights()), best_metadata(setup.resolved, *archive, counters)});
}

/// @throws DataError if no save has succeeded for too long
void Trainer::Impl::note_failed_save(const SaveEvent& event) {
  failing_since_s = save_error.empty() ? now_s() : failing_since_s;
  save_error = event.error;
  save_pause_s = std::clamp(2.0 * save_pause_s, kFirstSavePause_s, kLongestSavePause_s);
  save_again_s = now_s() + save_pause_s;
  const double failing_s = now_s() - failing_since_s;
  REGATTA_REQUIRE(failing_s <= setup.give_up_s, DataError, "no checkpoint could be saved for ",
                  duration_text(failing_s), ": ", event.error);
  log_error("step ", event.step, ": could not save, training goes on, next try in ", duration_text(save_pause_s), ": ",
            event.error);
}

/// Looks at the saves that have ended. @return false if one was refused because it was not finite
bool Trainer::Impl::handle_saves() {
  for (const SaveEvent& event : writer->take_events()) {
    if (event.non_finite) {
      bad_step = event.step;
      bad_tensor = event.error;
      return false;
    }
    if (!event.error.empty()) {
      note_failed_save(event);
    } else if (!event.is_best) {
      if (!save_error.empty()) {
        log_info("step ", event.step, ": saved again");
      }
      published_step = event.step;
      save_error.clear();
      save_again_s = save_pause_s = 0.0;
      observer.on_checkpoint({event.step, event.file.string(), event.save_s});
    }
  }
  return true;
}

}  // namespace regatta
