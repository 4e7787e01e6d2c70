// From evidence to a status: the order in which it counts.
#include "launch/attempt_end.hpp"

#include <array>
#include <csignal>
#include <cstring>
#include <utility>

#include "regatta/base/error.hpp"
#include "regatta/base/text.hpp"
#include "regatta/config/options.hpp"

namespace regatta {
namespace {

constexpr std::array<std::pair<ExitCode, AttemptStatus>, 7> kStatusByCode = {{
    {ExitCode::kConfig, AttemptStatus::kBadInput},
    {ExitCode::kData, AttemptStatus::kBadInput},
    {ExitCode::kDevice, AttemptStatus::kDevice},
    {ExitCode::kOutOfMemory, AttemptStatus::kOom},
    {ExitCode::kDiverged, AttemptStatus::kDiverged},
    {ExitCode::kRequeue, AttemptStatus::kPaused},
    {ExitCode::kNoCheckpoint, AttemptStatus::kFailed},
}};

// What a shell makes of a child that was killed by signal N.
constexpr int kSignalBase = 128;

std::string signal_text(int signal) {
  const char* name = ::sigabbrev_np(signal);
  std::string text = str("ended by signal ", signal, name == nullptr ? "" : str(" (SIG", name, ")"));
  if (signal == SIGKILL) {
    text += ": if nobody sent it, the host ran out of memory (see dmesg, or the job's memory limit)";
  }
  return text;
}

AttemptEnd from_exit(const AttemptEvidence& evidence) {
  AttemptEnd end;
  end.step = evidence.last_step;
  const int code = evidence.exit.code;
  const int signal = evidence.exit.signal != 0 ? evidence.exit.signal : code - kSignalBase;
  if (signal > 0 && signal < NSIG) {
    const bool is_out_of_memory = signal == SIGKILL && evidence.memory_kill;
    end.status = is_out_of_memory ? AttemptStatus::kOom : AttemptStatus::kSignal;
    end.message = is_out_of_memory ? "killed by the kernel: the job's host memory is used up; ask for more (--mem), or "
                                     "lower /run/threads or the volumes' size"
                                   : signal_text(signal);
    return end;
  }
  end.message = code == 0 ? std::string("ended without saying how") : str("ended with exit code ", code);
  for (const auto& [known, status] : kStatusByCode) {
    if (static_cast<int>(known) == code) {
      end.status = status;
    }
  }
  return end;
}

}  // namespace

AttemptEnd classify_end(const AttemptEvidence& evidence) {
  if (evidence.interference == Interference::kHang) {
    return {AttemptStatus::kHang, evidence.last_step,
            str("no sign of life for ", duration_text(evidence.silent_s),
                evidence.state.empty() ? "" : str("; its process: ", evidence.state)),
            nullptr};
  }
  if (evidence.end_message) {
    const Json& message = *evidence.end_message;
    const auto status = attempt_status_from(message.value("status", std::string()));
    if (status && (*status != AttemptStatus::kOk || message.contains("result"))) {
      AttemptEnd end{*status, message.value("step", evidence.last_step),
                     one_line(message.value("message", std::string())), nullptr};
      if (*status == AttemptStatus::kOk) {
        end.result = message.at("result");
      }
      return end;
    }
    return {AttemptStatus::kFailed, evidence.last_step, str("unknown end: ", one_line(dump_line(message), 200)),
            nullptr};
  }
  if (evidence.interference == Interference::kDeadline) {
    return {AttemptStatus::kTimeout, evidence.last_step, "did not save in time when the job had to leave", nullptr};
  }
  if (!evidence.protocol_error.empty()) {
    return {AttemptStatus::kFailed, evidence.last_step, one_line(evidence.protocol_error), nullptr};
  }
  return from_exit(evidence);
}

}  // namespace regatta
