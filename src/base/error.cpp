#include "regatta/base/error.hpp"

#include <array>

namespace regatta {
namespace {

/// Of base/signals, as a shell has it: 128 + SIGINT. Nothing returns it, so it has no name among the codes.
constexpr auto kInterrupted = static_cast<ExitCode>(130);

}  // namespace

std::span<const ExitCodeRow> exit_code_rows() {
  static constexpr std::array<ExitCodeRow, 15> kRows = {{
      {ExitCode::kOk, "ok", "done, or nothing left to do"},
      {ExitCode::kFailure, "failure", "finished, but something asked for failed (a trial, a check)"},
      {ExitCode::kConfig, "config", "wrong command line, job or recipe; nothing was started"},
      {ExitCode::kData, "data", "wrong or unreadable input file; nothing was left half-written"},
      {ExitCode::kComm, "comm", "MPI, NCCL or a process of ours stopped answering"},
      {ExitCode::kDevice, "device", "GPU or driver fault"},
      {ExitCode::kNotBuilt, "not built", "this build leaves the feature out"},
      {ExitCode::kBusy, "busy", "another living process owns the run directory"},
      {ExitCode::kOutOfMemory, "out of memory", "the model does not fit into the device's memory"},
      {ExitCode::kDiverged, "diverged", "loss or weights became non-finite"},
      {ExitCode::kNoCheckpoint, "no checkpoint",
       "checkpoints exist but none verifies; --fresh starts from the beginning"},
      {ExitCode::kBug, "bug", "an error of the program itself; please report it"},
      {ExitCode::kRequeue, "requeue", "saved at a signal (Ctrl-C once) or time limit; the same command continues"},
      {ExitCode::kNoGain, "no gain",
       "neither this start of the Slurm job nor the one before gained a checkpoint, or its time limit is too short for "
       "any trial"},
      {kInterrupted, "interrupted",
       "Ctrl-C twice: ended without saving; the same command continues from the last checkpoint"},
  }};
  return kRows;
}

}  // namespace regatta
