// What a job ranks its points by: one metric, or several with directions and a reference point, and limits that a point
// must keep to.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "regatta/config/job.hpp"

namespace regatta {

inline constexpr int kMostObjectives = 4;

/// One of the metrics that rank the points. The first is the recipe's /validation/best.
struct RankedObjective {
  std::string metric;
  std::string direction;            ///< "maximise", "minimise"; empty: the metric's own
  std::optional<double> reference;  ///< the worst value that is worth anything; of several objectives each has one

  bool maximise() const { return direction == "maximise"; }
};

/// A limit of a metric; at least one end is given.
struct Constraint {
  std::string metric;
  std::optional<double> at_most;
  std::optional<double> at_least;

  /// By how much a value breaks it, 0 where it does not. No value, or one that is not finite, breaks it infinitely.
  double violation(const std::optional<double>& value) const;
};

/// From `objectives`, or where that is empty the one `objective`.
/// @throws ConfigError with the JSON pointer: not a list of objects, more than 4, an unknown key, a metric that stands
///         twice, several without `reference`; both `objective` and `objectives` with different first metrics
std::vector<RankedObjective> objectives_of(const JobOptions& job);

/// From `constraints`: {"folding": {"at_most": 0.5}}.
/// @throws ConfigError with the JSON pointer: an unknown key, no end, a number that is not finite, ends that cross
std::vector<Constraint> constraints_of(const JobOptions& job);

/// Makes `objective` the first of `objectives`. @throws ConfigError as `objectives_of` and `constraints_of`
void resolve_objectives(JobOptions& job);

/// For `objectives` of a job or a report: direction and reference written out. A single one gives an empty list.
Json objectives_json(const std::vector<RankedObjective>& objectives);

/// "dice (maximise)"; of several "dice (maximise, reference 0.3), folding (minimise, reference 2)"
std::string objectives_text(const std::vector<RankedObjective>& objectives);

/// "folding <= 0.5, dice >= 0.7"; empty without constraints
std::string constraints_text(const std::vector<Constraint>& constraints);

}  // namespace regatta
