// Where the files of a sweep are. Only names and paths; the trial folders themselves are config/trial_files.hpp.
//
//   SWEEP/job.json                 the sweep as born (sweep/definition.hpp)
//   SWEEP/journal/*.jsonl          one shard per run of the program (sweep/journal.hpp)
//   SWEEP/claims/t00042.a1         who may run attempt 1 of trial 42 (sweep/claims.hpp)
//   SWEEP/trials/t00042/           config/trial_files.hpp
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "regatta/config/trial_files.hpp"

namespace regatta {

/// "t00042"
std::string trial_name(std::int64_t number);

struct SweepFiles {
  std::filesystem::path root;

  std::filesystem::path job() const { return root / "job.json"; }
  std::filesystem::path journal() const { return root / "journal"; }
  std::filesystem::path claims() const { return root / "claims"; }
  std::filesystem::path claim(std::int64_t trial, int attempt) const {
    return claims() / str(trial_name(trial), ".a", attempt);
  }
  TrialFiles trial(std::int64_t number) const { return {root / "trials" / trial_name(number)}; }
};

}  // namespace regatta
