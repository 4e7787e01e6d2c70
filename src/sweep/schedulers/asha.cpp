// Asynchronous successive halving (Li et al., "A System for Massively Parallel Hyperparameter Tuning", MLSys 2020,
// algorithm 2). A training pauses at least, least x eta, least x eta^2, ... epochs, and of n points at a rung the best
// floor(n / eta) go on, decided whenever a GPU is free. Where the paper leaves gaps: a rung that can get no more
// results promotes at least one, so that a sweep of any size ends with a whole training; rungs are rounded up to
// validations. The stopping form decides once, when a result comes: among the best max(1, floor(n / eta)) of those
// there are then it goes on, else it is pruned.
#include <algorithm>
#include <array>

#include "regatta/base/error.hpp"
#include "regatta/sweep/scheduler.hpp"

namespace regatta {
namespace {

/// Rungs by default begin at 1/81 of the training: four halvings with eta 3.
constexpr std::int64_t kDefaultShare = 81;

std::int64_t rounded_up(std::int64_t value, std::int64_t unit) {
  return (value + unit - 1) / unit * unit;
}

class AshaScheduler : public Scheduler {
 public:
  void check(const JobOptions& job) const override {
    constexpr std::array<const char*, 3> kLengths = {"/train/epochs", "/train/steps", "/validation/every_epochs"};
    for (const char* pointer : kLengths) {
      REGATTA_REQUIRE(!job.axes.contains(pointer), ConfigError, pointer_to("/axes", pointer),
                      ": asha compares trials at the same validations of equally long trainings; set it in the recipe, "
                      "or take the scheduler none");
    }
    REGATTA_REQUIRE(!job.axes.contains("/data/fold") || job.sampler == "grid", ConfigError,
                    "/axes/~1data~1fold: with asha the folds of a point move together, and only the sampler grid has "
                    "all folds of every point; got ",
                    job.sampler);
    const SchedulerOptions& options = job.scheduler;
    REGATTA_REQUIRE(options.most == 0 || options.most >= options.least, ConfigError, "/scheduler/most: ", options.most,
                    " epochs, below /scheduler/least, ", options.least);
  }

  std::vector<std::int64_t> rungs(const SchedulerOptions& options, std::int64_t epochs,
                                  std::int64_t every) const override {
    const std::int64_t least = options.least > 0 ? options.least : (epochs + kDefaultShare - 1) / kDefaultShare;
    std::vector<std::int64_t> rungs;
    for (std::int64_t exact = std::max(least, every); exact < epochs && (options.most == 0 || exact <= options.most);
         exact *= options.eta) {
      const std::int64_t rung = rounded_up(exact, every);
      if (rung < epochs && (rungs.empty() || rung > rungs.back())) {
        rungs.push_back(rung);
      }
    }
    REGATTA_REQUIRE(!rungs.empty(), ConfigError, "/scheduler/least: a first rung after ",
                    rounded_up(std::max(least, every), every), " epochs (a validation comes every ", every,
                    "), but the training has only ", epochs, "; lower /scheduler/least or /validation/every_epochs");
    return rungs;
  }

  std::int64_t promotes(const SchedulerOptions& options, const RungCount& rung) const override {
    const bool at_least_one = rung.is_closed || options.form == "stop";
    return std::max<std::int64_t>(at_least_one && rung.results > 0 ? 1 : 0, rung.results / options.eta);
  }

  std::int64_t keeps(const SchedulerOptions& options, const RungCount& rung) const override {
    const std::int64_t size = rung.is_closed || options.form == "stop" ? rung.results : rung.most;
    return std::max<std::int64_t>(1, size / options.eta);
  }
};

}  // namespace

std::unique_ptr<Scheduler> make_asha_scheduler() {
  return std::make_unique<AshaScheduler>();
}

}  // namespace regatta
