// Steps that were skipped because their loss or a gradient was not finite, and the way back when too many were.
#include <algorithm>
#include <utility>

#include "regatta/base/log.hpp"
#include "train/trainer_impl.hpp"

namespace regatta {

/// Subjects of an update's pairs.
std::string Trainer::Impl::pairs_of(std::int64_t update) const {
  const std::vector<ArchivePair>& all = data->pairs(recipe.data.train_split);
  std::vector<std::string> names;
  for (const std::int64_t index : order.batch_of(update - 1)) {
    names.push_back(data->pair_text(all[static_cast<std::size_t>(index)]));
  }
  return join(names, "; ");
}

/// Fetches what the device has noted. @return false if too many steps in a row were skipped
bool Trainer::Impl::look_at_skips() {
  const SkipReport report = step->take_skips_();
  for (const std::int64_t update : report.updates) {
    note_skip(update);
  }
  if (const auto more = report.skipped - static_cast<std::int64_t>(report.updates.size()); more > 0) {
    log_warning("step ", counters.step, ": ", more, " more steps skipped");
  }
  counters.skipped_steps += report.skipped;
  skips_in_row = report.in_row;
  if (report.halted_at > 0) {
    skips_in_row = recipe.guard.max_skips;
    bad_step = report.halted_at - recipe.guard.max_skips + 1;
  }
  return bad_step < 0;
}

void Trainer::Impl::note_skip(std::int64_t update) {
  const MetricLine line{MetricLine::Kind::kSkip, update, order.epoch_of(update - 1), 0.0, 0.0, {}, pairs_of(update)};
  metric_lines->append(metric_line_text(line));
  if (++skips_shown <= kSkipsShown) {
    log_warning("step ", update, ": skipped, loss or gradient is not finite; ", line.note,
                skips_shown == kSkipsShown ? "; further ones stand in metrics.jsonl alone" : "");
  }
}

/// Goes back to the anchor with a lower learning rate. @return false if there is no way back
bool Trainer::Impl::roll_back() {
  if (!bad_tensor.empty() || counters.rollbacks >= recipe.guard.rollbacks || counters.anchor_step < 0) {
    return false;
  }
  stop_step_time();
  writer->drain();
  if (!handle_saves()) {
    return false;
  }
  const auto anchor = load_anchor(setup.files, setup.resolved.hash, counters.anchor_step);
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
  line.note = str("step ", bad_step, ": loss or gradient is not finite, ", recipe.guard.max_skips,
                  " steps in a row skipped; back to step ", counters.step, ", learning rate times ", counters.lr_factor,
                  "; ", pairs_of(bad_step));
  log_warning(line.note);
  metric_lines->append(metric_line_text(line));
  pair_lines->append(metric_line_text(line));
  if (step_lines) {
    step_lines->append(metric_line_text(line));
  }
  submitted_step = counters.step;
  submitted_validation = counters.validated_step;
  first_step = std::min(first_step, counters.step);
  bad_step = -1;
  return true;
}

}  // namespace regatta
