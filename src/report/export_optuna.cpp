// Optuna's journal storage: one JSON object per line, replayed in order by optuna.storages.JournalStorage. Written for
// Optuna 5.0.0 (and read by 3.1 and later); nothing of Optuna ever writes into a sweep.
#include <cmath>

#include "regatta/base/text.hpp"
#include "regatta/report/export.hpp"
#include "report/axis_domain.hpp"
#include "report/rows.hpp"

namespace regatta {
namespace {

enum Operation { kCreateStudy = 0, kStudyUserAttribute = 2, kStudySystemAttribute = 3, kCreateTrial = 4 };
enum StudyDirection { kMinimise = 1, kMaximise = 2 };
enum TrialState { kRunning = 0, kComplete = 1, kPruned = 2, kFail = 3, kWaiting = 4 };

constexpr double kUnknownViolation = 1e300;  ///< of a constraint whose metric has no value

/// An axis as a distribution, and where its values are.
struct Parameter {
  std::string pointer;
  std::optional<AxisRange> range;
  std::vector<Json> choices;
};

/// Choices may be numbers, texts and booleans; objects and lists become their text.
Json choice_of(const Json& value) {
  return value.is_structured() ? Json(dump_line(value)) : value;
}

std::vector<Parameter> parameters_of(const Report& report) {
  std::vector<Parameter> parameters;
  for (const ReportAxis& axis : report.axes) {
    std::vector<Json> values;
    for (const ReportTrial& trial : report.trials) {
      values.push_back(axis_value(trial, axis));
    }
    Parameter parameter{axis.pointer, range_of(report, axis.pointer, values), {}};
    if (!parameter.range) {
      parameter.choices = choices_of(report, axis.pointer, values);
    }
    parameters.push_back(std::move(parameter));
  }
  return parameters;
}

std::string distribution_text(const Parameter& parameter) {
  if (!parameter.range) {
    Json choices = Json::array();
    for (const Json& choice : parameter.choices) {
      choices.push_back(choice_of(choice));
    }
    return dump_line({{"name", "CategoricalDistribution"}, {"attributes", {{"choices", choices}}}});
  }
  const AxisRange& range = *parameter.range;
  if (range.whole) {
    return dump_line({{"name", "IntDistribution"},
                      {"attributes",
                       {{"log", range.log},
                        {"step", 1},
                        {"low", static_cast<std::int64_t>(range.low)},
                        {"high", static_cast<std::int64_t>(range.high)}}}});
  }
  return dump_line({{"name", "FloatDistribution"},
                    {"attributes", {{"step", nullptr}, {"low", range.low}, {"high", range.high}, {"log", range.log}}}});
}

/// A number, or the index of a choice.
Json internal_value(const Parameter& parameter, const Json& value) {
  if (parameter.range) {
    return value.get<double>();
  }
  for (std::size_t i = 0; i < parameter.choices.size(); ++i) {
    if (dump_canonical(parameter.choices[i]) == dump_canonical(value)) {
      return i;
    }
  }
  return 0;
}

std::optional<double> finite_best(const ReportTrial& trial, const std::string& metric) {
  if (!trial.result) {
    return std::nullopt;
  }
  const auto value = trial.result->best.find(metric);
  return value != trial.result->best.end() && std::isfinite(value->second) ? std::optional(value->second)
                                                                           : std::nullopt;
}

/// Values of all objectives; empty where one is missing.
std::vector<double> objective_values(const Report& report, const ReportTrial& trial) {
  std::vector<double> values;
  for (const RankedObjective& objective : report.ranked_by()) {
    const auto value = finite_best(trial, objective.metric);
    if (!value) {
      return {};
    }
    values.push_back(*value);
  }
  return values;
}

TrialState state_of(const ReportTrial& trial, bool has_values) {
  if (trial.status == "ok") {
    return has_values ? kComplete : kFail;
  }
  if (trial.status == "pruned") {
    return kPruned;
  }
  if (trial.has_ended()) {
    return kFail;
  }
  return trial.status == "waiting" ? kWaiting : kRunning;
}

/// "2026-11-24T03:04:05Z" with an offset that Python 3.9 reads too; the earliest time of the report where it is not
/// known.
std::string optuna_time(const std::string& utc, const std::string& fallback) {
  const std::string& text = utc.size() == 20 ? utc : fallback;
  return text.substr(0, 19) + ".000000+00:00";
}

std::string earliest_time(const Report& report) {
  std::string earliest = "2100-01-01T00:00:00Z";
  for (const ReportTrial& trial : report.trials) {
    if (trial.result && trial.result->provenance.started_utc.size() == earliest.size()) {
      earliest = std::min(earliest, trial.result->provenance.started_utc);
    }
  }
  return earliest.starts_with("2100") ? "1970-01-01T00:00:00Z" : earliest;
}

/// At most 0 where a constraint is kept, as Optuna wants it.
Json constraint_values(const Report& report, const ReportTrial& trial) {
  Json values = Json::array();
  for (const Constraint& constraint : report.constraints) {
    const auto value = finite_best(trial, constraint.metric);
    if (constraint.at_most) {
      values.push_back(value ? *value - *constraint.at_most : kUnknownViolation);
    }
    if (constraint.at_least) {
      values.push_back(value ? *constraint.at_least - *value : kUnknownViolation);
    }
  }
  return values;
}

Json user_attributes(const Report& report, std::size_t index) {
  const ReportTrial& trial = report.trials[index];
  Json attributes = {{"trial", report.trial_name(index)},
                     {"point", trial.point},
                     {"replicate", trial.replicate},
                     {"seed", trial.seed},
                     {"status", trial.status},
                     {"recipe_hash", trial.recipe_hash}};
  if (const std::string weights = report.weights_path(index); !weights.empty()) {
    attributes["weights"] = weights;
  }
  if (!trial.message.empty()) {
    attributes["message"] = trial.message;
  }
  for (const std::string& metric : other_metrics(report)) {
    if (const auto value = finite_best(trial, metric)) {
      attributes[metric] = *value;
    }
  }
  return attributes;
}

Json trial_record(const Report& report, std::size_t index, const std::vector<Parameter>& parameters,
                  const std::string& earliest) {
  const ReportTrial& trial = report.trials[index];
  const std::vector<double> values = objective_values(report, trial);
  const TrialState state = state_of(trial, !values.empty());
  Json record = {{"state", static_cast<int>(state)}, {"value", nullptr}, {"values", nullptr}};
  if (state == kComplete && values.size() == 1) {
    record["value"] = values.front();
  } else if (state == kComplete) {
    record["values"] = values;
  } else if (state == kPruned && report.ranked_by().size() == 1 && trial.objective_so_far &&
             std::isfinite(*trial.objective_so_far)) {
    record["value"] = *trial.objective_so_far;
  }
  const Provenance provenance = trial.result ? trial.result->provenance : Provenance{};
  record["datetime_start"] = state == kWaiting ? Json() : Json(optuna_time(provenance.started_utc, earliest));
  if (state != kWaiting && state != kRunning) {
    record["datetime_complete"] = optuna_time(provenance.finished_utc, earliest);
  }
  record["distributions"] = Json::object();
  record["params"] = Json::object();
  for (const Parameter& parameter : parameters) {
    const auto value = trial.axes.find(parameter.pointer);
    if (value != trial.axes.end() && !value->second.is_null()) {
      record["distributions"][parameter.pointer] = distribution_text(parameter);
      record["params"][parameter.pointer] = internal_value(parameter, value->second);
    }
  }
  record["user_attrs"] = user_attributes(report, index);
  record["system_attrs"] = Json::object();
  if (!report.constraints.empty() && trial.result) {
    record["system_attrs"]["constraints"] = constraint_values(report, trial);
  }
  record["intermediate_values"] = Json::object();
  for (std::size_t i = 0; i < trial.validation.step.size(); ++i) {
    if (std::isfinite(trial.validation.value[i])) {
      record["intermediate_values"][str(trial.validation.step[i])] = trial.validation.value[i];
    }
  }
  return record;
}

std::string record_line(Operation operation, const Json& members) {
  Json record = {{"op_code", static_cast<int>(operation)}, {"worker_id", "regatta"}};
  record.update(members);
  return dump_line(record) + "\n";
}

}  // namespace

std::string optuna_journal(const Report& report) {
  const std::vector<Parameter> parameters = parameters_of(report);
  const std::string earliest = earliest_time(report);
  std::string text;
  for (std::size_t s = 0; s < report.sweeps.size(); ++s) {
    Json directions = Json::array();
    Json names = Json::array();
    for (const RankedObjective& objective : report.ranked_by()) {
      directions.push_back(static_cast<int>(objective.maximise() ? kMaximise : kMinimise));
      names.push_back(objective.metric);
    }
    text += record_line(kCreateStudy, {{"study_name", report.sweeps[s].name}, {"directions", directions}});
    text += record_line(kStudySystemAttribute, {{"study_id", s}, {"system_attr", {{"study:metric_names", names}}}});
    for (const auto& [name, value] :
         {std::pair("regatta:directory", report.sweeps[s].directory),
          std::pair("regatta:identity", report.sweeps[s].identity), std::pair("regatta:build", report.build)}) {
      text += record_line(kStudyUserAttribute, {{"study_id", s}, {"user_attr", {{name, value}}}});
    }
    for (std::size_t i = 0; i < report.trials.size(); ++i) {
      if (report.trials[i].sweep == s) {
        Json record = trial_record(report, i, parameters, earliest);
        record["study_id"] = s;
        text += record_line(kCreateTrial, record);
      }
    }
  }
  return text;
}

}  // namespace regatta
