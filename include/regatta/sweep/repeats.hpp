// The same training twice in one sweep: values that stand twice in a list, and trials that come out alike.
#pragma once

#include <string>
#include <vector>

#include "regatta/config/job.hpp"

namespace regatta {

struct TrialPlan;

/// Of listed or named values that are equal (1 and 1.0 are) the first alone is taken; a total of a grid that counts on
/// more becomes all that there are. `random` draws such a value more often, and the axis stays as it is.
/// @return a line for each
std::vector<std::string> drop_repeated_values(JobOptions& job);

/// A line for each trial that trains what an earlier one does: the same recipe, seed included, at the same length.
/// Random points of axes with few values, values that differ as text but not in meaning.
std::vector<std::string> repeated_trials(const std::vector<TrialPlan>& plans);

}  // namespace regatta
