// report.json: the document, its volatile members, and the small questions that every form of a report asks.
#include "regatta/report/report.hpp"

#include <filesystem>
#include <string_view>

#include "regatta/base/error.hpp"
#include "regatta/sweep/layout.hpp"
#include "report/format.hpp"
#include "report/rows.hpp"

namespace regatta {
namespace {

Json axes_json(const std::map<std::string, Json>& axes) {
  Json object = Json::object();
  for (const auto& [pointer, value] : axes) {
    object[pointer] = value;
  }
  return object;
}

Json summary_json(const Summary& summary) {
  return {{"mean", number_or_null(summary.mean)},
          {"std", number_or_null(summary.std)},
          {"n", summary.n},
          {"of", summary.of}};
}

Json curve_json(const Curve& curve) {
  Json values = Json::array();
  for (const double value : curve.value) {
    values.push_back(number_to_json(value));
  }
  return {{"step", curve.step}, {"value", std::move(values)}};
}

Json sweep_json(const ReportSweep& sweep) {
  Json value;
  value["name"] = sweep.name;
  value["identity"] = sweep.identity;
  value["directory"] = sweep.directory;
  value["sampler"] = sweep.sampler;
  value["trials"] = sweep.trials;
  value["replicates"] = sweep.replicates;
  value["resume"] = sweep.resume;
  value["job"] = sweep.job;
  return value;
}

Json attempt_json(const ReportAttempt& attempt) {
  Json value;
  value["attempt"] = attempt.attempt;
  value["status"] = attempt.status;
  value["step"] = attempt.step;
  value["host"] = attempt.host;
  value["rank"] = attempt.rank;
  value["started_utc"] = attempt.started_utc;
  value["ended_utc"] = attempt.ended_utc;
  value["message"] = attempt.message;
  return value;
}

/// What result.json says; null where the trial has none.
void add_result(Json& value, const ReportTrial& trial) {
  const TrialResult* result = trial.result ? &*trial.result : nullptr;
  const auto put = [&](const char* name, const auto& read) {
    value[name] = result != nullptr ? Json(read(*result)) : Json();
  };
  put("best_step", [](const TrialResult& r) { return r.best_step; });
  put("best", [](const TrialResult& r) { return numbers_to_json(r.best); });
  put("initial", [](const TrialResult& r) { return numbers_to_json(r.initial); });
  put("last", [](const TrialResult& r) { return numbers_to_json(r.last); });
  put("epochs", [](const TrialResult& r) { return r.epochs; });
  put("parameters", [](const TrialResult& r) { return r.parameters; });
  put("train_s", [](const TrialResult& r) { return number_to_json(r.train_s); });
  value["wall_s"] = number_or_null(trial.wall_s);
  put("ms_per_step", [](const TrialResult& r) { return number_to_json(r.ms_per_step); });
  put("peak_device_bytes", [](const TrialResult& r) { return r.peak_device_bytes; });
  put("determinism", [](const TrialResult& r) { return r.determinism; });
  put("resume", [](const TrialResult& r) { return r.resume; });
  value["weights"] =
      trial.weights.empty()
          ? Json()
          : Json({{"file", trial.weights}, {"xxh3", result != nullptr ? Json(result->weights_xxh3) : Json()}});
  put("provenance", [](const TrialResult& r) { return write_options(r.provenance); });
}

Json pairs_json(const std::vector<PairValues>& pairs) {
  Json list = Json::array();
  for (const PairValues& pair : pairs) {
    list.push_back({{"moving", pair.moving}, {"fixed", pair.fixed}, {"values", numbers_to_json(pair.values)}});
  }
  return list;
}

Json trial_json(const Report& report, std::size_t index) {
  const ReportTrial& trial = report.trials[index];
  Json value;
  value["name"] = report.trial_name(index);
  value["sweep"] = trial.sweep;
  value["number"] = trial.number;
  value["point"] = trial.point;
  value["replicate"] = trial.replicate;
  value["seed"] = trial.seed;
  value["axes"] = axes_json(trial.axes);
  value["status"] = trial.status;
  value["step"] = trial.step;
  value["steps"] = trial.steps > 0 ? Json(trial.steps) : Json();
  value["objective"] = number_or_null(trial.objective);
  value["objective_so_far"] = number_or_null(trial.objective_so_far);
  value["recipe_hash"] = trial.recipe_hash;
  add_result(value, trial);
  value["pairs"] = pairs_json(trial.pairs);
  value["message"] = trial.message;
  value["log_tail"] = trial.log_tail;
  value["reproduce"] = trial.reproduce;
  value["charged"] = trial.charged;
  value["attempts"] = Json::array();
  for (const ReportAttempt& attempt : trial.attempts) {
    value["attempts"].push_back(attempt_json(attempt));
  }
  value["curves"] = {{"train_loss", curve_json(trial.train_loss)}, {"validation", curve_json(trial.validation)}};
  return value;
}

Json constraint_json(const Constraint& constraint) {
  return {{"metric", constraint.metric},
          {"at_most", number_or_null(constraint.at_most)},
          {"at_least", number_or_null(constraint.at_least)}};
}

Json objectives_list(const Report& report) {
  Json list = Json::array();
  for (const RankedObjective& objective : report.ranked_by()) {
    list.push_back({{"metric", objective.metric},
                    {"direction", objective.direction},
                    {"reference", number_or_null(objective.reference)}});
  }
  return list;
}

Json importance_json(const Report& report) {
  Json axes = Json::array();
  for (const AxisImportance& axis : report.importance.axes) {
    axes.push_back({{"pointer", axis.pointer}, {"importance", axis.importance}});
  }
  return {{"metric", report.metric},
          {"quantile", kImportanceQuantile},
          {"points", report.importance.points},
          {"best", report.importance.best},
          {"axes", std::move(axes)},
          {"warning", report.importance.warning.empty() ? Json() : Json(report.importance.warning)}};
}

/// Where a point stands in fronts, and what it breaks.
void add_standing(Json& value, const Report& report, const ReportPoint& point) {
  value["status"] = point_status(point);
  value["front"] = point.front > 0 ? Json(point.front) : Json();
  value["hypervolume"] = report.hypervolume && point.front > 0 ? Json(point.hypervolume) : Json();
  value["violations"] = Json::array();
  for (const BrokenConstraint& broken : point.violations) {
    Json one = constraint_json(broken.constraint);
    one["value"] = number_or_null(broken.value);
    value["violations"].push_back(std::move(one));
  }
}

Json interval_json(const std::optional<MeanInterval>& interval) {
  return interval ? Json({{"low", interval->low}, {"high", interval->high}, {"pairs", interval->pairs}}) : Json();
}

Json against_first_json(const std::optional<AgainstFirst>& against) {
  if (!against) {
    return {};
  }
  return {{"difference", against->difference},
          {"p", against->p},
          {"p_holm", against->p_holm},
          {"pairs", against->pairs},
          {"tied", against->tied}};
}

Json statistics_json(const ReportStatistics& statistics) {
  return {{"confidence", kConfidence},     {"resamples", statistics.resamples},
          {"significance", kSignificance}, {"comparisons", statistics.comparisons},
          {"pairs", statistics.pairs},     {"least_p", statistics.least_p}};
}

Json point_json(const Report& report, const ReportPoint& point) {
  Json value;
  value["rank"] = point.rank > 0 ? Json(point.rank) : Json();
  value["sweep"] = point.sweep;
  value["point"] = point.point;
  value["axes"] = Json::object();
  for (const ReportAxis& axis : point_axes(report)) {
    value["axes"][axis.pointer] = axis_value(report.trials[point.trials.front()], axis);
  }
  add_standing(value, report, point);
  value["objective"] = summary_json(point.objective);
  value["gain"] = number_or_null(point.gain);
  value["best"] = Json::object();
  for (const auto& [name, summary] : point.best) {
    value["best"][name] = summary_json(summary);
  }
  value["trials"] = Json::array();
  for (const std::size_t index : point.trials) {
    value["trials"].push_back(report.trial_name(index));
  }
  value["interval"] = interval_json(point.interval);
  value["against_first"] = against_first_json(point.against_first);
  value["hardest30"] = Json::object();
  for (const auto& [metric, hardest] : point.hardest30) {
    value["hardest30"][metric] = {{"mean", hardest.mean}, {"items", hardest.items}};
  }
  value["best_trial"] = point.best_trial ? Json(report.trial_name(*point.best_trial)) : Json();
  return value;
}

Json totals_json(const Report& report) {
  Json value;
  value["trials"] = report.trials.size();
  value["ranked"] = report.totals.ranked;
  value["improved"] = report.totals.improved;
  value["by_status"] = Json::object();
  for (const auto& [status, count] : report.totals.by_status) {
    value["by_status"][status] = count;
  }
  value["train_s"] = number_to_json(report.totals.train_s);
  value["gain"] = number_or_null(report.totals.gain);
  return value;
}

Json winner_json(const Report& report) {
  const auto index = report.winner();
  if (!index) {
    return {};
  }
  const ReportTrial& trial = report.trials[*index];
  Json value;
  value["trial"] = report.trial_name(*index);
  value["objective"] = number_or_null(trial.objective);
  value["point"] = summary_json(report.ranking.front().objective);
  value["weights"] = report.weights_path(*index);
  value["weights_xxh3"] = trial.result ? trial.result->weights_xxh3 : "";
  value["register"] = register_command(report, *index);
  return value;
}

/// Puts "masked" where the pointer's rest leads to, through all members at each "*".
void mask(Json& value, std::string_view rest) {
  if (rest.empty()) {
    value = "masked";
    return;
  }
  const std::size_t end = rest.find('/', 1);
  const std::string name(rest.substr(1, end == std::string_view::npos ? end : end - 1));
  const std::string_view below = end == std::string_view::npos ? std::string_view() : rest.substr(end);
  if (name == "*" && value.is_structured()) {
    for (auto& member : value) {
      mask(member, below);
    }
  } else if (value.is_object() && value.contains(name)) {
    mask(value[name], below);
  }
}

}  // namespace

std::vector<RankedObjective> Report::ranked_by() const {
  return objectives.empty() ? std::vector<RankedObjective>{{metric, maximise ? "maximise" : "minimise", std::nullopt}}
                            : objectives;
}

std::optional<std::size_t> Report::winner() const {
  const bool breaks = !ranking.empty() && !ranking.front().violations.empty();
  return ranking.empty() || breaks || totals.improved == 0 ? std::nullopt : ranking.front().best_trial;
}

std::string Report::trial_name(std::size_t trial) const {
  const ReportTrial& row = trials[trial];
  const std::string name = regatta::trial_name(row.number);
  return sweeps.size() > 1 ? str(sweeps[row.sweep].name, " ", name) : name;
}

std::string Report::weights_path(std::size_t trial) const {
  const ReportTrial& row = trials[trial];
  return row.weights.empty() ? "" : (std::filesystem::path(sweeps[row.sweep].directory) / row.weights).string();
}

const std::vector<std::string>& volatile_pointers() {
  static const std::vector<std::string> pointers = {
      "/build",
      "/sweeps/*/directory",
      "/sweeps/*/resume",
      "/sweeps/*/job/recipe/data/archive",
      "/totals/train_s",
      "/winner/weights",
      "/winner/register",
      "/trials/*/attempts",
      "/trials/*/charged",
      "/trials/*/train_s",
      "/trials/*/wall_s",
      "/trials/*/ms_per_step",
      "/trials/*/peak_device_bytes",
      "/trials/*/resume",
      "/trials/*/log_tail",
      "/trials/*/reproduce",
      "/trials/*/provenance/host",
      "/trials/*/provenance/archive",
      "/trials/*/provenance/started_utc",
      "/trials/*/provenance/finished_utc",
      "/history",
      "/notes",
  };
  return pointers;
}

Json to_json(const Report& report) {
  Json value;
  value["schema"] = kReportSchema;
  value["volatile"] = volatile_pointers();
  value["build"] = report.build;
  value["objective"] = {{"metric", report.metric}, {"direction", report.maximise ? "maximise" : "minimise"}};
  value["objectives"] = objectives_list(report);
  value["constraints"] = Json::array();
  for (const Constraint& constraint : report.constraints) {
    value["constraints"].push_back(constraint_json(constraint));
  }
  value["axes"] = Json::array();
  for (const ReportAxis& axis : report.axes) {
    value["axes"].push_back({{"pointer", axis.pointer}, {"label", axis.label}, {"scale", axis.log ? "log" : "linear"}});
  }
  value["units"] = Json::object();
  for (const std::string& name : metric_names(report)) {
    if (const std::string unit = unit_of(name); !unit.empty()) {
      value["units"][name] = unit;
    }
  }
  value["sweeps"] = Json::array();
  for (const ReportSweep& sweep : report.sweeps) {
    value["sweeps"].push_back(sweep_json(sweep));
  }
  value["totals"] = totals_json(report);
  value["winner"] = winner_json(report);
  value["pareto"] = report.hypervolume ? Json({{"hypervolume", *report.hypervolume}}) : Json();
  value["importance"] = importance_json(report);
  value["statistics"] = statistics_json(report.statistics);
  value["difficulty"] = pairs_json(report.difficulty);
  value["ranking"] = Json::array();
  for (const ReportPoint& point : report.ranking) {
    value["ranking"].push_back(point_json(report, point));
  }
  value["trials"] = Json::array();
  for (std::size_t i = 0; i < report.trials.size(); ++i) {
    value["trials"].push_back(trial_json(report, i));
  }
  value["history"] = Json::array();
  for (const ReportHistory& row : report.history) {
    value["history"].push_back({{"trial", report.trial_name(row.trial)},
                                {"objective", number_to_json(row.objective)},
                                {"best", number_to_json(row.best)}});
  }
  value["notes"] = report.notes;
  return value;
}

Json mask_volatile(Json report) {
  const Json* schema = find_pointer(report, "/schema");
  REGATTA_REQUIRE(schema != nullptr && schema->is_number_integer(), DataError,
                  "report: /schema: missing; not a report.json");
  REGATTA_REQUIRE(*schema >= kOldestReportSchema && *schema <= kReportSchema, DataError,
                  "report: /schema: ", dump_line(*schema), ", this build reads ", kOldestReportSchema, " to ",
                  kReportSchema);
  const Json* list = find_pointer(report, "/volatile");
  REGATTA_REQUIRE(list != nullptr && list->is_array(), DataError, "report: /volatile: missing; not a report.json");
  const Json pointers = *list;
  for (const Json& pointer : pointers) {
    REGATTA_REQUIRE(pointer.is_string(), DataError, "report: /volatile: expected pointers, got ", dump_line(pointer));
    mask(report, pointer.get_ref<const std::string&>());
  }
  return report;
}

}  // namespace regatta
