#include "train/save_policy.hpp"

#include <algorithm>
#include <utility>

#include "regatta/base/error.hpp"
#include "regatta/base/log.hpp"
#include "train/step_clock.hpp"

namespace regatta {
namespace {

constexpr double kFirstRetry_s = 5.0;  ///< after a save that failed; then twice as long each time
constexpr double kLongestRetry_s = 300.0;

}  // namespace

SavePolicy::SavePolicy(const TrialFiles& files, int attempt, const CheckpointOptions& options, double give_up_s,
                       std::function<void()> before_publish)
    : options_(options), give_up_s_(give_up_s), writer_(files, attempt, options.keep, std::move(before_publish)) {}

void SavePolicy::start_from(const TrainingCounters& counters) {
  go_back_to(counters);
  published_step_ = counters.step;
}

void SavePolicy::go_back_to(const TrainingCounters& counters) {
  submitted_step_ = counters.step;
  submitted_validation_ = counters.validated_step;
}

void SavePolicy::start() {
  last_s_ = now_s();
}

bool SavePolicy::due(std::int64_t step) const {
  if (step == submitted_step_ || step == 0 || writer_.busy()) {
    return false;
  }
  if (again_s_ > 0.0) {
    return now_s() >= again_s_;
  }
  const std::int64_t since = step - std::max<std::int64_t>(submitted_step_, 0);
  return (options_.every_steps > 0 && since >= options_.every_steps) ||
         (options_.every_s > 0.0 && now_s() - last_s_ >= options_.every_s);
}

void SavePolicy::submit(Snapshot snapshot) {
  submitted_step_ = snapshot.counters.step;
  submitted_validation_ = snapshot.counters.validated_step;
  writer_.submit(std::move(snapshot));
  last_s_ = now_s();
}

bool SavePolicy::is_new(const TrainingCounters& counters) const {
  return counters.step != submitted_step_ || counters.validated_step != submitted_validation_;
}

void SavePolicy::note_failed(const SaveEvent& event) {
  failing_since_s_ = error_.empty() ? now_s() : failing_since_s_;
  error_ = event.error;
  pause_s_ = std::clamp(2.0 * pause_s_, kFirstRetry_s, kLongestRetry_s);
  again_s_ = now_s() + pause_s_;
  const double failing_s = now_s() - failing_since_s_;
  REGATTA_REQUIRE(failing_s <= give_up_s_, DataError, "no checkpoint could be saved for ", duration_text(failing_s),
                  ": ", event.error);
  log_error("step ", event.step, ": could not save, training continues, next try in ", duration_text(pause_s_), ": ",
            event.error);
}

std::optional<SaveEvent> SavePolicy::look(TrainObserver& observer) {
  for (SaveEvent& event : writer_.take_events()) {
    if (event.non_finite) {
      return std::move(event);
    }
    if (!event.error.empty()) {
      note_failed(event);
    } else if (!event.is_best) {
      if (!error_.empty()) {
        log_info("step ", event.step, ": saved again");
      }
      published_step_ = event.step;
      error_.clear();
      again_s_ = pause_s_ = 0.0;
      observer.on_checkpoint({event.step, event.file.string(), event.save_s});
    }
  }
  return std::nullopt;
}

}  // namespace regatta
