// Two reports side by side: their best points, and the settings that both have.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "regatta/config/json.hpp"

namespace regatta {

/// A setting of one report beside one of the other.
struct ComparedPoint {
  std::string setting;      ///< "lr 0.001, weight 2"
  std::optional<double> a;  ///< mean of the objective
  std::optional<double> b;
  int n_a = 0;  ///< trials of the means
  int n_b = 0;
  std::optional<double> difference;  ///< b minus a on the validation pairs that both have; nothing without any
  std::optional<double> p;           ///< of the signed-rank test on them
  std::optional<double> p_holm;      ///< corrected for the number of settings that both reports have
  std::size_t pairs = 0;
};

struct ReportComparison {
  std::string metric;
  bool maximise = true;
  ComparedPoint best;                 ///< first points of both; `setting` is "A: ... / B: ..." where they differ
  std::vector<ComparedPoint> common;  ///< settings that both have, in the order of A's ranking
  int only_a = 0;                     ///< ranked settings that the other report lacks
  int only_b = 0;
  std::vector<std::string> notes;  ///< conditions that differ
};

/// Compares two documents of `report.json`, of schema 1 or 2.
/// @param a, b  names in messages, such as their paths
/// @throws DataError if one is not a report; ConfigError if their objectives differ
ReportComparison compare_reports(const Json& a, const Json& b, const std::string& name_a, const std::string& name_b);

/// Table for a terminal.
std::string comparison_text(const ReportComparison& comparison);

Json to_json(const ReportComparison& comparison);

}  // namespace regatta
