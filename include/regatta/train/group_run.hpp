// One training by several processes of this machine, a GPU each: starts the members, listens to them, and ends them all
// when one of them ends before its time.
#pragma once

#include <string>
#include <vector>

#include "regatta/config/trial_files.hpp"
#include "regatta/train/trainer.hpp"

namespace regatta {

struct GroupOrder {
  std::vector<std::string> program;  ///< that runs a worker: its path and the arguments before "--fd N"
  TrialFiles files;                  ///< with recipe.json, settled
  int attempt = 1;
  int members = 2;
  std::vector<std::string> gpus;  ///< CUDA_VISIBLE_DEVICES of each member; empty: members work on the CPU
  int threads = 1;                ///< CPU threads of each member
  double deadline_s = 600.0;      ///< until all members have met and the first step is done
  double patience_s = 60.0;       ///< then a member may be silent for this time, or for 20 steps if that is longer
};

/// What the members print goes to log.txt (member 0) and log-N.txt of the attempt.
/// @param observer  hears member 0; asked whether to leave
/// @throws Error, once every member has ended, with the exit code and the words of the member that failed first
TrainOutcome run_group(const GroupOrder& order, TrainObserver& observer);

/// How many GPUs this process sees; 0 where LibTorch is built without CUDA.
int visible_gpus();

/// CUDA_VISIBLE_DEVICES of each member of a group on this machine, from that of this process.
/// @param visible  how many GPUs this process sees
/// @throws ConfigError if there are fewer GPUs than members
std::vector<std::string> gpus_of_members(int members, int visible);

/// @throws ConfigError with one line unless the recipe's batch has a pair for each member
void require_group(const ResolvedRecipe& resolved, int members);

}  // namespace regatta
