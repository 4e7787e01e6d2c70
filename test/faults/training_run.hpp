// One training under test: the undisturbed one, and others that are compared with it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "faults/campaign.hpp"
#include "regatta/train/run_folder.hpp"

namespace regatta::faults {

inline constexpr std::int64_t kSteps = 60;

/// The undisturbed training, to which every other is compared.
struct Whole {
  Recipe recipe;
  std::filesystem::path run;
  std::string hash;
  std::string last;  ///< bytes of the last checkpoint
  std::string best;  ///< bytes of best.safetensors
  long calls = 0;
};

/// `regatta train`, in this process. @return its exit code
int train(const std::filesystem::path& run, const Recipe& recipe);

Plan no_fault();

/// Checkpoints that did not verify, set aside.
bool has_bad_files(const std::filesystem::path& run);

std::int64_t newest_step(const std::filesystem::path& run);

/// Goes on without faults, to the end. @return what is wrong; empty: the bytes are those of the undisturbed training
std::string finish_cleanly(const Whole& whole, const Recipe& recipe, const std::filesystem::path& run,
                           const std::filesystem::path& log);

}  // namespace regatta::faults
