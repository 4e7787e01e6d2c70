#include "report/axis_domain.hpp"

#include <algorithm>
#include <set>

namespace regatta {
namespace {

/// An axis of each sweep that has it.
std::vector<const Json*> axis_options(const Report& report, const std::string& pointer) {
  std::vector<const Json*> found;
  for (const ReportSweep& sweep : report.sweeps) {
    const auto axes = sweep.job.is_object() ? sweep.job.find("axes") : sweep.job.end();
    if (axes != sweep.job.end() && axes->is_object() && axes->contains(pointer)) {
      found.push_back(&(*axes)[pointer]);
    }
  }
  return found;
}

bool has_list(const Json& axis) {
  return axis.is_object() && axis.contains("list") && axis["list"].is_array() && !axis["list"].empty();
}

/// "linear", "log", "integer", "log_integer" with both ends.
std::optional<AxisRange> range_in(const Json& axis) {
  for (const auto& member : axis.items()) {
    const Json& ends = member.value();
    if (member.key() == "list" || !ends.is_array() || ends.size() != 2 || !ends[0].is_number() ||
        !ends[1].is_number()) {
      continue;
    }
    return AxisRange{ends[0].get<double>(), ends[1].get<double>(), member.key().starts_with("log"),
                     member.key().ends_with("integer")};
  }
  return std::nullopt;
}

}  // namespace

std::optional<AxisRange> range_of(const Report& report, const std::string& pointer, const std::vector<Json>& values) {
  std::optional<AxisRange> range;
  for (const Json* axis : axis_options(report, pointer)) {
    const auto found = axis->is_object() && !has_list(*axis) ? range_in(*axis) : std::nullopt;
    if (!found) {
      return std::nullopt;
    }
    range = !range ? found
                   : std::optional(AxisRange{std::min(found->low, range->low), std::max(found->high, range->high),
                                             found->log && range->log, found->whole && range->whole});
  }
  for (const Json& value : values) {
    if (!range || value.is_null()) {
      continue;
    }
    if (!value.is_number()) {
      return std::nullopt;
    }
    range->low = std::min(range->low, value.get<double>());
    range->high = std::max(range->high, value.get<double>());
  }
  return range;
}

std::vector<Json> choices_of(const Report& report, const std::string& pointer, const std::vector<Json>& values) {
  std::vector<Json> choices;
  std::set<std::string> taken;
  const auto add = [&](const Json& value) {
    if (!value.is_null() && taken.insert(dump_canonical(value)).second) {
      choices.push_back(value);
    }
  };
  for (const Json* axis : axis_options(report, pointer)) {
    if (has_list(*axis)) {
      std::for_each((*axis)["list"].begin(), (*axis)["list"].end(), add);
    }
  }
  std::for_each(values.begin(), values.end(), add);
  return choices;
}

}  // namespace regatta
