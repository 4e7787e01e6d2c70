// The worker: protocol on one side, trainer on the other.
#include "regatta/train/worker.hpp"
#include "regatta/config/json.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <memory>
#include <new>

#include <poll.h>

#include <nlohmann/json.hpp>

#include "regatta/base/crash_stack.hpp"
#include "regatta/base/log.hpp"
#include "regatta/base/signals.hpp"
#include "regatta/base/version.hpp"
#include "regatta/config/protocol.hpp"
#include "regatta/nn/device.hpp"
#include "regatta/train/trainer.hpp"
#include "train/comm.hpp"
#include "train/torch_errors.hpp"

namespace regatta {
namespace {

constexpr double kLastWords_s = 10.0;

class ProtocolObserver final : public TrainObserver {
 public:
  ProtocolObserver(LineChannel& channel, const StartOrder& order)
      : channel_(channel), files_{order.root}, until_(order.until) {}

  void on_start(const StartNote& note) override {
    log_info(note.checkpoint.empty() ? str("starting at step 0")
                                     : str("continuing from ", note.checkpoint, ", ", note.resume),
             note.resume_reason.empty() ? "" : ": ", note.resume_reason, "; ", note.threads, " threads, backend ",
             note.parts, "; ", note.data_text());
    Json fields;
    fields["step"] = note.step;
    fields["start"] = to_json(note);
    channel_.send("progress", std::move(fields));
    if (until_ > 0 && note.step >= until_) {
      report_again(note);
    }
  }

  void on_progress(const TrainProgress& progress) override {
    Json fields;
    fields["step"] = progress.step;
    fields["steps"] = progress.steps;
    fields["epoch"] = progress.epoch;
    const auto total = progress.losses.find("total");
    fields["epochs"] = progress.epochs;
    fields["loss"] = total == progress.losses.end() ? Json("nan") : number_to_json(total->second);
    fields["losses"] = numbers_to_json(progress.losses);
    fields["validated"] = progress.validated;
    fields["to_validate"] = progress.to_validate;
    fields["ms_per_step"] = number_to_json(progress.ms_per_step);
    fields["eta_s"] = number_to_json(progress.eta_s);
    send_progress(std::move(fields));
  }

  void on_validation(const ValidationNote& note) override {
    Json fields;
    fields["step"] = note.step;
    fields["epoch"] = note.epoch;
    fields["metrics"] = numbers_to_json(note.metrics);
    fields["is_best"] = note.is_best;
    channel_.send("report", std::move(fields));
    std::string text;
    for (const auto& [name, value] : note.metrics) {
      text += str(" ", name, " ", value);
    }
    log_info("step ", note.step, ": validation", text, note.is_best ? ", best so far" : "");
    leave_ = leave_ || pause_ || (until_ > 0 && note.step >= until_);
  }

  void on_checkpoint(const CheckpointNote& note) override {
    Json fields;
    fields["step"] = note.step;
    fields["file"] = note.file;
    fields["save_s"] = number_to_json(note.save_s);
    channel_.send("checkpoint", std::move(fields));
  }

  bool should_leave() override {
    hear(channel_.receive());
    REGATTA_REQUIRE(!channel_.closed(), CommError, "the supervisor is gone");
    return leave_;
  }

  void hear(const std::vector<Json>& messages) {
    for (const Json& message : messages) {
      leave_ = leave_ || message.at("type") == "leave";
      pause_ = pause_ || message.at("type") == "pause";
    }
  }

 private:
  /// The checkpoint is of the step at which this slice is to end: an earlier attempt was cut off between its save and
  /// its last word. If that step has not been validated yet, it is now, and the slice ends then.
  void report_again(const StartNote& note) {
    for (const MetricLine& line : read_metric_lines(files_)) {
      if (line.kind == MetricLine::Kind::kValidation && line.step == until_) {
        Json fields;
        fields["step"] = line.step;
        fields["epoch"] = line.epoch;
        fields["metrics"] = numbers_to_json(line.values);
        channel_.send("report", std::move(fields));
        channel_.send("checkpoint", {{"step", note.step}, {"file", note.checkpoint}});
        leave_ = true;
      }
    }
  }

  void send_progress(Json fields) { channel_.send("progress", std::move(fields), /*may_drop=*/true); }

