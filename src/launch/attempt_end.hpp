// How an attempt ended, from what is known of the child: its last message, its exit, and what its supervisor did to it.
// Pure. What follows for the trial (charged, repeated, final) is decided by the sweep's state.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "launch/spawner.hpp"
#include "regatta/config/trial_files.hpp"

namespace regatta {

/// What the supervisor did to its child, if it did not end by itself.
enum class Interference { kNone, kHang, kDeadline };

struct AttemptEvidence {
  std::optional<Json> end_message;  ///< the child's "end", if one came
  std::string protocol_error;       ///< what was wrong with its messages, or empty
  ChildExit exit;
  Interference interference = Interference::kNone;
  double silent_s = 0.0;     ///< since the last message, for a hang
  std::string state;         ///< of the process at a hang, as the kernel names it
  bool memory_kill = false;  ///< the kernel killed a process of this job for want of memory meanwhile
  std::int64_t last_step = 0;
};

struct AttemptEnd {
  AttemptStatus status = AttemptStatus::kFailed;
  std::int64_t step = 0;
  std::string message;  ///< one line, empty if there is nothing to say
  Json result;          ///< of "ok"; null otherwise
};

/// In this order: what the supervisor did; the child's own word; its exit code; its signal.
AttemptEnd classify_end(const AttemptEvidence& evidence);

}  // namespace regatta
