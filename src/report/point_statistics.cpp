#include "report/point_statistics.hpp"

#include <algorithm>
#include <cmath>
#include <memory>
#include <optional>
#include <set>

#include "regatta/base/text.hpp"
#include "regatta/report/evaluation.hpp"
#include "regatta/report/statistics.hpp"
#include "report/format.hpp"

namespace regatta {
namespace {

/// Means of what each pair measured before training, over all trials: how hard it is, the same for all points.
std::vector<PairValues> mean_initial_pairs(const Report& report) {
  std::map<PairKey, std::map<std::string, std::vector<double>>> values;
  for (const ReportTrial& trial : report.trials) {
    for (const PairValues& pair : trial.initial_pairs) {
      for (const auto& [name, value] : pair.values) {
        values[{pair.moving, pair.fixed}][name].push_back(value);
      }
    }
  }
  std::vector<PairValues> means;
  for (const auto& [key, metrics] : values) {
    PairValues pair{key.first, key.second, {}};
    for (const auto& [name, all] : metrics) {
      if (const Summary summary = summarise(all); summary.mean) {
        pair.values[name] = *summary.mean;
      }
    }
    means.push_back(std::move(pair));
  }
  return means;
}

bool any_measured(const Report& report, const std::string& metric) {
  return std::any_of(report.difficulty.begin(), report.difficulty.end(), [&](const PairValues& pair) {
    return std::any_of(pair.values.begin(), pair.values.end(),
                       [&](const auto& value) { return value.first.substr(0, value.first.find('/')) == metric; });
  });
}

std::optional<HardestMean> mean_of_items(const std::vector<EvaluatedCase>& cases, const std::string& metric,
                                         const std::set<std::string>& items) {
  const Pool pool = pool_of(cases, metric);
  std::vector<double> values;
  for (std::size_t i = 0; i < pool.items.size(); ++i) {
    if (items.contains(pool.items[i])) {
      values.push_back(pool.values[i]);
    }
  }
  const Summary summary = summarise(values);
  return summary.mean ? std::optional(HardestMean{*summary.mean, summary.n}) : std::nullopt;
}

void add_hardest(Report& report) {
  std::map<std::string, std::set<std::string>> hard;
  for (const std::string& metric : metrics_of_difficulty(report)) {
    hard[metric] = hardest_items(report, metric);
  }
  for (ReportPoint& point : report.ranking) {
    std::vector<EvaluatedCase> cases;
    for (const PointPair& pair : pairs_of(report, point)) {
      EvaluatedCase one{str(pair.moving, '\t', pair.fixed), {}, {}, nullptr};
      for (const auto& [name, summary] : pair.values) {
        if (summary.mean) {
          one.values[name] = *summary.mean;
        }
      }
      cases.push_back(std::move(one));
    }
    for (const auto& [metric, items] : hard) {
      if (const auto mean = mean_of_items(cases, metric, items)) {
        point.hardest30[metric] = *mean;
      }
    }
  }
}

void add_intervals(Report& report) {
  std::map<std::size_t, std::unique_ptr<Bootstrap>> draws;  // by number of pairs
  for (ReportPoint& point : report.ranking) {
    std::vector<double> values;
    for (const auto& [key, value] : pair_means(report, point, report.metric)) {
      values.push_back(value);
    }
    if (values.size() < 2 || point.rank == 0) {
      continue;
    }
    std::unique_ptr<Bootstrap>& bootstrap = draws[values.size()];
    if (!bootstrap) {
      bootstrap = std::make_unique<Bootstrap>(values.size());
    }
    const Interval interval = bootstrap->mean(values, kConfidence);
    point.interval = MeanInterval{interval.low, interval.high, static_cast<int>(values.size())};
    report.statistics.resamples = bootstrap_resamples(values.size());
  }
}

void compare_with_first(Report& report) {
  const auto first = pair_means(report, report.ranking.front(), report.metric);
  std::vector<ReportPoint*> compared;
  std::vector<double> p;
  for (std::size_t i = 1; i < report.ranking.size(); ++i) {
    ReportPoint& point = report.ranking[i];
    const PairedTest test = paired_test(pair_means(report, point, report.metric), first);
    if (point.rank == 0 || test.pairs == 0) {
      continue;
    }
    point.against_first = AgainstFirst{test.difference, test.p, 1.0, static_cast<int>(test.pairs), true};
    compared.push_back(&point);
    p.push_back(test.p);
  }
  const std::vector<double> corrected = holm(p);
  for (std::size_t i = 0; i < compared.size(); ++i) {
    compared[i]->against_first->p_holm = corrected[i];
    compared[i]->against_first->tied = corrected[i] >= kSignificance;
  }
  report.statistics.comparisons = static_cast<int>(p.size());
  report.statistics.pairs = static_cast<int>(first.size());
  report.statistics.least_p = least_signed_rank_p(first.size());
}

}  // namespace

std::vector<PointPair> pairs_of(const Report& report, const ReportPoint& point) {
  std::map<PairKey, std::map<std::string, std::vector<double>>> values;
  for (const std::size_t index : point.trials) {
    for (const PairValues& pair : report.trials[index].pairs) {
      for (const auto& [name, value] : pair.values) {
        values[{pair.moving, pair.fixed}][name].push_back(value);
      }
    }
  }
  std::vector<PointPair> pairs;
  for (const auto& [key, metrics] : values) {
    PointPair pair{key.first, key.second, {}};
    for (const auto& [name, all] : metrics) {
      pair.values[name] = summarise(all);
    }
    pairs.push_back(std::move(pair));
  }
  return pairs;
}

std::vector<std::string> metrics_of_difficulty(const Report& report) {
  std::vector<std::string> metrics = {"dice", "dice_linear", "hd95", "tre"};
  std::erase_if(metrics, [&](const std::string& metric) { return !any_measured(report, metric); });
  return metrics;
}

std::set<std::string> hardest_items(const Report& report, const std::string& metric) {
  std::vector<EvaluatedCase> cases;
  for (const PairValues& pair : report.difficulty) {
    cases.push_back({str(pair.moving, '\t', pair.fixed), pair.values, {}, nullptr});
  }
  const Pool pool = pool_of(cases, metric);
  std::set<std::string> items;
  const Better better = metric.starts_with("dice") ? Better::kHigher : Better::kLower;
  for (const std::size_t item : hardest(pool.values, better)) {
    items.insert(pool.items[item]);
  }
  return items;
}

std::map<PairKey, double> pair_means(const Report& report, const ReportPoint& point, const std::string& metric) {
  std::map<PairKey, std::pair<double, int>> sums;
  for (const std::size_t index : point.trials) {
    for (const PairValues& pair : report.trials[index].pairs) {
      const auto value = pair.values.find(metric);
      if (value != pair.values.end() && std::isfinite(value->second)) {
        auto& [sum, count] = sums[{pair.moving, pair.fixed}];
        sum += value->second;
        ++count;
      }
    }
  }
  std::map<PairKey, double> means;
  for (const auto& [key, sum] : sums) {
    means[key] = sum.first / sum.second;
  }
  return means;
}

PairedTest paired_test(const std::map<PairKey, double>& values, const std::map<PairKey, double>& others) {
  std::vector<double> differences;
  double sum = 0.0;
  for (const auto& [key, value] : values) {
    if (const auto other = others.find(key); other != others.end()) {
      differences.push_back(value - other->second);
      sum += differences.back();
    }
  }
  PairedTest test;
  test.pairs = differences.size();
  if (test.pairs > 0) {
    test.difference = sum / static_cast<double>(test.pairs);
    test.p = signed_rank(differences).p;
  }
  return test;
}

void add_point_statistics(Report& report) {
  report.statistics = {};
  report.difficulty = mean_initial_pairs(report);
  for (ReportTrial& trial : report.trials) {
    trial.initial_pairs.clear();
  }
  add_hardest(report);
  if (report.ranking.empty() || report.ranking.front().rank == 0) {
    return;
  }
  add_intervals(report);
  compare_with_first(report);
  const ReportStatistics& statistics = report.statistics;
  if (statistics.comparisons > 0 && statistics.least_p * statistics.comparisons >= kSignificance) {
    report.notes.push_back(str(statistics.pairs, statistics.pairs == 1 ? " validation pair" : " validation pairs",
                               " cannot separate ", statistics.comparisons + 1, " points: no p can be less than ",
                               number_text(statistics.least_p), " x ", statistics.comparisons,
                               ", so that all are tied with the first"));
  }
}

}  // namespace regatta
