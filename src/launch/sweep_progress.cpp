// Steps done, steps left, and how fast they go.
#include "launch/sweep_progress.hpp"

#include <algorithm>
#include <cmath>

#include "regatta/base/text.hpp"
#include "regatta/sweep/layout.hpp"

namespace regatta {
namespace {

constexpr double kTerminalEvery_s = 0.5;
constexpr double kLogFirst_s = 5.0;
constexpr double kLogLater_s = 30.0;
constexpr double kLogPart = 0.1;          ///< of the time so far: between lines of a log, within these bounds
constexpr double kLogSameText_s = 300.0;  ///< a log repeats a line that has not changed only so often

/// Estimated from the mean length of the trials, so that nothing goes over all of them.
struct SweepWork {
  double done_steps = 0;
  double left_steps = 0;
  double steps_per_s = 0;
};

SweepWork work_of(const SweepState& state, const TrialBook& book, const std::map<std::int64_t, RunningTrial>& running) {
  SweepWork work;
  const SweepCounts counts = state.counts();
  double active_steps = static_cast<double>(state.active_steps());
  for (const auto& [number, trial] : running) {
    const std::int64_t known = state.active_step(number).value_or(trial.step);
    active_steps += static_cast<double>(std::max<std::int64_t>(0, trial.step - known));
  }
  const double mean_steps = book.mean_steps();
  work.done_steps = mean_steps * static_cast<double>(counts.done) + active_steps;
  work.left_steps = std::max(0.0, mean_steps * static_cast<double>(counts.total - counts.done) - active_steps);
  for (const auto& [number, trial] : running) {
    if (trial.ms_per_step > 0) {
      work.steps_per_s += 1000.0 / trial.ms_per_step;
    }
  }
  return work;
}

std::string short_number(double value) {
  return to_text(std::round(value * 1e4) / 1e4);
}

}  // namespace

std::string sweep_progress_text(const SweepState& state, const TrialBook& book, const std::string& metric,
                                const std::map<std::int64_t, RunningTrial>& running) {
  const SweepCounts counts = state.counts();
  std::string text = str(counts.done, "/", counts.total, " done, ", counts.running, " running");
  if (counts.held > 0) {
    text += str(", ", counts.held, " at rungs");
  }
  std::optional<TrialState> best = state.best();
  if (best && best->best) {
    text += str(", best trial ", trial_name(best->number), " ", metric, " ", short_number(*best->best));
  }
  for (const auto& [status, count] : counts.by_status) {
    if (status != status_name(TrialStatus::kOk)) {
      text += str(", ", count, " ", status);
    }
  }
  const SweepWork work = work_of(state, book, running);
  if (work.left_steps > 0 && work.steps_per_s > 0 && !state.standings().is_on()) {
    text += str(", about ", duration_text(work.left_steps / work.steps_per_s), " left");
  }
  return text;
}

std::string sweep_progress_bar(const SweepState& state, const TrialBook& book,
                               const std::map<std::int64_t, RunningTrial>& running, int width) {
  const SweepWork work = work_of(state, book, running);
  const double all = work.done_steps + work.left_steps;
  const int full = all > 0 ? static_cast<int>(std::floor(work.done_steps / all * width)) : width;
  return str("[", std::string(static_cast<std::size_t>(full), '#'),
             std::string(static_cast<std::size_t>(width - full), '-'), "]");
}

bool SweepProgress::is_due() const {
  const double now_s = clock_.monotonic_s();
  const double log_every_s = std::clamp(kLogPart * (now_s - start_s_), kLogFirst_s, kLogLater_s);
  return now_s - last_s_ >= (terminal_ ? kTerminalEvery_s : log_every_s);
}

void SweepProgress::show(const std::string& bar, const std::string& text) {
  const double now_s = clock_.monotonic_s();
  if (terminal_) {
    out_ << '\r' << bar << ' ' << text << "\x1b[K" << std::flush;
    open_ = true;
  } else if (text != last_text_ || now_s - last_s_ >= kLogSameText_s) {
    out_ << text << std::endl;
  } else {
    return;
  }
  last_text_ = text;
  last_s_ = now_s;
}

void SweepProgress::finish() {
  if (open_) {
    out_ << std::endl;
    open_ = false;
  }
}

}  // namespace regatta
