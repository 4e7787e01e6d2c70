#include "regatta/report/evaluation.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "regatta/base/error.hpp"
#include "regatta/base/text.hpp"
#include "regatta/base/text_table.hpp"
#include "report/format.hpp"

namespace regatta {
namespace {

constexpr double kNotMeasured = std::numeric_limits<double>::quiet_NaN();
constexpr const char* kKind = "evaluation";

/// "dice/17" of "dice": a label or key-point, not another quantity such as "sdlogj/l2r".
bool is_item_of(const std::string& key, const std::string& metric) {
  return key.size() > metric.size() + 1 && key.starts_with(metric) && key[metric.size()] == '/' &&
         std::all_of(key.begin() + static_cast<std::ptrdiff_t>(metric.size()) + 1, key.end(),
                     [](char c) { return c >= '0' && c <= '9'; });
}

std::map<std::string, double> numbers_from(const Json& json, const std::string& pointer) {
  std::map<std::string, double> out;
  for (const auto& member : json.items()) {
    out[member.key()] = number_from_json(member.value(), pointer + "/" + member.key());
  }
  return out;
}

const Json& member(const Json& json, const char* name, const char* type, const std::string& source) {
  const auto found = json.is_object() ? json.find(name) : json.end();
  REGATTA_REQUIRE(found != json.end() && std::string(type_name(*found)) == type, DataError, source, ": '", name,
                  "' is ", found == json.end() ? "missing" : type_name(*found), ", ", type, " expected");
  return *found;
}

std::vector<double> case_values(const std::vector<EvaluatedCase>& cases, const std::string& key) {
  std::vector<double> values;
  for (const EvaluatedCase& one : cases) {
    const auto found = one.values.find(key);
    values.push_back(found == one.values.end() ? kNotMeasured : found->second);
  }
  return values;
}

bool any_number(const std::vector<double>& values) {
  return std::any_of(values.begin(), values.end(), [](double v) { return !std::isnan(v); });
}

}  // namespace

Pool pool_of(const std::vector<EvaluatedCase>& cases, const std::string& metric, bool initial) {
  Pool pool;
  for (const EvaluatedCase& one : cases) {
    const auto& values = initial ? one.initial : one.values;
    const std::size_t before = pool.items.size();
    for (const auto& [key, value] : values) {
      if (is_item_of(key, metric)) {
        pool.items.push_back(one.name + key.substr(metric.size()));
        pool.values.push_back(value);
      }
    }
    if (pool.items.size() == before) {
      const auto whole = values.find(metric);
      pool.items.push_back(one.name);
      pool.values.push_back(whole == values.end() ? kNotMeasured : whole->second);
    }
  }
  return pool;
}

MetricSummary summarise(const MethodEvaluation& evaluation, const EvaluatedMetric& metric) {
  const std::vector<double> values = case_values(evaluation.cases, metric.name);
  MetricSummary out;
  out.aggregate = metric.name == "hd95" && evaluation.hd95_as_learn2reg ? aggregate_hd95_as_learn2reg(values)
                                                                        : aggregate(values, metric.better);
  const Pool initial = pool_of(evaluation.cases, metric.name, true);
  const Pool now = pool_of(evaluation.cases, metric.name);
  out.hardest30 = kNotMeasured;
  if (any_number(initial.values) && initial.items == now.items) {
    out.hardest30 = mean_of_hardest(now.values, hardest(initial.values, metric.better));
  }
  return out;
}

Json to_json(const MethodEvaluation& evaluation) {
  Json out;
  out["schema"] = kEvaluationSchema;
  out["kind"] = kKind;
  out["method"] = evaluation.method;
  out["facts"] = evaluation.facts;
  out["hd95_as_learn2reg"] = evaluation.hd95_as_learn2reg;
  out["metrics"] = Json::object();
  for (const EvaluatedMetric& metric : evaluation.metrics) {
    const MetricSummary summary = summarise(evaluation, metric);
    Json& row = out["metrics"][metric.name];
    row["better"] = better_text(metric.better);
    row["mean"] = number_to_json(summary.aggregate.mean);
    row["std"] = number_to_json(summary.aggregate.std);
    row["30"] = number_to_json(summary.aggregate.quantile30);
    row["n"] = summary.aggregate.n;
    row["hardest30"] = number_to_json(summary.hardest30);
  }
  out["cases"] = Json::array();
  for (const EvaluatedCase& one : evaluation.cases) {
    out["cases"].push_back({{"name", one.name},
                            {"facts", one.facts},
                            {"values", numbers_to_json(one.values)},
                            {"initial", numbers_to_json(one.initial)}});
  }
  return out;
}

MethodEvaluation evaluation_from_json(const Json& json, const std::string& source) {
  const bool is_ours = json.is_object() && json.contains("kind") && json["kind"] == kKind;
  REGATTA_REQUIRE(is_ours, DataError, source, ": not an evaluation ('kind' is not '", kKind, "')");
  REGATTA_REQUIRE(json.contains("schema") && json["schema"] == kEvaluationSchema, DataError, source, ": schema ",
                  json.contains("schema") ? dump_line(json["schema"]) : "missing", ", this build reads ",
                  kEvaluationSchema);
  MethodEvaluation out;
  out.method = member(json, "method", "a string", source).get<std::string>();
  for (const auto& metric : member(json, "metrics", "an object", source).items()) {
    const std::string better = member(metric.value(), "better", "a string", source).get<std::string>();
    REGATTA_REQUIRE(better == "higher" || better == "lower", DataError, source, ": metric '", metric.key(),
                    "': better '", one_line(better, 40), "', allowed: higher, lower");
    out.metrics.push_back({metric.key(), better == "higher" ? Better::kHigher : Better::kLower});
  }
  for (const Json& one : member(json, "cases", "a list", source)) {
    EvaluatedCase read;
    read.name = member(one, "name", "a string", source).get<std::string>();
    read.values = numbers_from(member(one, "values", "an object", source), source + ": /values");
    read.initial = numbers_from(member(one, "initial", "an object", source), source + ": /initial");
    out.cases.push_back(std::move(read));
  }
  return out;
}

std::string evaluation_text(const MethodEvaluation& evaluation) {
  TextTable table;
  table.column("metric", TextTable::Align::kLeft);
  for (const char* name : {"mean", "std", "30", "hardest 30 %", "cases"}) {
    table.column(name, TextTable::Align::kRight);
  }
  for (const EvaluatedMetric& metric : evaluation.metrics) {
    const MetricSummary s = summarise(evaluation, metric);
    const auto number = [](double v) { return std::isnan(v) ? std::string("-") : number_text(v); };
    table.row({metric.name, number(s.aggregate.mean), number(s.aggregate.std), number(s.aggregate.quantile30),
               number(s.hardest30),
               s.aggregate.n == evaluation.cases.size() ? str(s.aggregate.n)
                                                        : str(s.aggregate.n, " of ", evaluation.cases.size())});
  }
  return table.text();
}

}  // namespace regatta
