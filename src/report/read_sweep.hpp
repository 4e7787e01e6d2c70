// One sweep's directory as rows of a report. Nothing is ranked here, and nothing of the sweep is changed.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "regatta/report/report.hpp"
#include "regatta/sweep/definition.hpp"
#include "regatta/sweep/journal.hpp"
#include "regatta/sweep/state.hpp"

namespace regatta {

/// The journal of a sweep as it stands now.
struct JournalView {
  SweepFiles files;
  SweepDefinition definition;
  std::vector<Json> records;
  SweepState state;
  std::int64_t skipped = 0;    ///< torn or foreign lines
  std::set<std::string> gone;  ///< shards whose writers have left or are certainly dead

  /// waiting, running, paused, or the status of a trial that is done. A trial whose process is gone is paused.
  std::string status_of(const TrialState& trial) const;
};

/// @throws DataError if the directory is not a sweep
JournalView read_journal(const std::filesystem::path& directory);

struct SweepRows {
  ReportSweep sweep;
  std::vector<ReportAxis> axes;
  std::vector<ReportTrial> trials;
  std::vector<Json> recipes;  ///< one per trial
  std::string data_fingerprint;
  std::int64_t steps = 0;  ///< of a training by the base recipe; 0: not known
  std::string metric;
  bool maximise = true;
  std::vector<RankedObjective> objectives;
  std::vector<Constraint> constraints;
  std::vector<std::string> notes;
};

SweepRows read_sweep(const std::filesystem::path& directory);

/// Optimiser steps of a trial in total, from the base recipe's; 0 if that does not tell.
std::int64_t steps_in_total(const SweepDefinition& definition, const Json& recipe);

/// trials/tNNNNN/recipe.json, or what it will be. What cannot be read becomes a note.
Json recipe_of(const JournalView& view, const TrialPoint& trial, std::vector<std::string>& notes);

/// A failure's message on one line, without the "step 12: " that it may begin with: its step is shown beside it.
std::string message_text(const std::string& message, std::int64_t step);

/// Trials, points and objectives of a sweep as its journal has them, ranked: the standing without a look at any folder.
Report standing_of(const JournalView& view);

/// Seconds since 1970 of "2026-11-24T03:04:05Z"; nothing for another text.
std::optional<double> utc_seconds(const std::string& text);

}  // namespace regatta
