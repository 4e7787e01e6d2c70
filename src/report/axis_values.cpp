// Axis values as tables show them: of objects only what differs.
#include <algorithm>
#include <iterator>
#include <map>
#include <set>

#include <nlohmann/json.hpp>

#include "regatta/report/report.hpp"
#include "regatta/sweep/axis.hpp"
#include "report/format.hpp"
#include "report/rows.hpp"

namespace regatta {
namespace {

using Leaves = std::set<std::pair<std::string, std::string>>;  // pointer, value

void add_leaves(const Json& value, const std::string& pointer, Leaves& leaves) {
  if (!value.is_object()) {
    leaves.emplace(pointer, dump_canonical(value));
    return;
  }
  for (const auto& member : value.items()) {
    add_leaves(member.value(), pointer + "/" + member.key(), leaves);
  }
}

/// Without the leaves named, and without the objects that are empty then.
Json without(const Json& object, const std::string& pointer, const std::set<std::string>& left_out) {
  Json rest = Json::object();
  for (const auto& member : object.items()) {
    const std::string at = pointer + "/" + member.key();
    if (!member.value().is_object()) {
      if (!left_out.contains(at)) {
        rest[member.key()] = member.value();
      }
    } else if (Json below = without(member.value(), at, left_out); !below.empty()) {
      rest[member.key()] = std::move(below);
    }
  }
  return rest;
}

/// Pointers that all values have with the same value, but for the name, by which people know them.
std::vector<std::string> alike_members(const std::map<std::string, Json>& values) {
  Leaves common;
  bool first = true;
  for (const auto& [text, value] : values) {
    Leaves leaves;
    add_leaves(value, "", leaves);
    if (first) {
      common = std::move(leaves);
    } else {
      std::erase_if(common, [&](const auto& leaf) { return !leaves.contains(leaf); });
    }
    first = false;
  }
  std::vector<std::string> pointers;
  for (const auto& [pointer, value] : common) {
    if (pointer != "/name") {
      pointers.push_back(pointer);
    }
  }
  return pointers;
}

}  // namespace

void find_alike_members(Report& report) {
  for (ReportAxis& axis : report.axes) {
    std::map<std::string, Json> values;
    bool all_objects = true;
    for (const ReportTrial& trial : report.trials) {
      const Json value = axis_value(trial, axis);
      all_objects = all_objects && value.is_object();
      values.emplace(all_objects ? dump_canonical(value) : "", value);
    }
    axis.alike = all_objects && values.size() > 1 ? alike_members(values) : std::vector<std::string>();
  }
}

std::string axis_text(const ReportTrial& trial, const ReportAxis& axis) {
  const Json value = axis_value(trial, axis);
  if (const auto name = axis.names.empty() ? axis.names.end() : axis.names.find(value_key(value));
      name != axis.names.end()) {
    return axis_text(Json(name->second));
  }
  if (!value.is_object() || axis.alike.empty()) {
    return axis_text(value);
  }
  return axis_text(without(value, "", {axis.alike.begin(), axis.alike.end()}));
}

std::string setting_text(const Report& report, const ReportTrial& trial) {
  std::vector<std::string> parts;
  for (const ReportAxis& axis : report.axes) {
    parts.push_back(str(axis.label, " ", axis_text(trial, axis)));
  }
  return join(parts, ", ");
}

}  // namespace regatta
