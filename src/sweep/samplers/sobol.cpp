// Sobol's sequence: points that fill the space more evenly than random ones, each a function of its number. An axis
// keeps its dimension, by the order of the pointers, whether it counts at a point or not.
#include "regatta/base/error.hpp"
#include "regatta/sweep/space.hpp"
#include "sweep/sobol_sequence.hpp"

namespace regatta {
namespace {

class SobolSampler : public Sampler {
 public:
  void prepare(const Space& space) override {
    require_drawn_axes(space);
    const std::size_t dimensions = space.drawn().size();
    REGATTA_REQUIRE(dimensions <= SobolSequence::kMostDimensions, ConfigError, "/axes: ", dimensions,
                    " axes; sobol has direction numbers for ", SobolSequence::kMostDimensions);
    sequence_.emplace(dimensions, space.job().sobol.scramble ? std::optional(space.seed()) : std::nullopt);
  }

  bool takes_all_folds() const override { return true; }

  std::int64_t size(const Space&) const override { return 0; }

  Point propose(const Space& space, std::int64_t index) const override {
    Point point;
    std::size_t dimension = 0;
    for (const Axis& axis : space.drawn()) {
      point[axis.pointer()] = axis.value_at(sequence_->at(static_cast<std::uint32_t>(index), dimension));
      ++dimension;
    }
    return point;
  }

 private:
  std::optional<SobolSequence> sequence_;
};

}  // namespace

std::unique_ptr<Sampler> make_sobol_sampler() {
  return std::make_unique<SobolSampler>();
}

}  // namespace regatta
