// One axis of a job: which values it has, how a sampler names them, and at which points it counts.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "regatta/config/job.hpp"

namespace regatta {

/// Axis value by JSON pointer, sorted by pointer. An axis whose condition does not hold is absent.
using Point = std::map<std::string, Json>;

/// The values of a numeric axis. `high` is the last value that a step reaches.
struct NumberRange {
  double low = 0.0;
  double high = 1.0;
  double step = 0.0;  ///< between neighbours; 0: any value of the range
  bool log = false;
  bool integer = false;
};

/// One axis of the job.
class Axis {
 public:
  Axis(std::string pointer, AxisOptions options);

  const std::string& pointer() const { return pointer_; }
  const AxisOptions& options() const { return options_; }
  bool is_log() const { return range_ && range_->log; }

  /// Nothing for a list or named values.
  const std::optional<NumberRange>& range() const { return range_; }

  /// The values of a list or of named values, in their order; empty for a range.
  const std::vector<Json>& choices() const { return choices_; }

  /// Values that `grid` takes: the list's length, `points`, or all values of an integer or stepped range. 0: `points`
  /// is missing.
  std::int64_t grid_size() const;

  /// The i-th of them, ends included; doubles rounded to 12 significant digits (so that libm's last bit never matters).
  Json grid_value(std::int64_t index) const;

  /// The value at u in [0, 1): linear a + u (b - a), log exp(ln a + u ln(b / a)), n integers or steps of s: a + s
  /// floor(u n), list floor(u n), log_integer round(exp(ln(a - 1/2) + u ln((b + 1/2) / (a - 1/2)))). Doubles rounded as
  /// in `grid_value`.
  Json value_at(double u) const;

  /// The value of this axis nearest to a number, as `value_at` would give it. Only for ranges.
  Json nearest(double number) const;

  /// The value as a number: itself for a range, its place among the choices otherwise. Nothing if this axis does not
  /// have the value.
  std::optional<double> number_of(const Json& value) const;

  /// Of named values: `value_key` -> name.
  std::map<std::string, std::string> names() const;

  /// For tables: the name of a named value, else as `value_text`.
  std::string text(const Json& value) const;

  /// A value by its name, where this axis has named values and one of that name; else the value itself.
  Json value_of(const Json& given) const;

  /// "linear 0.1..10", "a, b, c": for messages.
  std::string values_text() const;

 private:
  std::string pointer_;
  AxisOptions options_;
  std::optional<NumberRange> range_;
  std::vector<Json> choices_;
};

/// Whether an axis counts at a point: every pointer of its "when" has one of the values named there. A pointer may also
/// lead into the value of an axis above it.
/// @param axes  of the job, sorted by pointer
bool is_active(const Axis& axis, const std::vector<Axis>& axes, const Point& point);

/// The axes in an order in which each comes after those that its condition looks at; otherwise by pointer.
/// @throws ConfigError: a condition on something that is no axis, on itself, in a circle, or on a value that the axis
/// does not have
std::vector<std::size_t> order_of_conditions(const std::vector<Axis>& axes);

/// Leaves out the axes that do not count.
/// @param order  as `order_of_conditions` gives it
void drop_inactive(const std::vector<Axis>& axes, const std::vector<std::size_t>& order, Point& point);

/// Text that is equal for equal values, 1 and 1.0 among them, whatever the order of an object's members.
std::string value_key(const Json& value);

/// The same for a point.
std::string point_key(const Point& point);

}  // namespace regatta
