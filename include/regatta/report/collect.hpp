// Reading sweeps into a Report, and writing its files. Read-only towards the sweeps' journals, claims and trials.
#pragma once

#include <filesystem>
#include <iosfwd>
#include <vector>

#include "regatta/report/report.hpp"

namespace regatta {

/// Reads sweeps, merges and ranks them; may run while they do. What cannot be read of a single trial becomes a note.
/// A sweep given twice counts once. Axes are the union; for an axis that a sweep does not vary, its trials show what
/// their recipe has there.
/// @param mixed  rank sweeps together whose data, images, validation splits or lengths of training differ; a note names
///        the differences
/// @throws DataError if a directory is not a sweep; ConfigError if the sweeps have different objectives, or differ
///         otherwise without `mixed`
Report read_report(const std::vector<std::filesystem::path>& sweeps, bool mixed = false);

struct ReportFiles {
  std::filesystem::path json;
  std::filesystem::path csv;
  std::filesystem::path html;  ///< empty: not written
  std::filesystem::path labels;
  std::filesystem::path pairs;
  std::filesystem::path hardest;
};

/// report.json, report.html, leaderboard.csv and the tables behind its rows (leaderboard_labels.csv,
/// leaderboard_pairs.csv, leaderboard_hardest.csv) in a directory.
ReportFiles report_files_in(const std::filesystem::path& directory);

/// Writes each file atomically; a file whose content would not change is left alone. @throws DataError
void write_report(const Report& report, const ReportFiles& files);

/// What a person reads at the end of a sweep: the table, the winner's weights, and the command that uses them.
/// @param rows  most points shown; 0: all
void print_leaderboard(std::ostream& out, const Report& report, std::size_t rows = 0);

}  // namespace regatta
