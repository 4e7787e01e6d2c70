#include "regatta/sweep/space.hpp"

#include <algorithm>

#include <nlohmann/json.hpp>

#include "regatta/base/error.hpp"
#include "regatta/config/value_text.hpp"

namespace regatta {

Space::Space(const JobOptions& job) : job_(job) {
  const auto sampler = std::shared_ptr<Sampler>(make_sampler(job.sampler));
  for (const auto& [pointer, options] : job.axes) {
    axes_.emplace_back(pointer, options);
    const bool is_crossed = sampler->takes_all_folds() && pointer == kFoldAxis;
    if (is_crossed) {
      folds_ = static_cast<std::int64_t>(axes_.back().choices().size());
      REGATTA_REQUIRE(folds_ > 0 && options.when.empty(), ConfigError, pointer_to("/axes", pointer),
                      ": give the folds as a list without a condition; ", job.sampler,
                      " has each setting trained on all");
    } else {
      drawn_.push_back(axes_.back());
    }
  }
  check_axes();
  order_ = order_of_conditions(drawn_);
  sampler->prepare(*this);
  sampler_ = sampler;
  const std::int64_t points = sampler_->size(*this);
  const std::int64_t available = points * replicates();
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

/// What does not depend on the sampler.
void Space::check_axes() const {
  for (const Axis& axis : axes_) {
    const AxisOptions& options = axis.options();
    const std::string at = pointer_to("/axes", axis.pointer());
    REGATTA_REQUIRE(options.points != 1, ConfigError, at,
                    "/points: 1; set the value in the recipe instead, or take 2 or more");
    if (options.points == 0 || !axis.range() || axis.range()->step == 0.0) {
      continue;
    }
    const NumberRange& range = *axis.range();
    const auto values = static_cast<std::int64_t>((range.high - range.low) / range.step + 0.5) + 1;
    const char* kind = range.integer && range.step == 1.0 ? " integers" : " steps";
    REGATTA_REQUIRE(options.points <= values, ConfigError, at, "/points: ", options.points,
                    ", but the range holds only ", values, kind);
    for (std::int64_t i = 1; i < options.points; ++i) {
      REGATTA_REQUIRE(axis.grid_value(i) != axis.grid_value(i - 1), ConfigError, at, "/points: ", options.points,
                      ", but evenly in the logarithm ", dump_line(axis.grid_value(i)), " comes twice; take fewer");
    }
  }
}

TrialPoint Space::trial(std::int64_t number) const {
  const std::int64_t index = number / replicates();
  TrialPoint trial{number, index, static_cast<int>(number % replicates()), sampler_->propose(*this, index / folds_)};
  drop_inactive(drawn_, order_, trial.point);
  if (drawn_.size() < axes_.size()) {
    trial.point[kFoldAxis] = job_.axes.at(kFoldAxis).list.at(static_cast<std::size_t>(index % folds_));
  }
  return trial;
}

void require_drawn_axes(const Space& space) {
  const std::string& sampler = space.job().sampler;
  REGATTA_REQUIRE(!space.drawn().empty(), ConfigError, "/axes: empty; ", sampler, " needs at least one axis",
                  " (to repeat one recipe use the grid sampler and /replicates)");
  for (const Axis& axis : space.drawn()) {
    REGATTA_REQUIRE(axis.options().points == 0, ConfigError, pointer_to("/axes", axis.pointer()),
                    "/points: only grid takes points; ", sampler, " draws from the whole range");
  }
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

std::string point_text(const Point& point, const std::vector<Axis>& axes) {
  std::vector<std::string> pointers;
  for (const auto& [pointer, value] : point) {
    pointers.push_back(pointer);
  }
  const auto titles = axis_titles(pointers);
  std::vector<std::string> parts;
  for (const auto& [pointer, value] : point) {
    const auto axis =
        std::find_if(axes.begin(), axes.end(), [&](const Axis& each) { return each.pointer() == pointer; });
    parts.push_back(str(titles.at(pointer), " ", axis == axes.end() ? value_text(value) : axis->text(value)));
  }
  return join(parts, "  ");
}

}  // namespace regatta
