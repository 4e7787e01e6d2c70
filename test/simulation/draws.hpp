// What is drawn at random in the simulation, each from a stream of its own.
#pragma once

#include <cstdint>

#include "job.hpp"

namespace regatta::simulation {

/// Streams of random numbers.
enum Stream : std::uint64_t {
  kStartTime = 20,
  kRequeue,
  kJobKill,
  kKillKind,
  kCut,
  kCutLength,
  kCommit,
  kTrialTime,
  kChildStart,
  kChildKill,
  kFails,
  kFailsWhere,
  kFailsHow,
  kDiverges,
  kDivergesWhere,
  kInfeasible,
  kSave,
  kSqueue,
  kDice
};

inline double step_seconds(const World& world, std::int64_t trial) {
  const SimulationOptions& options = world.options;
  return world.log_normal(options.trial_s, options.trial_sigma, kTrialTime, static_cast<std::uint64_t>(trial)) /
         static_cast<double>(kSteps);
}

}  // namespace regatta::simulation
