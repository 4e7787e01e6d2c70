// Running a sweep on the ranks that were started: what `regatta sweep` calls in regatta-launch. Where nothing but
// one process was started, that process is the only rank; `run_under_mpirun` starts several on this machine.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "regatta/base/error.hpp"
#include "regatta/launch/sweep_times.hpp"

namespace regatta {

struct SweepRun {
  std::filesystem::path job;          ///< job file, or the folder of a sweep to continue
  std::filesystem::path directory;    ///< the sweep's; empty: runs/<job name>, or the folder that `job` names
  std::vector<std::string> settings;  ///< "POINTER=VALUE" over the base recipe
  std::string device;                 ///< auto, cpu, cuda; empty: as the recipe says
  int threads = 0;                    ///< CPU threads of a trial; 0: the job's threads_per_trial, else a rank's share
  int ranks = 0;                      ///< ranks that must be there; 0: any number
  double leave_after_s = 0.0;         ///< save and leave after so long; 0: at Slurm's limit, if there is one
  SweepTimes times;
  std::string worker;  ///< program that trains ("PROGRAM worker --fd 3") and describes ("PROGRAM describe")
};

/// How a sweep, or this job's part in it, ended.
struct SweepEnd {
  std::filesystem::path directory;
  bool finished = false;     ///< every trial is done
  std::string spent;         ///< which budget is used up, "2.01 of 2 GPU-hours are used"; empty: none
  bool started = false;      ///< a trial was begun or continued by this job
  std::string next_command;  ///< continues it; empty if it was finished before
};

/// Starts or continues a sweep; collective over all ranks. The first line on rank 0's stdout is the sweep's directory.
/// SIGUSR2, SIGTERM or SIGINT at any rank: all trials save, all ranks leave together.
/// Call it while the process has one thread, before MPI_Init: it forks the spawner, then starts MPI.
/// @param at_end  called on rank 0 before the ranks part, with the sweep's files complete
/// @return kOk: all trials done and none failed, or a budget is used up, or stopped, or nothing was left to do here;
/// kFailure: all done, some failed; kRequeue: saved, to be continued; kNoGain: the same, but this Slurm job gains
/// nothing
/// @throws ConfigError, DataError, DeviceError, CommError; then call `abort_ranks`, or the other ranks wait for ever
ExitCode run_sweep(const SweepRun& run, const std::function<void(const SweepEnd&)>& at_end);

/// Whether mpirun or srun started this process as one of its ranks.
bool is_under_launcher();

/// Runs `arguments` (a program's path first) as ranks on this machine through mpirun, stays as its parent and
/// hands on what asks to leave: SIGUSR2, SIGTERM and SIGINT all become SIGUSR2, which mpirun forwards to every rank
/// (its own answer to SIGTERM and SIGINT is to kill them within a second, in the middle of a save).
/// @return mpirun's exit code, which is that of the ranks
/// @throws CommError if there is no mpirun
ExitCode run_under_mpirun(int ranks, const std::vector<std::string>& arguments);

}  // namespace regatta
