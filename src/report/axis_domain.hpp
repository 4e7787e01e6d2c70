// What an axis may be, over all sweeps of a report: a range of numbers, or a list of choices.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "regatta/report/report.hpp"

namespace regatta {

struct AxisRange {
  double low = 0.0;
  double high = 1.0;
  bool log = false;
  bool whole = false;
};

/// From the jobs' axes and the values in `values`, which extensions may have put beyond them; nothing for an axis that
/// a job lists, or that has values which are not numbers. Null is the value of a point that lacks the axis.
std::optional<AxisRange> range_of(const Report& report, const std::string& pointer, const std::vector<Json>& values);

/// Values of an axis without a range, in the order of the jobs' lists, then of `values`; each once.
std::vector<Json> choices_of(const Report& report, const std::string& pointer, const std::vector<Json>& values);

}  // namespace regatta
