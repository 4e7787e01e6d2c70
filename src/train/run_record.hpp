// What a training writes about itself: the environment that decides its bits, the metadata of checkpoints and of
// best.safetensors, and result.json.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "regatta/nn/parameters.hpp"
#include "regatta/train/checkpoint.hpp"
#include "regatta/train/trainer.hpp"

namespace regatta {

/// Build, LibTorch, device, backend, instruction set and threads: while they are the same, a resume is as exact as the
/// training.
Json environment_of(const c10::Device& device, Backend backend, int threads);

/// Whether the same training on this device gives the same bits again: "bitwise" or "numerical".
std::string determinism_of(const ResolvedRecipe& resolved, const c10::Device& device);

/// What is said of a resume: bitwise only where the training is, every earlier resume was, and nothing differs.
/// @param before  of the attempts so far: none, bitwise, numerical @param difference  of the environments; empty: none
std::string resume_kind(const std::string& determinism, const std::string& before, const std::string& difference);

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
TrialResult make_result(const TrainSetup& setup, const TrainingCounters& counters, const RunLedger& ledger,
                        Backend backend, const std::string& backend_parts);

}  // namespace regatta
