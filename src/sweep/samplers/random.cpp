// Random search: every axis drawn independently by the counter generator, so that a point needs no history.
#include "regatta/base/random.hpp"
#include "regatta/base/error.hpp"
#include "regatta/sweep/space.hpp"

namespace regatta {
namespace {

class RandomSampler : public Sampler {
 public:
  void check(const Space& space) const override {
    REGATTA_REQUIRE(
        !space.axes().empty(), ConfigError,
        "/axes: empty; random needs at least one axis (to repeat one recipe use the grid sampler and /replicates)");
    for (const Axis& axis : space.axes()) {
      REGATTA_REQUIRE(axis.options().points == 0, ConfigError, pointer_to("/axes", axis.pointer()),
                      "/points: only grid takes points; random draws from the whole range");
    }
  }

  std::int64_t size(const Space&) const override { return 0; }

  Point propose(const Space& space, std::int64_t index) const override {
    const CounterRng rng(space.seed(), RandomPurpose::kProposal);
    Point point;
    std::uint32_t dimension = 0;
    for (const Axis& axis : space.axes()) {
      point[axis.pointer()] = axis.value_at(rng.uniform(static_cast<std::uint64_t>(index), dimension));
      ++dimension;
    }
    return point;
  }
};

}  // namespace

std::unique_ptr<Sampler> make_random_sampler() {
  return std::make_unique<RandomSampler>();
}

}  // namespace regatta
