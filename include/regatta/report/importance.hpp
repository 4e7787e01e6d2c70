// Which axes decide whether a point is among the best: PED-ANOVA. Pure arithmetic over points; `add_importance` takes
// them from a report.
//
// Source: Watanabe, Bansal, Hutter, "PED-ANOVA: Efficiently quantifying hyperparameter importance in arbitrary
// subspaces", IJCAI 2023; axes that some points lack as in conditional PED-ANOVA (arXiv:2601.20800). The same numbers
// as Optuna 5.0.0's PedAnovaImportanceEvaluator.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "regatta/report/report.hpp"

namespace regatta {

/// What an axis can be: a range of numbers, or a number of choices.
struct ImportanceAxis {
  bool numeric = false;
  double low = 0.0;
  double high = 1.0;
  bool log = false;
  bool whole = false;  ///< whole numbers only
  int choices = 0;     ///< of an axis that is not numeric
};

/// One point: its loss, the less the better, and per axis its value or the index of its choice; nothing where it lacks
/// the axis.
struct ImportancePoint {
  double loss = 0.0;
  std::vector<std::optional<double>> values;
};

/// How different the distribution of each axis is among the best tenth of the points from that among all: the Pearson
/// divergence of two Parzen estimates on at most 50 cells. Not normalised; 0 for an axis of one value.
std::vector<double> ped_anova(const std::vector<ImportanceAxis>& axes, const std::vector<ImportancePoint>& points);

/// How many of n points count as the best: the share `kImportanceQuantile`, without those that share the last value.
std::size_t best_of(std::size_t n);

/// Fills `Report::importance` from the points that have a finite objective, by the first objective. Few points make a
/// warning there.
void add_importance(Report& report);

/// Table for a terminal; empty where there is nothing to tell.
std::string importance_text(const Report& report);

}  // namespace regatta
