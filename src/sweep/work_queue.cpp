#include "regatta/sweep/work_queue.hpp"

#include <algorithm>

#include <nlohmann/json.hpp>

namespace regatta {
namespace {

std::optional<NextTrial> next_promotion(const SweepState& state, const std::set<std::int64_t>& exclude,
                                        std::int64_t from) {
  if (!state.standings().is_on()) {
    return std::nullopt;
  }
  std::vector<RungPlace> places = state.standings().promotable();
  if (!places.empty()) {
    const auto first = static_cast<std::ptrdiff_t>(static_cast<std::size_t>(from) % places.size());
    std::rotate(places.begin(), places.begin() + first, places.end());
  }
  for (const RungPlace& place : places) {
    const std::vector<std::int64_t> trials = state.standings().climbers(place.point);
    if (std::any_of(trials.begin(), trials.end(), [&](std::int64_t trial) { return exclude.contains(trial); })) {
      continue;
    }
    NextTrial next = state.attempt_after(trials.front());
    next.promotion = Promotion{place.rung, place.rank, place.results, {}};
    return next;
  }
  return std::nullopt;
}

}  // namespace

std::optional<NextTrial> next_in_line(const SweepState& state, const std::set<std::int64_t>& exclude,
                                      const std::vector<std::uint32_t>& gone, std::int64_t from) {
  for (const std::int64_t begin : {from, std::int64_t{0}}) {
    if (const auto number = state.next_interrupted(exclude, gone, begin)) {
      return state.attempt_after(*number);
    }
  }
  if (auto promoted = next_promotion(state, exclude, from)) {
    return promoted;
  }
  for (const std::int64_t begin : {from, std::int64_t{0}}) {
    if (const auto number = state.next_new(exclude, begin)) {
      return state.attempt_after(*number);
    }
  }
  const auto follower = state.next_follower(exclude);
  return follower ? std::optional(state.attempt_after(*follower)) : std::nullopt;
}

std::optional<NextTrial> next_in_line(const SweepState& state, const std::set<std::int64_t>& exclude,
                                      const IsStale& is_stale, std::int64_t from) {
  const auto gone = state.gone_shards([&](std::uint32_t shard) { return is_stale(state.shard_name(shard)); });
  return next_in_line(state, exclude, gone, from);
}

}  // namespace regatta
