// What a job gives and what has an effect: an option, a setting or an axis that changes nothing is refused, not
// ignored.
#pragma once

#include <string>
#include <vector>

#include "regatta/config/job.hpp"

namespace regatta {

/// @param settings  of the command line, put into the job's recipe already
/// @param is_new  whether the sweep is yet to begin; one that runs continues with what it was born with, but for
/// settings that are no part of its identity
/// @throws ConfigError naming a setting, an axis or an option of the recipe's text that changes nothing at any point
void require_effect(const JobOptions& job, const std::vector<std::string>& settings, bool is_new);

/// Axes by pointer, without their values.
std::vector<std::string> axis_pointers(const JobOptions& job);

/// A line for each axis that changes nothing at some of the points.
std::vector<std::string> idle_axes(const JobOptions& job);

}  // namespace regatta
