// What `regatta evaluate` measured of one method, as a file (docs/evaluation.md) and as text, and the ranking of
// several such methods by Learn2Reg's rules (learn2reg.hpp).
#pragma once

#include <map>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "regatta/config/json.hpp"
#include "regatta/report/learn2reg.hpp"

namespace regatta {

inline constexpr int kEvaluationSchema = 1;

struct EvaluatedMetric {
  std::string name;
  Better better = Better::kHigher;
};

/// All measures of one case: "dice", "dice/17" ...
struct EvaluatedCase {
  std::string name;
  std::map<std::string, double> values;
  std::map<std::string, double> initial;  ///< with a field of zeros, of metrics that rank the items by difficulty
  Json facts = nullptr;                   ///< files and spacing, for the record only
};

struct MethodEvaluation {
  std::string method;
  std::vector<EvaluatedMetric> metrics;
  std::vector<EvaluatedCase> cases;
  bool hd95_as_learn2reg = false;  ///< the "30" of HD95 at its good end
  Json facts = nullptr;            ///< build, device, time
};

/// One number a case and metric, or one a label or key-point.
/// @return (case, "dice/17") -> value, in the order of the cases; the labels or points of a case where the metric has
/// them, else the case itself
struct Pool {
  std::vector<std::string> items;  ///< "case/17", "case"
  std::vector<double> values;
};
Pool pool_of(const std::vector<EvaluatedCase>& cases, const std::string& metric, bool initial = false);

/// A number over all cases: of the cases' own values, and the mean over the hardest 30 % of all items where the initial
/// values are known (DSC30, TRE30; else NaN).
struct MetricSummary {
  Aggregate aggregate;
  double hardest30 = 0.0;
};
MetricSummary summarise(const MethodEvaluation& evaluation, const EvaluatedMetric& metric);

Json to_json(const MethodEvaluation& evaluation);

/// @throws DataError naming the source for anything but an evaluation of this schema
MethodEvaluation evaluation_from_json(const Json& json, const std::string& source);

/// Mean, std and "30" of each metric, for a terminal.
std::string evaluation_text(const MethodEvaluation& evaluation);

/// One line for each case: every measure that is not of one label or key-point, then those with a field of zeros.
std::string evaluation_pairs_csv(const MethodEvaluation& evaluation);

/// One line for each metric, case and label or key-point: its value and the one with a field of zeros; RFC 4180.
std::string evaluation_labels_csv(const MethodEvaluation& evaluation);

/// A part of the task's score: a metric, a detail of one ("sdlogj/l2r"), or one over the hardest 30 % ("dice30").
struct ScorePart {
  std::string name;
  int repeats = 1;
};

/// "dice,tre:2" -> two parts. @throws ConfigError
std::vector<ScorePart> parse_score(const std::string& text);

struct RankedPart {
  ScorePart part;
  std::size_t items = 0;
  std::vector<double> mean;  ///< one per method, missing values as they count
  std::vector<int> beaten;
  std::vector<double> scores;
};

struct MethodRanking {
  std::vector<std::string> methods;
  std::vector<RankedPart> parts;
  std::vector<double> scores;  ///< geometric means, one per method
};

/// @param score  empty: every metric that all methods have numbers of, and those with initial values on the hardest 30
/// %
/// @throws DataError if the methods were not evaluated on the same cases and items, or a value is missing that has no
///         substitute; ConfigError for a part that is not in every evaluation
MethodRanking rank_methods(const std::vector<MethodEvaluation>& methods, const std::vector<ScorePart>& score);

Json to_json(const MethodRanking& ranking);

/// Best method first.
std::string ranking_text(const MethodRanking& ranking);

}  // namespace regatta
