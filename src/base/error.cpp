#include "regatta/base/error.hpp"

#include <array>

namespace regatta {

std::span<const ExitCodeRow> exit_code_rows() {
  static constexpr std::array<ExitCodeRow, 14> kRows = {{
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
      {ExitCode::kNoCheckpoint, "no checkpoint", "checkpoints exist but none verifies; --fresh starts anew"},
      {ExitCode::kBug, "bug", "an error of the program itself; please report it"},
      {ExitCode::kRequeue, "requeue", "saved at a signal or time limit; the same command continues"},
      {ExitCode::kNoGain, "no gain",
       "saved, but neither this start of the Slurm job nor the one before gained a checkpoint"},
  }};
  return kRows;
}

}  // namespace regatta
