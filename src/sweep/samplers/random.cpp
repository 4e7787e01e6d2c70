// Random search: every axis drawn independently by the counter generator, so that a point needs no history.
#include "regatta/base/random.hpp"
#include "regatta/base/error.hpp"
#include "regatta/sweep/space.hpp"

namespace regatta {
namespace {

class RandomSampler : public Sampler {
 public:
  void prepare(const Space& space) override { require_drawn_axes(space); }

  std::int64_t size(const Space&) const override { return 0; }

  Point propose(const Space& space, std::int64_t index) const override {
    const CounterRng rng(space.seed(), RandomPurpose::kProposal);
    Point point;
    std::uint32_t dimension = 0;
    for (const Axis& axis : space.drawn()) {
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
