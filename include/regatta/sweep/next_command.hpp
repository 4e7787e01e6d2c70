// What a person types to continue a sweep. The journal keeps the words of the command that started each job, with a
// stand-in for the sweep's folder, so that they stay right when the folder is moved or copied.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "regatta/config/json.hpp"
#include "regatta/sweep/definition.hpp"

namespace regatta {

/// In the words of a command: the sweep's folder.
inline constexpr const char* kFolderWord = "{}";

/// The environment variable that tells a Slurm job how `regatta submit` was called: the words as a JSON list.
inline constexpr const char* kAgainVariable = "REGATTA_AGAIN";

/// Names the sweep in a command: its folder alone, or a job file that says more than the sweep as born and the folder.
/// @param as_born  the job file says the same as SWEEP/job.json @param job  absolute
std::vector<std::string> sweep_words(bool as_born, const std::filesystem::path& job);

/// Whether a job asks for just what SWEEP/job.json holds, or there is none yet. A larger total does not count: the
/// journal has it.
bool is_as_born(const SweepFiles& files, const SweepDefinition& definition);

/// One line to type, for the sweep in `folder`. A job file that is no longer there is left out.
std::string command_text(std::vector<std::string> words, const std::filesystem::path& folder);

/// How the newest job of a sweep was started, by the member `again` of its "join" or "submit" records; where none says
/// so, `regatta submit` on a machine with sbatch, else `regatta sweep`.
std::string next_command(const std::vector<Json>& records, const std::filesystem::path& folder);

/// The same, reading the journal.
std::string next_command(const SweepFiles& files);

}  // namespace regatta