  LineChannel& channel_;
  TrialFiles files_;
  std::int64_t until_;
  bool pause_ = false;  ///< at the next validation
  bool leave_ = false;
};

struct Started {
  StartOrder order;
  std::vector<Json> later;  ///< messages that came with the order
};

Started wait_for_start(LineChannel& channel) {
  while (true) {
    const std::vector<Json> messages = channel.receive();
    const auto start = std::find_if(messages.begin(), messages.end(),
                                    [](const Json& message) { return message.at("type") == "start"; });
    if (start != messages.end()) {
      return {start_order_from(*start), {start + 1, messages.end()}};
    }
    REGATTA_REQUIRE(!channel.closed(), CommError, "the supervisor is gone");
    pollfd wait{channel.fd(), POLLIN, 0};
    ::poll(&wait, 1, 1000);
  }
}

/// A finished trial keeps its best weights and its metrics; a sweep of large networks would fill the disk otherwise.
void drop_checkpoints(const TrialFiles& files, const Recipe& recipe) {
  const RemovedFiles removed = retire_checkpoints(files, recipe.checkpoint.keep_final, recipe.guard.anchor_steps);
  for (const std::filesystem::path& path : removed.paths) {
    std::error_code error;
    if (std::filesystem::exists(path, error)) {
      log_warning(path.string(), ": cannot be removed");
    }
  }
}

/// The group that the order names; null: none.
std::unique_ptr<Comm> group_of(const StartOrder& order, const c10::Device& device) {
  if (order.group.size == 1) {
    return nullptr;
  }
  log_info("member ", order.group.rank, " of ", order.group.size, " at ", device.is_cuda() ? nccl_text() : "sockets");
  return device.is_cuda() ? meet_over_nccl(order.group, device) : meet_over_sockets(order.group);
}

TrainOutcome train_trial(const StartOrder& order, TrainObserver& observer) {
  const TrialFiles files{order.root};
  RecipeResolver resolver;
  const Recipe recipe = recipe_from_json(read_json(files.recipe()), files.recipe().string());
  TrainSetup setup;
  setup.resolved = resolver.resolve(recipe);
  setup.files = files;
  setup.attempt = order.attempt;
  setup.threads = order.threads;
  if (auto result = finished_result(files, setup.resolved)) {
    const std::int64_t steps = result->steps;
    drop_checkpoints(files, recipe);
    return {AttemptStatus::kOk, steps, "was finished already", std::move(result)};
  }
  setup.device = choose_device(order.device);
  const std::unique_ptr<Comm> comm = group_of(order, setup.device);
  if (comm != nullptr) {
    setup.comm = comm.get();
    setup.resolved.recipe.run.threads = order.threads;  // its part of those of the recipe
  }
  setup.deadline_s = order.group.deadline_s;
  setup.patience_s = order.group.patience_s;
  const Archive& archive = resolver.archive(recipe.data.archive);
  TrainOutcome outcome = Trainer(std::move(setup), observer).run(archive);
  if (outcome.status == AttemptStatus::kOk && !order.keeps_checkpoints && order.group.rank == 0) {
    drop_checkpoints(files, recipe);
  }
  return outcome;
}

ExitCode exit_code_of(AttemptStatus status) {
  switch (status) {
    case AttemptStatus::kOk: return ExitCode::kOk;
    case AttemptStatus::kPaused: return ExitCode::kRequeue;
    default: return ExitCode::kDiverged;
  }
}

AttemptStatus status_of(ExitCode code) {
  switch (code) {
    case ExitCode::kConfig:
    case ExitCode::kData: return AttemptStatus::kBadInput;
    case ExitCode::kOutOfMemory: return AttemptStatus::kOom;
    case ExitCode::kDevice: return AttemptStatus::kDevice;
    default: return AttemptStatus::kFailed;
  }
}

ExitCode end_with(LineChannel& channel, ExitCode code, const TrainOutcome& outcome) {
  Json fields;
  fields["status"] = status_name(outcome.status);
  fields["step"] = outcome.step;
  fields["message"] = outcome.message;
  if (outcome.result) {
    fields["result"] = to_json(*outcome.result);
  }
  channel.send("end", std::move(fields));
  channel.flush(kLastWords_s);
  return code;
}

ExitCode end_with_error(LineChannel& channel, ExitCode code, const std::string& text) {
  log_error(text);
  return end_with(channel, code, {status_of(code), 0, text, std::nullopt});
}

/// A group that has lost a member: what the device still waits for would never come, so nothing is taken down.
[[noreturn]] void end_without_cleaning(LineChannel& channel, AttemptStatus status, const Error& error) {
  log_error(error.what());
  end_with(channel, error.code(), {status, 0, error.what(), std::nullopt});
  std::fflush(nullptr);
  std::_Exit(static_cast<int>(error.code()));
}

}  // namespace

ExitCode run_worker(int fd) {
  ignore_leave_signals();
  install_crash_stack();
  LineChannel channel(fd);
  Json hello;
  hello["protocol"] = kProtocolVersion;
  hello["build"] = build_id();
  hello["device"] = with_torch_errors([] { return device_name(choose_device("auto")); });
  channel.send("hello", std::move(hello));
  const Started started = wait_for_start(channel);
  const StartOrder& order = started.order;
  ProtocolObserver observer(channel, order);
  observer.hear(started.later);
  try {
    const TrainOutcome outcome = with_torch_errors([&] { return train_trial(order, observer); });
    log_info("step ", outcome.step, ": ", status_name(outcome.status), outcome.message.empty() ? "" : ", ",
             outcome.message);
    return end_with(channel, exit_code_of(outcome.status), outcome);
  } catch (const CommError& error) {
    if (channel.closed()) {
      throw;  // nobody is left to report to
    }
    end_without_cleaning(channel, AttemptStatus::kDevice, error);  // of NCCL
  } catch (const MemberGone& error) {
    end_without_cleaning(channel, AttemptStatus::kLost, error);
  } catch (const MemberHangs& error) {
    end_without_cleaning(channel, AttemptStatus::kHang, error);
  } catch (const Error& error) {
    return end_with_error(channel, error.code(), error.what());
  } catch (const std::bad_alloc&) {
    return end_with_error(channel, ExitCode::kOutOfMemory, "out of host memory");
  } catch (const std::exception& error) {
    return end_with_error(channel, ExitCode::kBug, one_line(error.what(), 2000));
  }
}

}  // namespace regatta
