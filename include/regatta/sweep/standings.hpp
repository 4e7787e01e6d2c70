// How far the points of a sweep have climbed: what has reached each rung, what was promoted from it, what may go on and
// what never will. A point is a trial, or all folds of a setting, which move together by their mean; its replicates
// follow once it has reached the end. Kept up to date record by record; what it says depends on the set of records
// alone, not on their order.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "regatta/sweep/extension.hpp"
#include "regatta/sweep/replay.hpp"
#include "regatta/sweep/scheduler.hpp"

namespace regatta {

enum class PointState : std::uint8_t { kClimbing, kHeld, kPruned, kLost, kDiverged, kFinished };

/// What the replay of its climbing trials says about a point.
struct PointFacts {
  std::vector<std::optional<double>> values;  ///< objective by rung, mean over folds; nothing: not finite
  PointState state = PointState::kClimbing;
  std::optional<double> last;  ///< objective at the end, if the training has ended
};

struct RungResult {
  std::optional<double> value;
  std::int32_t point = 0;
};

/// A point that may go on, or that never will.
struct RungPlace {
  std::int32_t point = 0;
  int rung = 0;
  std::int64_t rank = 1;     ///< there, 1 is the best
  std::int64_t results = 0;  ///< there
};

class Standings {
 public:
  explicit Standings(const SweepRules& rules);

  /// Trials pause at rungs.
  bool is_on() const { return scheduler_ != nullptr; }

  int rungs() const { return rungs_; }

  /// The trials 0 .. total - 1 as points. What was noted before is forgotten, promotions are not.
  void place(std::int64_t total, const std::vector<Extension>& extensions);

  /// The point of a trial; nothing for a number that has no place yet.
  std::optional<std::int32_t> point_of(std::int64_t trial) const;

  /// Its trials, ascending.
  std::vector<std::int64_t> climbers(std::int32_t point) const { return members(point, false); }
  std::vector<std::int64_t> followers(std::int32_t point) const { return members(point, true); }

  /// Starts only once its point has reached the end.
  bool is_follower(std::int64_t trial) const;

  /// The rung at which a trial's point pauses next; `rungs()`: it trains to its end.
  int level_of(std::int64_t trial) const;

  PointState state(std::int32_t point) const { return points_[static_cast<std::size_t>(point)].state; }

  /// A "promote": the trial's point leaves this rung.
  void promote(std::int64_t trial, int rung);

  void note(std::int32_t point, const PointFacts& facts);

  /// Best first; equal ones by point, those that are not finite last.
  const std::vector<RungResult>& results(int rung) const { return results_[static_cast<std::size_t>(rung)]; }

  RungCount count(int rung) const;

  /// All that may go on and wait to, from the highest rung down, of each rung the best first.
  std::vector<RungPlace> promotable() const;

  /// Held points that never go on under the totals.
  std::vector<RungPlace> hopeless() const;

  std::int64_t points() const { return static_cast<std::int64_t>(points_.size()); }

 private:
  struct Climb {
    std::int32_t first = -1;  ///< trial; the next of the point is in `next_`
    std::uint8_t level = 0;
    std::uint8_t results = 0;  ///< rungs that have a result of it
    std::uint8_t arrived = 0;  ///< rungs that need not wait for it any more
    PointState state = PointState::kClimbing;
  };

  std::vector<std::int64_t> members(std::int32_t point, bool follow) const;
  void add_trial(std::int32_t point, int replicate);
  std::int32_t point_at(const TrialPoint& trial);
  void set_level(Climb& climb, int level);
  void set_results(std::int32_t number, const std::vector<std::optional<double>>& values);
  bool precedes(const RungResult& a, const RungResult& b) const;
  bool is_closed(int rung) const;
  bool is_open(const RungResult& result, int rung) const;

  std::shared_ptr<const Scheduler> scheduler_;  ///< null: trials do not pause
  SchedulerOptions options_;
  int rungs_ = 0;
  bool maximise_ = true;
  int replicates_ = 1;
  std::function<TrialPoint(std::int64_t)> born_;
  std::vector<Climb> points_;
  std::vector<std::int32_t> point_of_;  ///< by trial
  std::vector<std::int32_t> next_;      ///< by trial: the next of its point; -1: the last
  std::vector<std::uint16_t> replicate_;
  std::vector<std::int32_t> by_index_;        ///< point by its index in the space; -1: none
  std::map<std::string, std::int32_t> keys_;  ///< with folds: point by its values but the fold
  std::vector<std::uint8_t> promoted_;        ///< by trial: level
  std::vector<std::vector<RungResult>> results_;
  std::vector<std::int64_t> sent_;     ///< points on their way to a rung or beyond
  std::vector<std::int64_t> arrived_;  ///< of these: there, or lost on the way
  std::vector<std::int64_t> most_;
};

}  // namespace regatta
