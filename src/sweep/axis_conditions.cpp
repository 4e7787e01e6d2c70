// Conditions of axes: at which points an axis counts.
#include <algorithm>

#include <nlohmann/json.hpp>

#include "regatta/base/error.hpp"
#include "regatta/sweep/axis.hpp"

namespace regatta {
namespace {

/// The axis that sets what a pointer leads to: the one of that pointer, else the longest above it.
const Axis* axis_above(const std::vector<Axis>& axes, const std::string& pointer) {
  const Axis* found = nullptr;
  for (const Axis& axis : axes) {
    const bool is_above = pointer == axis.pointer() || pointer.starts_with(axis.pointer() + "/");
    if (is_above && (found == nullptr || axis.pointer().size() > found->pointer().size())) {
      found = &axis;
    }
  }
  return found;
}

/// The values that a condition allows for one pointer.
std::vector<Json> allowed_values(const Json& condition) {
  return condition.is_array() ? std::vector<Json>(condition.begin(), condition.end()) : std::vector<Json>{condition};
}

/// What a value of an axis says at a pointer at or below it; null if nothing.
const Json* part_of(const Json& value, const Axis& axis, const std::string& pointer) {
  return pointer == axis.pointer() ? &value : find_pointer(value, pointer.substr(axis.pointer().size()));
}

bool is_allowed(const Axis& above, const std::string& pointer, const Json& condition, const Json& value) {
  const Json* part = part_of(value, above, pointer);
  const std::vector<Json> allowed = allowed_values(condition);
  return part != nullptr && std::any_of(allowed.begin(), allowed.end(), [&](const Json& one) {
           const Json wanted = pointer == above.pointer() ? above.value_of(one) : one;
           return value_key(wanted) == value_key(*part);
         });
}

void check_condition(const Axis& axis, const std::string& pointer, const Json& condition, const Axis* above) {
  const std::string at = str(pointer_to("/axes", axis.pointer()), "/when");
  REGATTA_REQUIRE(above != nullptr && above != &axis, ConfigError, at, ": '", one_line(pointer, 80),
                  "' is no other axis of this job, nor inside one");
  for (const Json& one : allowed_values(condition)) {
    bool has = above->range() && pointer == above->pointer() && above->number_of(one);
    for (const Json& choice : above->choices()) {
      has = has || is_allowed(*above, pointer, one, choice);
    }
    REGATTA_REQUIRE(has, ConfigError, at, ": ", one_line(pointer, 80), " is never ", one_line(dump_line(one), 60),
                    ", the values of ", above->pointer(), " are ", one_line(above->values_text(), 200));
  }
}

}  // namespace

bool is_active(const Axis& axis, const std::vector<Axis>& axes, const Point& point) {
  for (const auto& [pointer, condition] : axis.options().when.items()) {
    const Axis* above = axis_above(axes, pointer);
    const auto value = above == nullptr ? point.end() : point.find(above->pointer());
    if (value == point.end() || !is_allowed(*above, pointer, condition, value->second)) {
      return false;
    }
  }
  return true;
}

std::vector<std::size_t> order_of_conditions(const std::vector<Axis>& axes) {
  std::vector<std::size_t> order;
  std::vector<bool> placed(axes.size());
  for (const Axis& axis : axes) {
    for (const auto& [pointer, condition] : axis.options().when.items()) {
      check_condition(axis, pointer, condition, axis_above(axes, pointer));
    }
  }
  while (order.size() < axes.size()) {
    const std::size_t before = order.size();
    for (std::size_t i = 0; i < axes.size(); ++i) {
      bool is_ready = !placed[i];
      for (const auto& [pointer, condition] : axes[i].options().when.items()) {
        is_ready = is_ready && placed[static_cast<std::size_t>(axis_above(axes, pointer) - axes.data())];
      }
      if (is_ready) {
        placed[i] = true;
        order.push_back(i);
      }
    }
    const auto waiting = std::find(placed.begin(), placed.end(), false);
    REGATTA_REQUIRE(order.size() > before, ConfigError,
                    pointer_to("/axes", axes[static_cast<std::size_t>(waiting - placed.begin())].pointer()),
                    "/when: axes depend on each other in a circle");
  }
  return order;
}

void drop_inactive(const std::vector<Axis>& axes, const std::vector<std::size_t>& order, Point& point) {
  for (const std::size_t i : order) {
    if (!axes[i].options().when.empty() && !is_active(axes[i], axes, point)) {
      point.erase(axes[i].pointer());
    }
  }
}

}  // namespace regatta
