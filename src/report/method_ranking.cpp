// The ranking of several evaluations: which items are compared, how missing ones count, and the score of the task.
#include <algorithm>
#include <charconv>
#include <cmath>
#include <iterator>
#include <numeric>
#include <set>

#include "regatta/base/error.hpp"
#include "regatta/base/text.hpp"
#include "regatta/base/text_table.hpp"
#include "regatta/report/evaluation.hpp"
#include "report/format.hpp"

namespace regatta {
namespace {

using Methods = std::vector<MethodEvaluation>;

constexpr std::string_view kHardest = "30";  // "dice30": over the hardest items

const EvaluatedMetric* metric_of(const MethodEvaluation& method, const std::string& name) {
  const std::string metric = name.substr(0, name.find('/'));
  const auto found = std::find_if(method.metrics.begin(), method.metrics.end(),
                                  [&](const EvaluatedMetric& have) { return have.name == metric; });
  return found == method.metrics.end() ? nullptr : &*found;
}

bool has_numbers(const Pool& pool) {
  return std::any_of(pool.values.begin(), pool.values.end(), [](double v) { return !std::isnan(v); });
}

bool all_have(const Methods& methods, const std::string& name, bool initial) {
  return std::all_of(methods.begin(), methods.end(), [&](const MethodEvaluation& method) {
    return metric_of(method, name) != nullptr && has_numbers(pool_of(method.cases, name, initial));
  });
}

std::vector<ScorePart> default_score(const Methods& methods) {
  std::vector<ScorePart> score;
  for (const EvaluatedMetric& metric : methods.front().metrics) {
    if (all_have(methods, metric.name, false)) {
      score.push_back({metric.name, 1});
      if (all_have(methods, metric.name, true)) {
        score.push_back({metric.name + std::string(kHardest), 1});
      }
    }
  }
  return score;
}

/// The items on which a part compares the methods.
std::vector<std::size_t> items_of(const Methods& methods, const std::string& name, bool hard,
                                  const std::vector<Pool>& pools) {
  std::vector<std::size_t> items;
  if (hard) {
    const Pool initial = pool_of(methods.front().cases, name, true);
    REGATTA_REQUIRE(has_numbers(initial) && initial.items == pools.front().items, DataError, methods.front().method,
                    ": no initial values of '", name, "', so that its hardest items are not known");
    items = hardest(initial.values, metric_of(methods.front(), name)->better);
    std::sort(items.begin(), items.end());
    return items;
  }
  for (std::size_t i = 0; i < pools.front().values.size(); ++i) {  // a label that is in no volume says nothing
    if (std::any_of(pools.begin(), pools.end(), [i](const Pool& pool) { return !std::isnan(pool.values[i]); })) {
      items.push_back(i);
    }
  }
  return items;
}

RankedPart rank_part(const Methods& methods, const ScorePart& part) {
  RankedPart out{part, 0, {}, {}, {}};
  const bool hard = metric_of(methods.front(), part.name) == nullptr && part.name.ends_with(kHardest);
  const std::string name = hard ? part.name.substr(0, part.name.size() - kHardest.size()) : part.name;
  std::vector<Pool> pools;
  for (const MethodEvaluation& method : methods) {
    REGATTA_REQUIRE(metric_of(method, name) != nullptr, ConfigError, method.method, ": has no metric '", name, "'");
    pools.push_back(pool_of(method.cases, name));
    REGATTA_REQUIRE(pools.back().items == pools.front().items, DataError, method.method, ": '", name,
                    "' is not of the same cases and labels or key-points as in ", methods.front().method);
  }
  const std::vector<std::size_t> items = items_of(methods, name, hard, pools);
  REGATTA_REQUIRE(!items.empty(), DataError, "'", part.name, "': no method has a number");
  const std::optional<Missing> missing = missing_value(name);
  std::vector<std::vector<double>> values;
  for (std::size_t m = 0; m < methods.size(); ++m) {
    std::vector<double> chosen;
    std::transform(items.begin(), items.end(), std::back_inserter(chosen),
                   [&](std::size_t i) { return pools[m].values[i]; });
    if (missing) {
      substitute(chosen, *missing);
    }
    const auto absent = std::find_if(chosen.begin(), chosen.end(), [](double v) { return std::isnan(v); });
    REGATTA_REQUIRE(absent == chosen.end(), DataError, methods[m].method, ": '", name, "' of '",
                    pools[m].items[items[static_cast<std::size_t>(absent - chosen.begin())]],
                    "' is missing, and what that counts is not defined");
    out.mean.push_back(std::accumulate(chosen.begin(), chosen.end(), 0.0) / static_cast<double>(chosen.size()));
    values.push_back(std::move(chosen));
  }
  out.items = items.size();
  out.beaten = beaten_by(values, metric_of(methods.front(), name)->better);
  out.scores = rank_scores(out.beaten);
  return out;
}

}  // namespace

std::vector<ScorePart> parse_score(const std::string& text) {
  std::vector<ScorePart> score;
  for (const std::string& piece : split(text, ',')) {
    const std::vector<std::string> parts = split(piece, ':');
    ScorePart part{std::string(trim(parts.front())), 1};
    bool good = !part.name.empty() && parts.size() <= 2;
    if (good && parts.size() == 2) {
      const std::string_view number = trim(parts[1]);
      const auto [stop, error] = std::from_chars(number.data(), number.data() + number.size(), part.repeats);
      good = error == std::errc() && stop == number.data() + number.size() && part.repeats >= 1 && part.repeats <= 100;
    }
    REGATTA_REQUIRE(good, ConfigError, "score: '", one_line(piece, 60),
                    "', METRIC or METRIC:REPEATS (1..100) expected");
    score.push_back(part);
  }
  return score;
}

MethodRanking rank_methods(const Methods& methods, const std::vector<ScorePart>& score) {
  REGATTA_REQUIRE(methods.size() >= 2, ConfigError, "a ranking of ", methods.size(), " evaluations, at least 2 wanted");
  MethodRanking out;
  std::set<std::string> names;
  for (const MethodEvaluation& method : methods) {
    REGATTA_REQUIRE(names.insert(method.method).second, ConfigError, "two evaluations of the method '", method.method,
                    "': a ranking needs different names");
    out.methods.push_back(method.method);
  }
  const std::vector<ScorePart> parts = score.empty() ? default_score(methods) : score;
  REGATTA_REQUIRE(!parts.empty(), DataError, "no metric has numbers in every evaluation");
  for (const ScorePart& part : parts) {
    out.parts.push_back(rank_part(methods, part));
  }
  for (std::size_t m = 0; m < methods.size(); ++m) {
    std::vector<double> scores;
    std::vector<int> repeats;
    for (const RankedPart& part : out.parts) {
      scores.push_back(part.scores[m]);
      repeats.push_back(part.part.repeats);
    }
    out.scores.push_back(geometric_mean(scores, repeats));
  }
  return out;
}

Json to_json(const MethodRanking& ranking) {
  Json out;
  out["schema"] = kEvaluationSchema;
  out["kind"] = "ranking";
  out["methods"] = Json::array();
  for (std::size_t m = 0; m < ranking.methods.size(); ++m) {
    Json parts = Json::object();
    for (const RankedPart& part : ranking.parts) {
      parts[part.part.name] = {
          {"mean", number_to_json(part.mean[m])}, {"beaten_by", part.beaten[m]}, {"score", part.scores[m]}};
    }
    out["methods"].push_back({{"method", ranking.methods[m]}, {"score", ranking.scores[m]}, {"parts", parts}});
  }
  for (const RankedPart& part : ranking.parts) {
    out["parts"][part.part.name] = {{"repeats", part.part.repeats}, {"items", part.items}};
  }
  return out;
}

std::string ranking_text(const MethodRanking& ranking) {
  TextTable table;
  table.column("method", TextTable::Align::kLeft);
  table.column("score", TextTable::Align::kRight);
  for (const RankedPart& part : ranking.parts) {
    table.column(part.part.repeats > 1 ? str(part.part.name, " x", part.part.repeats) : part.part.name,
                 TextTable::Align::kRight);
    table.column("rank", TextTable::Align::kRight);
  }
  std::vector<std::size_t> order(ranking.methods.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return ranking.scores[a] > ranking.scores[b]; });
  for (const std::size_t m : order) {
    std::vector<std::string> cells = {ranking.methods[m], number_text(ranking.scores[m], 3)};
    for (const RankedPart& part : ranking.parts) {
      cells.push_back(number_text(part.mean[m]));
      cells.push_back(number_text(part.scores[m], 3));
    }
    table.row(cells);
  }
  return table.text();
}

}  // namespace regatta
