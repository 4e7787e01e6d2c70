// Values of an axis: grids, draws, names, conditions.
#include "regatta/sweep/axis.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <set>

#include "regatta/base/error.hpp"
#include "regatta/config/value_text.hpp"

namespace regatta {
namespace {

/// Steps that a range holds, though rounding may put the last one beyond its end.
constexpr double kStepSlack = 1e-9;

/// 12 significant digits: readable values, and the same ones whatever the last bit of exp and log on a machine.
double rounded(double value) {
  std::array<char, 40> text{};
  std::snprintf(text.data(), text.size(), "%.12g", value);
  return std::strtod(text.data(), nullptr);
}

template <class Ends>
NumberRange range_of(const Ends& ends, double step, bool log, bool integer) {
  NumberRange range{static_cast<double>(ends[0]), static_cast<double>(ends[1]), step, log, integer};
  if (step > 0.0) {
    const double count = std::floor((range.high - range.low) / step + kStepSlack);
    range.high = integer ? range.low + count * step : rounded(range.low + count * step);
  }
  return range;
}

std::optional<NumberRange> range_in(const AxisOptions& options) {
  if (!options.linear.empty()) {
    return range_of(options.linear, options.step, false, false);
  }
  if (!options.log.empty()) {
    return range_of(options.log, 0.0, true, false);
  }
  if (!options.integer.empty()) {
    return range_of(options.integer, options.step > 0.0 ? options.step : 1.0, false, true);
  }
  if (!options.log_integer.empty()) {
    return range_of(options.log_integer, 1.0, true, true);
  }
  return std::nullopt;
}

/// Values of a stepped range.
std::int64_t steps_in(const NumberRange& range) {
  return static_cast<std::int64_t>(std::llround((range.high - range.low) / range.step)) + 1;
}

Json number_json(const NumberRange& range, double value) {
  return range.integer ? Json(static_cast<std::int64_t>(std::llround(value))) : Json(value);
}

/// Position t in [0, 1] of a range without steps, or of a log range of integers; its ends are exact.
double between_ends(const NumberRange& range, double t) {
  if (t <= 0.0 || t >= 1.0) {
    return t <= 0.0 ? range.low : range.high;
  }
  const double value = range.log ? std::exp(std::log(range.low) + t * std::log(range.high / range.low))
                                 : range.low + t * (range.high - range.low);
  return std::clamp(rounded(value), range.low, range.high);
}

double step_value(const NumberRange& range, std::int64_t index) {
  const double value = range.low + static_cast<double>(index) * range.step;
  return std::min(range.integer ? value : rounded(value), range.high);
}

/// Whole numbers as integers; nlohmann::json sorts the members of objects.
nlohmann::json plain_value(const Json& value) {
  constexpr double kExact = 9007199254740992.0;
  if (value.is_number_float()) {
    const double number = value.get<double>();
    return std::abs(number) < kExact && number == std::floor(number) ? nlohmann::json(static_cast<std::int64_t>(number))
                                                                     : nlohmann::json(number);
  }
  if (value.is_array()) {
    nlohmann::json list = nlohmann::json::array();
    for (const Json& item : value) {
      list.push_back(plain_value(item));
    }
    return list;
  }
  if (value.is_object()) {
    nlohmann::json object = nlohmann::json::object();
    for (const auto& member : value.items()) {
      object[member.key()] = plain_value(member.value());
    }
    return object;
  }
  return nlohmann::json(value);
}

}  // namespace

Axis::Axis(std::string pointer, AxisOptions options)
    : pointer_(std::move(pointer)), options_(std::move(options)), range_(range_in(options_)) {
  choices_.assign(options_.list.begin(), options_.list.end());
  for (const auto& [name, value] : options_.named.items()) {
    choices_.push_back(value);
  }
}

std::int64_t Axis::grid_size() const {
  if (!range_) {
    return static_cast<std::int64_t>(choices_.size());
  }
  const bool counts_itself = range_->step > 0.0 && !range_->log;
  return options_.points == 0 && counts_itself ? steps_in(*range_) : options_.points;
}

Json Axis::grid_value(std::int64_t index) const {
  if (!range_) {
    return choices_.at(static_cast<std::size_t>(index));
  }
  const std::int64_t last = grid_size() - 1;
  if (range_->step > 0.0 && !range_->log) {
    const std::int64_t steps = steps_in(*range_) - 1;
    // Rounded to the nearest step; no more points than steps keeps the values distinct.
    const std::int64_t place = last == 0 ? 0 : (2 * index * steps + last) / (2 * last);
    return number_json(*range_, step_value(*range_, place));
  }
  const double t = last == 0 ? 0.0 : static_cast<double>(index) / static_cast<double>(last);
  return number_json(*range_, between_ends(*range_, t));
}

Json Axis::value_at(double u) const {
  if (!range_) {
    const auto index = static_cast<std::size_t>(u * static_cast<double>(choices_.size()));
    return choices_.at(std::min(index, choices_.size() - 1));
  }
  if (range_->log && range_->integer) {
    constexpr double kHalf = 0.5;
    const double low = range_->low - kHalf;
    const double value = std::exp(std::log(low) + u * std::log((range_->high + kHalf) / low));
    return number_json(*range_, std::clamp(std::round(rounded(value)), range_->low, range_->high));
  }
  if (range_->step > 0.0) {
    const std::int64_t count = steps_in(*range_);
    const auto place = static_cast<std::int64_t>(u * static_cast<double>(count));
    return number_json(*range_, step_value(*range_, std::min(place, count - 1)));
  }
  return between_ends(*range_, u);
}

Json Axis::nearest(double number) const {
  const double inside = std::clamp(number, range_->low, range_->high);
  if (range_->step > 0.0) {
    const auto place = static_cast<std::int64_t>(std::llround((inside - range_->low) / range_->step));
    return number_json(*range_, step_value(*range_, std::min(place, steps_in(*range_) - 1)));
  }
  return std::clamp(rounded(inside), range_->low, range_->high);
}

std::optional<double> Axis::number_of(const Json& value) const {
  if (!range_) {
    const std::string key = value_key(value);
    const auto found =
        std::find_if(choices_.begin(), choices_.end(), [&key](const Json& choice) { return value_key(choice) == key; });
    return found == choices_.end() ? std::nullopt : std::optional(static_cast<double>(found - choices_.begin()));
  }
  if (!value.is_number()) {
    return std::nullopt;
  }
  const auto number = value.get<double>();
  if (!(number >= range_->low && number <= range_->high)) {
    return std::nullopt;
  }
  const double place = range_->step > 0.0 ? (number - range_->low) / range_->step : 0.0;
  return std::abs(place - std::round(place)) < kStepSlack * std::max(1.0, place) ? std::optional(number) : std::nullopt;
}

std::map<std::string, std::string> Axis::names() const {
  std::map<std::string, std::string> names;
  for (const auto& [name, value] : options_.named.items()) {
    names.try_emplace(value_key(value), name);
  }
  return names;
}

std::string Axis::text(const Json& value) const {
  if (!options_.named.empty()) {
    const std::string key = value_key(value);
    for (const auto& [name, choice] : options_.named.items()) {
      if (value_key(choice) == key) {
        return name;
      }
    }
  }
  return value_text(value);
}

Json Axis::value_of(const Json& given) const {
  const bool is_name = given.is_string() && options_.named.contains(given.get<std::string>());
  return is_name ? options_.named.at(given.get<std::string>()) : given;
}

std::string Axis::values_text() const {
  if (!range_) {
    std::vector<std::string> texts;
    for (const Json& choice : choices_) {
      texts.push_back(one_line(text(choice), 40));
    }
    return join(texts, ", ");
  }
  return str(range_->low, "..", range_->high,
             range_->step > 0.0 && !(range_->integer && range_->step == 1.0) ? str(" in steps of ", range_->step)
             : range_->integer                                               ? std::string(", whole numbers")
                                                                             : std::string());
}

std::string value_key(const Json& value) {
  return plain_value(value).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

std::string point_key(const Point& point) {
  Json object = Json::object();
  for (const auto& [pointer, value] : point) {
    object[pointer] = value;
  }
  return value_key(object);
}

}  // namespace regatta
