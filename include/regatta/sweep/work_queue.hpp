// What a free GPU does next: the order in which a sweep's work is taken up. Pure, over the state of the sweep.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <vector>

#include "regatta/sweep/state.hpp"

namespace regatta {

/// 1. Interrupted trials: work is in them. 2. Trials that wait at a rung and may go on, from the highest rung down, the
/// best first. 3. New trials. 4. Replicates whose point has reached the end. Interrupted and new ones by number from
/// `from` on and then from 0; with `from`, promotions begin at another place too, so that many jobs do not all want the
/// same one.
/// @param exclude  trials that the caller may not take (claimed by somebody alive)
/// @param gone     shards whose running trials are interrupted, see `SweepState::gone_shards`
std::optional<NextTrial> next_in_line(const SweepState& state, const std::set<std::int64_t>& exclude,
                                      const std::vector<std::uint32_t>& gone, std::int64_t from = 0);

/// The same. @param is_stale  a shard for which it is true is gone
std::optional<NextTrial> next_in_line(const SweepState& state, const std::set<std::int64_t>& exclude,
                                      const IsStale& is_stale, std::int64_t from = 0);

}  // namespace regatta
