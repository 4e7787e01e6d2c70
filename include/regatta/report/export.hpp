// A report's trials in the files of other programs: an Optuna journal, CSV curves, TensorBoard event files.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "regatta/report/report.hpp"

namespace regatta {

/// A file of Optuna's journal storage (`optuna-dashboard FILE`): a study per sweep, a trial per trial, with the same
/// numbers. Trials that failed, or whose objective is not finite, are FAIL; validations are intermediate values.
std::string optuna_journal(const Report& report);

/// One line per step and value: losses, learning rate and metrics of all trials. Reads the trials' metrics.jsonl.
std::string curves_csv(const Report& report);

/// Event files, one folder per trial: path relative to the output folder, and content.
struct EventFile {
  std::filesystem::path path;
  std::string content;
};
std::vector<EventFile> event_files(const Report& report);

}  // namespace regatta
