// What a trial measured of each validation pair, from its pairs.jsonl.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <vector>

#include "regatta/report/report.hpp"

namespace regatta {

/// Pairs of the steps asked for, in the order of the newest lines; a validation that a later attempt repeated counts
/// once. Lines that are torn are passed over; a step that was not validated is not in the answer.
std::map<std::int64_t, std::vector<PairValues>> read_pair_values(const TrialFiles& files,
                                                                 const std::set<std::int64_t>& steps);

/// Of a finished trial: its pairs at the best checkpoint, and the means of details ("dice/17") beside those of the
/// metrics in `best`, `initial` and `last`.
void add_pair_values(const TrialFiles& files, ReportTrial& trial);

/// Keeps the pairs of the best points only, where those of all trials would make report.json too large; a note says so.
void limit_pair_values(Report& report, std::size_t most_values = 250000);

}  // namespace regatta
