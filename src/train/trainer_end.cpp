// How an attempt ends: a request to leave, numbers that are not finite, or the last step and its result.
#include <algorithm>
#include <chrono>
#include <system_error>
#include <thread>
#include <utility>

#include "regatta/base/error.hpp"
#include "regatta/base/files.hpp"
#include "regatta/base/log.hpp"
#include "train/run_record.hpp"
#include "train/trainer_impl.hpp"

namespace regatta {
namespace {

constexpr int kLastTries = 4;          ///< of the last save
constexpr double kFirstPause_s = 0.1;  ///< then twice as long each time

}  // namespace

/// Waits for the writer; saves what is not saved yet.
Course Trainer::Impl::save_at_end() {
  require_same_weights();
  if (!saves) {
    return Course::kOn;
  }
  saves->drain();
  if (handle_saves() == Course::kBad) {
    return Course::kBad;
  }
  const bool is_new = saves->is_new(counters);
  double pause_s = kFirstPause_s;
  for (int tries = 1; counters.step > 0 && ((tries == 1 && is_new) || !saves->error().empty()); ++tries) {
    if (tries > 1) {
      std::this_thread::sleep_for(std::chrono::duration<double>(std::exchange(pause_s, 2.0 * pause_s)));
    }
    save();
    saves->drain();
    if (handle_saves() == Course::kBad) {
      return Course::kBad;
    }
    if (tries == kLastTries) {
      break;
    }
  }
  return Course::kOn;
}

TrainOutcome Trainer::Impl::leave() {
  if (save_at_end() == Course::kBad) {
    return diverged();
  }
  if (!saves) {
    return {AttemptStatus::kPaused, counters.step, "left with member 0", std::nullopt};
  }
  std::string message = str("saved at step ", saves->published_step());
  if (saves->published_step() < 0) {
    message = counters.step > 0 ? str("could not save: ", saves->error()) : "nothing to save before the first step";
  } else if (saves->published_step() < counters.step) {
    message += str("; could not save step ", counters.step, ": ", saves->error());
  }
  return {AttemptStatus::kPaused, std::max<std::int64_t>(saves->published_step(), 0), message, std::nullopt};
}

TrainOutcome Trainer::Impl::diverged() {
  if (saves) {
    saves->drain();
  }
  handle_saves();
  std::string message = skips.refused();
  if (message.empty()) {
    message = str("loss or gradient is not finite; ", pairs_text(skips.bad_step()), "; learning rate ",
                  rate_of(order.epoch_of(skips.bad_step() - 1)), "; ", skips.in_row(), " steps in a row skipped, ",
                  counters.rollbacks, " of ", recipe.guard.rollbacks, " roll-backs made",
                  counters.rollbacks < recipe.guard.rollbacks ? " (no checkpoint to go back to)" : "");
  }
  return {AttemptStatus::kDiverged, skips.bad_step(), message, std::nullopt};
}

/// Makes best.safetensors and the counters agree, whatever earlier attempts left behind.
void Trainer::Impl::settle_best() {
  if (counters.best_step < 0) {
    log_warning("'", recipe.validation.best, "' was never a number; best.safetensors holds the last weights");
    counters.best_step = counters.step;
    counters.best = counters.last;
    save_best();
    saves->drain();
    handle_saves();
  }
  const auto on_disk = read_best(setup.files);
  REGATTA_REQUIRE(on_disk.has_value(), DataError, setup.files.best_weights().string(), ": could not be written",
                  saves->error().empty() ? "" : ": ", saves->error());
  if (on_disk->step != counters.best_step) {  // after a resume that was not bitwise
    log_warning("best.safetensors is of step ", on_disk->step,
                ", which an attempt reached that was lost; kept as the best");
    counters.best_step = on_disk->step;
    counters.best = on_disk->metrics;
  }
}

TrainOutcome Trainer::Impl::finish() {
  clock.leave_steps();
  if (save_at_end() == Course::kBad) {
    return diverged();
  }
  if (!saves) {
    return {AttemptStatus::kOk, counters.step, "ended with member 0", std::nullopt};
  }
  REGATTA_REQUIRE(saves->error().empty(), DataError, "the final checkpoint could not be written: ", saves->error());
  settle_best();
  TrialResult result = make_result(setup, counters, clock.ledger(ledger), backend, backend_parts);
  if (!comm.is_alone()) {
    result.provenance.device = str(comm.size(), " x ", result.provenance.device);
  }
  result.data = data->is_streamed() ? "streamed" : "resident";
  write_file_atomically(setup.files.result(), dump_pretty(to_json(result)));
  return {AttemptStatus::kOk, counters.step, "", std::move(result)};
}

std::optional<TrialResult> finished_result(const TrialFiles& files, const ResolvedRecipe& resolved) {
  std::error_code error;
  if (!std::filesystem::exists(files.result(), error) || !std::filesystem::exists(files.best_weights(), error)) {
    return std::nullopt;
  }
  TrialResult result = result_from_json(read_json(files.result()), files.result().string());
  require_recipe(result.recipe_hash, resolved.hash, files.result());
  if (result.steps < resolved.steps) {
    return std::nullopt;
  }
  return result;
}

}  // namespace regatta
