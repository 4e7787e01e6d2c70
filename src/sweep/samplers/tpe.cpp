// Tree-structured Parzen estimator: random points at first, then each where the good results so far lie densely and
// the others do not. A point depends on the seed, its number and the history that the record of its proposal names.
#include <algorithm>
#include <map>

#include <nlohmann/json.hpp>

#include "regatta/base/error.hpp"
#include "regatta/base/random.hpp"
#include "regatta/sweep/space.hpp"
#include "sweep/tpe_model.hpp"

namespace regatta {
namespace {

class TpeSampler : public Sampler {
 public:
  void prepare(const Space& space) override {
    require_drawn_axes(space);
    random_ = make_sampler("random");
    std::map<std::string, std::size_t> blocks;  // by condition
    for (const std::size_t i : space.order()) {
      const std::string condition = value_key(space.drawn()[i].options().when);
      const auto [block, is_new] = blocks.try_emplace(condition, blocks_.size());
      if (is_new) {
        blocks_.emplace_back();
      }
      blocks_[block->second].push_back(i);
    }
  }

  bool takes_all_folds() const override { return true; }
  bool reads_history() const override { return true; }

  std::int64_t size(const Space&) const override { return 0; }

  Point propose(const Space& space, std::int64_t index) const override { return random_->propose(space, index); }

  Point propose_from(const Space& space, std::int64_t index, const History& history) const override {
    const TpeOptions& options = space.job().tpe;
    if (history.ended() < options.startup) {
      return propose(space, index);
    }
    const CounterRng rng(space.seed(), RandomPurpose::kCandidate);
    Point point;
    std::uint32_t used = 0;
    for (const auto& block : blocks_) {
      std::vector<const Axis*> axes;
      for (const std::size_t i : block) {
        axes.push_back(&space.drawn()[i]);
      }
      if (is_active(*axes.front(), space.drawn(), point)) {
        add_best(
            TpeModel(axes, history), axes, options.candidates,
            [&](std::uint32_t draw) { return rng.uniform(static_cast<std::uint64_t>(index), used + draw); }, point);
      }
      used += static_cast<std::uint32_t>(options.candidates) * (static_cast<std::uint32_t>(axes.size()) + 1);
    }
    return point;
  }

 private:
  static void add_best(const TpeModel& model, const std::vector<const Axis*>& axes, int count,
                       const std::function<double(std::uint32_t draw)>& uniform, Point& point) {
    std::vector<Coordinates> candidates;
    const auto draws = static_cast<std::uint32_t>(axes.size()) + 1;
    for (std::uint32_t i = 0; i < static_cast<std::uint32_t>(count); ++i) {
      candidates.push_back(model.draw([&](std::uint32_t draw) { return uniform(i * draws + draw); }));
    }
    const Coordinates& best = candidates[model.best_of(candidates)];
    for (std::size_t d = 0; d < axes.size(); ++d) {
      point[axes[d]->pointer()] =
          axes[d]->range() ? axes[d]->nearest(best[d]) : axes[d]->choices()[static_cast<std::size_t>(best[d])];
    }
  }

  std::unique_ptr<Sampler> random_;
  std::vector<std::vector<std::size_t>> blocks_;  ///< axes that count together, in the order of their conditions
};

}  // namespace

std::unique_ptr<Sampler> make_tpe_sampler() {
  return std::make_unique<TpeSampler>();
}

}  // namespace regatta
