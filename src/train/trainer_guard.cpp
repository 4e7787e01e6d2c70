// Steps that were skipped because their loss or a gradient was not finite, and the way back when too many were.
#include <algorithm>
#include <utility>

#include "regatta/base/log.hpp"
#include "train/trainer_impl.hpp"

namespace regatta {
namespace {

constexpr std::int64_t kSkipsShown = 20;  ///< as warnings in the log; metrics.jsonl has them all

}  // namespace

/// Subjects of an update's pairs.
std::string Trainer::Impl::pairs_text(std::int64_t update) const {
  std::vector<std::string> names;
  for (const ArchivePair& pair : pairs_at(update - 1)) {
    names.push_back(data->pair_text(pair));
  }
  return join(names, "; ");
}

/// Fetches what the device has noted.
Course Trainer::Impl::look_at_skips() {
  const SkipReport report = step->take_skips_();
  for (const std::int64_t update : report.updates) {
    note_skip(update);
  }
  if (const auto more = report.skipped - static_cast<std::int64_t>(report.updates.size()); more > 0) {
    log_warning("step ", counters.step, ": ", more, " more steps skipped");
  }
  counters.skipped_steps += report.skipped;
  skips.take(report);
  return skips.is_bad() ? Course::kBad : Course::kOn;
}

void Trainer::Impl::note_skip(std::int64_t update) {
  const MetricLine line{MetricLine::Kind::kSkip, update, order.epoch_of(update - 1), 0.0, 0.0, {}, pairs_text(update)};
  if (log) {
    log->write(line);
  }
  if (const std::int64_t warning = skips.count_warning(); warning <= kSkipsShown) {
    log_warning("step ", update, ": skipped, loss or gradient is not finite; ", line.note,
                warning == kSkipsShown ? "; further ones stand in metrics.jsonl alone" : "");
  }
}

/// Goes back to the anchor with a lower learning rate. @return false if there is no way back
bool Trainer::Impl::roll_back() {
  if (!skips.refused().empty() || counters.rollbacks >= recipe.guard.rollbacks || counters.anchor_step < 0) {
    return false;
  }
  clock.leave_steps();
  if (saves) {
    saves->drain();
  }
  if (agreed(handle_saves()) == Course::kBad) {
    return false;
  }
  const auto anchor =
      loaded_by_all([&] { return load_anchor(setup.files, setup.resolved.hash, counters.anchor_step); });
  if (!anchor) {
    return false;
  }
  if (anchor->counters.step != counters.anchor_step) {
    log_warning("the checkpoint of step ", counters.anchor_step, " is lost");
    ledger.resume = "numerical";
  }
  const TrainingCounters before = std::exchange(counters, anchor->counters);
  counters.skipped_steps = before.skipped_steps;
  counters.anchor_step = counters.step;
  counters.rollbacks = before.rollbacks + 1;
  counters.lr_factor = before.lr_factor * recipe.guard.lr_factor;
  counters.best_step = before.best_step;  // best.safetensors stays: those weights were measured
  counters.best_value = before.best_value;
  counters.best = before.best;
  counters.initial = before.initial;
  step->load_(anchor->file, anchor->from.path.string());
  MetricLine line{MetricLine::Kind::kRollback, counters.step, order.epoch_of(counters.step), 0.0, 0.0, {}, ""};
  line.note = str("step ", skips.bad_step(), ": loss or gradient is not finite, ", recipe.guard.max_skips,
                  " steps in a row skipped; back to step ", counters.step, ", learning rate times ", counters.lr_factor,
                  "; ", pairs_text(skips.bad_step()));
  log_warning(line.note);
  if (comm.is_first()) {
    log->write_everywhere(line);
    saves->go_back_to(counters);
  }
  first_step = std::min(first_step, counters.step);
  skips.forgive();
  return true;
}

}  // namespace regatta
