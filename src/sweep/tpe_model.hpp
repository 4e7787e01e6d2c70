// Tree-structured Parzen estimator: which observations are good, and which of the candidates promises most. As in
// Optuna 5.0.0: multivariate, with the constant liar. Source: Bergstra et al., NeurIPS 2011; Watanabe,
// arXiv:2304.11127.
#pragma once

#include <cstdint>
#include <vector>

#include "regatta/sweep/history.hpp"
#include "sweep/parzen.hpp"

namespace regatta {

/// Indices of the observations, ascending.
struct SplitHistory {
  std::vector<std::size_t> below;  ///< the good ones: min(ceil(0.1 n), 25) of the n that have ended
  std::vector<std::size_t> above;  ///< the others; those that run count as such
};

/// Complete ones by value, then pruned ones by step (the later, the better) and value, then infeasible ones.
SplitHistory split_history(const History& history);

/// Scores of candidates on axes that count together.
class TpeModel {
 public:
  /// Takes the observations that have a value for every one of the axes.
  TpeModel(const std::vector<const Axis*>& axes, const History& history);

  double log_below(const Coordinates& point) const { return below_.log_density(point); }
  double log_above(const Coordinates& point) const { return above_.log_density(point); }

  /// A candidate, drawn as the good ones lie.
  Coordinates draw(const std::function<double(std::uint32_t draw)>& uniform) const { return below_.draw(uniform); }

  /// The index of the candidate with the largest log_below - log_above; of equal ones the first.
  std::size_t best_of(const std::vector<Coordinates>& candidates) const;

 private:
  ParzenEstimator below_;
  ParzenEstimator above_;
};

}  // namespace regatta
