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

/// Waits for the writer; saves what is not saved yet. @return false if a save was refused because it was not finite
bool Trainer::Impl::save_at_end() {
  writer->drain();
  if (!handle_saves()) {
    return false;
  }
  const bool is_new = counters.step != submitted_step || counters.validated_step != submitted_validation;
  double pause_s = kFirstPause_s;
  for (int tries = 1; counters.step > 0 && (tries == 1 ? is_new || !save_error.empty() : !save_error.empty());
       ++tries) {
    if (tries > 1) {
      std::this_thread::sleep_for(std::chrono::duration<double>(std::exchange(pause_s, 2.0 * pause_s)));
    }
    save();
    writer->drain();
    if (!handle_saves()) {
      return false;
    }
    if (tries == kLastTries) {
      break;
    }
  }
  return true;
}

TrainOutcome Trainer::Impl::leave() {
  if (!save_at_end()) {
    return diverged();
  }
  std::string message = str("saved at step ", published_step);
  if (published_step < 0) {
    message = counters.step > 0 ? str("could not save: ", save_error) : "nothing to save before the first step";
  } else if (published_step < counters.step) {
    message += str("; could not save step ", counters.step, ": ", save_error);
  }
  return {AttemptStatus::kPaused, std::max<std::int64_t>(published_step, 0), message, std::nullopt};
}

TrainOutcome Trainer::Impl::diverged() {
  writer->drain();
  handle_saves();
  std::string message = bad_tensor;
  if (message.empty()) {
    message = str("loss or gradient is not finite; ", pairs_of(bad_step), "; learning rate ",
                  rate_of(order.epoch_of(bad_step - 1)), "; ", skips_in_row, " steps in a row skipped, ",
                  counters.rollbacks, " of ", recipe.guard.rollbacks, " roll-backs made",
                  counters.rollbacks < recipe.guard.rollbacks ? " (no checkpoint to go back to)" : "");
  }
  return {AttemptStatus::kDiverged, bad_step, message, std::nullopt};
}

/// Makes best.safetensors and the counters agree, whatever earlier attempts left behind.
void Trainer::Impl::settle_best() {
  if (counters.best_step < 0) {
    log_warning("'", recipe.validation.best, "' was never a number; best.safetensors holds the last weights");
    counters.best_step = counters.step;
    counters.best = counters.last;
    save_best();
    writer->drain();
    handle_saves();
  }
  const auto on_disk = read_best(setup.files);
  REGATTA_REQUIRE(on_disk.has_value(), DataError, setup.files.best_weights().string(), ": could not be written",
                  save_error.empty() ? "" : ": ", save_error);
  if (on_disk->step != counters.best_step) {  // after a resume that was not bitwise
    log_warning("best.safetensors is of step ", on_disk->step,
                ", which an attempt reached that was lost; kept as the best");
    counters.best_step = on_disk->step;
    counters.best = on_disk->metrics;
  }
}

TrainOutcome Trainer::Impl::finish() {
  stop_step_time();
  if (!save_at_end()) {
    return diverged();
  }
  REGATTA_REQUIRE(save_error.empty(), DataError, "the final checkpoint could not be written: ", save_error);
  settle_best();
  const RunLedger end{ledger.started_utc, train_s(), step_s(), ledger.resume};
  TrialResult result = make_result(setup, counters, end, backend, backend_parts);
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
