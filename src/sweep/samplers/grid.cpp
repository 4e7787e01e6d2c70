// Grid: the cartesian product of the axes' values. Axes in the order of their pointers, the last one fastest. Where
// axes have conditions, combinations that differ only in axes that do not count are one point.
#include "regatta/base/error.hpp"
#include "regatta/sweep/space.hpp"

namespace regatta {
namespace {

/// More than the job file's rule for `trials` allows.
constexpr std::int64_t kMostPoints = 10000000;
constexpr std::int64_t kMostConditional = 1000000;  ///< combinations that are gone through

Point combination(const std::vector<Axis>& axes, std::int64_t index) {
  Point point;
  for (auto axis = axes.rbegin(); axis != axes.rend(); ++axis) {
    const std::int64_t size = axis->grid_size();
    point[axis->pointer()] = axis->grid_value(index % size);
    index /= size;
  }
  REGATTA_REQUIRE(index == 0, BugError, "grid: point index beyond the grid");
  return point;
}

/// Of combinations that differ only in axes that do not count, the one with the first values of these.
bool is_first_alike(const Space& space, const Point& point) {
  Point counting = point;
  drop_inactive(space.drawn(), space.order(), counting);
  for (const Axis& axis : space.drawn()) {
    if (!counting.contains(axis.pointer()) && point.at(axis.pointer()) != axis.grid_value(0)) {
      return false;
    }
  }
  return true;
}

class GridSampler : public Sampler {
 public:
  void prepare(const Space& space) override {
    points_ = 1;
    bool has_conditions = false;
    for (const Axis& axis : space.drawn()) {
      const std::int64_t size = axis.grid_size();
      REGATTA_REQUIRE(size > 0, ConfigError, pointer_to("/axes", axis.pointer()),
                      "/points: missing; grid needs to know how many values to take");
      REGATTA_REQUIRE(size <= kMostPoints && points_ <= kMostPoints / size, ConfigError,
                      "/axes: the grid has more than ", kMostPoints, " points");
      points_ *= size;
      has_conditions = has_conditions || !axis.options().when.empty();
    }
    if (has_conditions) {
      choose(space);
    }
  }

  std::int64_t size(const Space&) const override { return points_; }

  Point propose(const Space& space, std::int64_t index) const override {
    return combination(space.drawn(), chosen_.empty() ? index : chosen_.at(static_cast<std::size_t>(index)));
  }

 private:
  void choose(const Space& space) {
    REGATTA_REQUIRE(points_ <= kMostConditional, ConfigError, "/axes: the grid has ", points_,
                    " combinations, with conditions at most ", kMostConditional, " can be gone through");
    for (std::int64_t index = 0; index < points_; ++index) {
      if (is_first_alike(space, combination(space.drawn(), index))) {
        chosen_.push_back(index);
      }
    }
    points_ = static_cast<std::int64_t>(chosen_.size());
  }

  std::int64_t points_ = 1;
  std::vector<std::int64_t> chosen_;  ///< combinations that are points; empty: all are
};

}  // namespace

std::unique_ptr<Sampler> make_grid_sampler() {
  return std::make_unique<GridSampler>();
}

}  // namespace regatta
