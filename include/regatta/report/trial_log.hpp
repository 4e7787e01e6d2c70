// The log of one trial with what a person needs beside it: how it stands, why it failed, and the command that runs the
// same training alone.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace regatta {

struct TrialLog {
  std::string name;            ///< "t00042"
  std::string status;          ///< waiting, running, paused or a trial status
  int attempt = 0;             ///< whose log it is; 0: none has begun
  int attempts = 0;            ///< so far
  std::string message;         ///< why it failed, one line
  std::filesystem::path file;  ///< of the attempt; empty without one
  std::string reproduce;       ///< trains the same recipe alone, elsewhere; empty before the trial is born
};

/// @param attempt  0: the newest @throws DataError: not a sweep; ConfigError: no such trial or attempt
TrialLog find_trial_log(const std::filesystem::path& sweep, std::int64_t trial, int attempt = 0);

/// The last lines of a file that have something on them, oldest first; of its last 64 KiB.
std::vector<std::string> last_lines_of(const std::filesystem::path& path, std::size_t count);

/// "regatta train <recipe> -o <folder>": runs a trial of a sweep again, alone.
std::string reproduce_command(const std::filesystem::path& recipe, const std::string& sweep_name,
                              const std::string& trial);

}  // namespace regatta
