#include "regatta/sweep/space.hpp"

#include <algorithm>
#include <set>

#include <nlohmann/json.hpp>

#include "regatta/base/error.hpp"
#include "regatta/config/recipe.hpp"
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
  take_enqueued();
  const std::int64_t proposals = sampler_->size(*this);
  const std::int64_t points = proposals == 0 ? 0 : proposals + enqueued() - static_cast<std::int64_t>(repeated_.size());
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

void Space::take_enqueued() {
  constexpr std::int64_t kMostCompared = 100000;
  for (std::size_t i = 0; i < job_.enqueue.size(); ++i) {
    enqueued_.push_back(asked_point(job_.enqueue[i], str("/enqueue/", i)));
  }
  const std::int64_t proposals = sampler_->size(*this);
  if (enqueued_.empty() || proposals == 0) {
    return;
  }
  REGATTA_REQUIRE(proposals <= kMostCompared, ConfigError, "/enqueue: the grid has ", proposals,
                  " points, with points to try first at most ", kMostCompared);
  std::set<std::string> keys;
  for (const Point& point : enqueued_) {
    keys.insert(point_key(point));
  }
  for (std::int64_t index = 0; index < proposals; ++index) {
    Point point = sampler_->propose(*this, index);
    drop_inactive(drawn_, order_, point);
    if (keys.contains(point_key(point))) {
      repeated_.push_back(index);
    }
  }
}

/// The sampler's own index of a setting that is not enqueued.
std::int64_t Space::proposal_of(std::int64_t index) const {
  std::int64_t proposal = index - enqueued();
  for (const std::int64_t repeated : repeated_) {
    proposal += repeated <= proposal ? 1 : 0;
  }
  return proposal;
}

Point Space::setting(std::int64_t index) const {
  if (index < enqueued()) {
    return enqueued_[static_cast<std::size_t>(index)];
  }
  Point point = sampler_->propose(*this, proposal_of(index));
  drop_inactive(drawn_, order_, point);
  return point;
}

Point Space::setting_from(std::int64_t index, const History& history) const {
  if (index < enqueued()) {
    return enqueued_[static_cast<std::size_t>(index)];
  }
  Point point = sampler_->propose_from(*this, proposal_of(index), history);
  drop_inactive(drawn_, order_, point);
  return point;
}

Point Space::asked_point(const Json& given, const std::string& at) const {
  for (const auto& [pointer, value] : given.items()) {
    const bool is_axis =
        std::any_of(drawn_.begin(), drawn_.end(), [&pointer](const Axis& axis) { return axis.pointer() == pointer; });
    std::vector<std::string> names;
    for (const Axis& axis : drawn_) {
      names.push_back(axis.pointer());
    }
    REGATTA_REQUIRE(is_axis, ConfigError, at, ": '", one_line(pointer, 80), "' is no axis, have: ", join(names, ", "));
  }
  const Json recipe = write_options(recipe_from_json(job_.recipe, "/recipe"));
  Point point;
  for (const std::size_t i : order_) {
    const Axis& axis = drawn_[i];
    const bool is_given = given.contains(axis.pointer());
    if (!is_active(axis, drawn_, point)) {
      REGATTA_REQUIRE(!is_given, ConfigError, at, ": ", axis.pointer(), " does not count there (its \"when\")");
      continue;
    }
    const Json* own = find_pointer(recipe, axis.pointer());
    REGATTA_REQUIRE(is_given || own != nullptr, ConfigError, at, ": ", axis.pointer(),
                    " is left out, and the recipe does not say it either; give it");
    const Json value = is_given ? axis.value_of(given.at(axis.pointer())) : *own;
    REGATTA_REQUIRE(axis.number_of(value), ConfigError, at, ": ", axis.pointer(), is_given ? " " : " of the recipe is ",
                    one_line(value_text(value), 60), ", the axis has ", one_line(axis.values_text(), 200));
    point[axis.pointer()] = value;
  }
  return point;
}

TrialPoint Space::place(std::int64_t number) const {
  return {number, number / replicates(), static_cast<int>(number % replicates()), {}, false};
}

void Space::put_setting(TrialPoint& trial, Point setting) const {
  trial.point = std::move(setting);
  if (drawn_.size() < axes_.size()) {
    trial.point[kFoldAxis] = job_.axes.at(kFoldAxis).list.at(static_cast<std::size_t>(trial.index % folds_));
  }
}

TrialPoint Space::trial(std::int64_t number) const {
  TrialPoint trial = place(number);
  put_setting(trial, setting(trial.index / folds_));
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
