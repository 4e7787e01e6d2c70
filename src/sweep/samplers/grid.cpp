// Grid: the cartesian product of the axes' values. Axes in the order of their pointers, the last one fastest.
#include "regatta/base/error.hpp"
#include "regatta/sweep/space.hpp"

namespace regatta {
namespace {

/// More than the job file's rule for `trials` allows.
constexpr std::int64_t kMostPoints = 10000000;

class GridSampler : public Sampler {
 public:
  void check(const Space& space) const override {
    std::int64_t points = 1;
    for (const Axis& axis : space.axes()) {
      const std::int64_t size = axis.grid_size();
      REGATTA_REQUIRE(size > 0, ConfigError, pointer_to("/axes", axis.pointer()),
                      "/points: missing; grid needs to know how many values to take");
      REGATTA_REQUIRE(size <= kMostPoints && points <= kMostPoints / size, ConfigError,
                      "/axes: the grid has more than ", kMostPoints, " points");
      points *= size;
    }
  }

  std::int64_t size(const Space& space) const override {
    std::int64_t points = 1;
    for (const Axis& axis : space.axes()) {
      points *= axis.grid_size();
    }
    return points;
  }

  Point propose(const Space& space, std::int64_t index) const override {
    Point point;
    const auto& axes = space.axes();
    for (auto axis = axes.rbegin(); axis != axes.rend(); ++axis) {
      const std::int64_t size = axis->grid_size();
      point[axis->pointer()] = axis->grid_value(index % size);
      index /= size;
    }
    REGATTA_REQUIRE(index == 0, BugError, "grid: point index beyond the grid");
    return point;
  }
};

}  // namespace

std::unique_ptr<Sampler> make_grid_sampler() {
  return std::make_unique<GridSampler>();
}

}  // namespace regatta
