// What a training writes about itself: the environment that decides its bits, the metadata of checkpoints and of
// best.safetensors, and result.json.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "regatta/train/checkpoint.hpp"
#include "regatta/train/trainer.hpp"

namespace regatta {

/// Build, LibTorch, device, instruction set and threads: while they are the same, a resume is bitwise.
Json environment_of(const c10::Device& device, int threads);

/// Metadata of a checkpoint.
std::map<std::string, std::string> checkpoint_metadata(const ResolvedRecipe& resolved, const TrainingCounters& counters,
                                                       const Json& environment);

/// Metadata of best.safetensors: everything that `regatta register` needs, and what made the weights. Holds no path,
/// time or host.
std::map<std::string, std::string> best_metadata(const ResolvedRecipe& resolved, const Archive& archive,
                                                 const TrainingCounters& counters);

struct BestOnDisk {
  std::int64_t step = 0;
  std::map<std::string, double> metrics;
};

/// What best.safetensors holds; nothing if it is missing or does not verify.
std::optional<BestOnDisk> read_best(const TrialFiles& files);

/// result.json's content at the end of a training.
TrialResult make_result(const TrainSetup& setup, const TrainingCounters& counters, const RunLedger& ledger);

}  // namespace regatta
