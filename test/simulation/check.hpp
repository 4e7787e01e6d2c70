// What must hold when a simulated sweep is over, judged from the union of all journal shards and from what really
// happened.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "regatta/sweep/state.hpp"
#include "world.hpp"

namespace regatta::simulation {

struct Verdict {
  std::vector<std::string> faults;  ///< empty: everything held
  SweepCounts counts;
  std::int64_t records = 0;
  std::int64_t torn_lines = 0;
  std::int64_t attempts = 0;                             ///< started
  std::int64_t resumed = 0;                              ///< of these: from a checkpoint
  std::int64_t pruned = 0;                               ///< records
  std::int64_t judged = 0;                               ///< promotions and prunes, each from its cut
  std::vector<std::pair<std::int64_t, int>> promotions;  ///< trial and rung, in order
};

Verdict check(const World& world);

}  // namespace regatta::simulation
