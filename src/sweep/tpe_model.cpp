// The split of the history, and the choice among candidates.
#include "sweep/tpe_model.hpp"

#include <algorithm>
#include <limits>
#include <tuple>

#include <nlohmann/json.hpp>

namespace regatta {
namespace {

/// Of observations that have a value for every axis the coordinates.
std::vector<Coordinates> coordinates_of(const std::vector<const Axis*>& axes, const History& history,
                                        const std::vector<std::size_t>& chosen) {
  std::vector<Coordinates> all;
  for (const std::size_t i : chosen) {
    Coordinates coordinates;
    for (const Axis* axis : axes) {
      const auto value = history.observations[i].point.find(axis->pointer());
      const auto number = value == history.observations[i].point.end() ? std::nullopt : axis->number_of(value->second);
      if (!number) {
        break;
      }
      coordinates.push_back(*number);
    }
    if (coordinates.size() == axes.size()) {
      all.push_back(std::move(coordinates));
    }
  }
  return all;
}

}  // namespace

SplitHistory split_history(const History& history) {
  constexpr std::int64_t kMostBelow = 25;
  constexpr std::int64_t kTenth = 10;
  const auto& observations = history.observations;
  const double sign = history.maximise ? -1.0 : 1.0;
  std::vector<std::size_t> ended;
  SplitHistory split;
  for (std::size_t i = 0; i < observations.size(); ++i) {
    (observations[i].state == ObservationState::kRunning ? split.above : ended).push_back(i);
  }
  const auto key = [&](std::size_t i) {
    const Observation& one = observations[i];
    const bool has_value = one.state != ObservationState::kInfeasible;
    return std::tuple(static_cast<int>(one.state), one.state == ObservationState::kPruned ? -one.step : 0,
                      has_value ? sign * one.value : 0.0);
  };
  std::stable_sort(ended.begin(), ended.end(), [&](std::size_t a, std::size_t b) { return key(a) < key(b); });
  const auto count = static_cast<std::int64_t>(ended.size());
  const auto below = static_cast<std::ptrdiff_t>(std::min((count + kTenth - 1) / kTenth, kMostBelow));
  split.below.assign(ended.begin(), ended.begin() + below);
  split.above.insert(split.above.end(), ended.begin() + below, ended.end());
  std::sort(split.below.begin(), split.below.end());
  std::sort(split.above.begin(), split.above.end());
  return split;
}

TpeModel::TpeModel(const std::vector<const Axis*>& axes, const History& history)
    : below_(axes, coordinates_of(axes, history, split_history(history).below)),
      above_(axes, coordinates_of(axes, history, split_history(history).above)) {}

std::size_t TpeModel::best_of(const std::vector<Coordinates>& candidates) const {
  std::size_t best = 0;
  double highest = -std::numeric_limits<double>::infinity();
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    const double gain = log_below(candidates[i]) - log_above(candidates[i]);
    if (gain > highest) {
      highest = gain;
      best = i;
    }
  }
  return best;
}

}  // namespace regatta
