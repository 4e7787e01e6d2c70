// Which rank does what: of the jobs that are at work on a sweep.
#pragma once

#include <vector>

#include "regatta/report/status.hpp"
#include "report/read_sweep.hpp"

namespace regatta {

/// All ranks of the jobs whose writers are neither gone nor have left, by host, job and rank.
/// @param active  as in SweepStatus
std::vector<RankStatus> ranks_of(const JournalView& view, const std::vector<ActiveTrial>& active);

}  // namespace regatta
