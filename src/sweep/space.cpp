#include "regatta/sweep/space.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <cstdlib>

#include "regatta/base/error.hpp"
#include "regatta/config/value_text.hpp"

namespace regatta {
namespace {

/// 12 significant digits: readable values, and the same ones whatever the last bit of exp and log on a machine.
double rounded(double value, double low, double high) {
  std::array<char, 40> text{};
  std::snprintf(text.data(), text.size(), "%.12g", value);
  return std::clamp(std::strtod(text.data(), nullptr), low, high);
}

/// Position t in [0, 1] of a linear or log range; its ends are exact.
double between_ends(const AxisOptions& options, double t) {
  const auto& ends = options.log.empty() ? options.linear : options.log;
  const double low = ends[0];
  const double high = ends[1];
  if (t <= 0.0 || t >= 1.0) {
    return t <= 0.0 ? low : high;
  }
  const double value =
      options.log.empty() ? low + t * (high - low) : std::exp(std::log(low) + t * std::log(high / low));
  return rounded(value, low, high);
}

std::int64_t integers_in(const AxisOptions& options) {
  return std::int64_t{options.integer[1]} - std::int64_t{options.integer[0]} + 1;
}

}  // namespace

std::int64_t Axis::grid_size() const {
  if (!options_.list.empty()) {
    return static_cast<std::int64_t>(options_.list.size());
  }
  if (!options_.integer.empty() && options_.points == 0) {
    return integers_in(options_);
  }
  return options_.points;
}

Json Axis::grid_value(std::int64_t index) const {
  if (!options_.list.empty()) {
    return options_.list.at(static_cast<std::size_t>(index));
  }
  const std::int64_t last = grid_size() - 1;
  if (!options_.integer.empty()) {
    const std::int64_t steps = integers_in(options_) - 1;
    // Rounded to the nearest integer; points <= integers_in keeps the values distinct.
    return options_.integer[0] + (last == 0 ? 0 : (2 * index * steps + last) / (2 * last));
  }
  return between_ends(options_, last == 0 ? 0.0 : static_cast<double>(index) / static_cast<double>(last));
}

Json Axis::value_at(double u) const {
  if (!options_.list.empty()) {
    const auto size = options_.list.size();
    const auto index = static_cast<std::size_t>(u * static_cast<double>(size));
    return options_.list.at(std::min(index, size - 1));
  }
  if (!options_.integer.empty()) {
    const std::int64_t count = integers_in(options_);
    const auto offset = static_cast<std::int64_t>(u * static_cast<double>(count));
    return options_.integer[0] + std::min(offset, count - 1);
  }
  return between_ends(options_, u);
}

Space::Space(const JobOptions& job)
    : seed_(static_cast<std::uint64_t>(job.seed)), replicates_(job.replicates), sampler_(make_sampler(job.sampler)) {
  for (const auto& [pointer, options] : job.axes) {
    const std::string at = pointer_to("/axes", pointer);
    REGATTA_REQUIRE(options.points != 1, ConfigError, at,
                    "/points: 1; set the value in the recipe instead, or take 2 or more");
    REGATTA_REQUIRE(options.integer.empty() || options.points <= integers_in(options), ConfigError, at,
                    "/points: ", options.points, ", but the range holds only ",
                    options.integer.empty() ? 0 : integers_in(options), " integers");
    axes_.emplace_back(pointer, options);
  }
  sampler_->check(*this);
  const std::int64_t points = sampler_->size(*this);
  const std::int64_t available = points * replicates_;
  if (points == 0) {
    REGATTA_REQUIRE(job.trials > 0, ConfigError, "/trials: 0; the sampler '", job.sampler,
                    "' needs a number of trials");
    total_ = job.trials;
    return;
  }
  REGATTA_REQUIRE(job.trials <= available, ConfigError, "/trials: ", job.trials, ", but the grid has ", points,
                  " points, with replicates ", available, " trials; 0 takes all of them");
  total_ = job.trials > 0 ? job.trials : available;
}

TrialPoint Space::trial(std::int64_t number) const {
  const std::int64_t index = number / replicates_;
  return {number, index, static_cast<int>(number % replicates_), sampler_->propose(*this, index)};
}

std::map<std::string, std::string> axis_titles(const std::vector<std::string>& pointers) {
  const auto last_part = [](const std::string& pointer) { return pointer.substr(pointer.rfind('/') + 1); };
  std::map<std::string, std::string> titles;
  for (const std::string& pointer : pointers) {
    const auto same = std::count_if(pointers.begin(), pointers.end(),
                                    [&](const std::string& other) { return last_part(other) == last_part(pointer); });
    titles[pointer] = same == 1 ? last_part(pointer) : pointer;
  }
  return titles;
}

std::string point_text(const Point& point) {
  std::vector<std::string> pointers;
  for (const auto& [pointer, value] : point) {
    pointers.push_back(pointer);
  }
  const auto titles = axis_titles(pointers);
  std::vector<std::string> parts;
  for (const auto& [pointer, value] : point) {
    parts.push_back(str(titles.at(pointer), " ", value_text(value)));
  }
  return join(parts, "  ");
}

}  // namespace regatta
