// leaderboard.csv: one line per trial in the order of the ranking.
#include "regatta/base/text.hpp"
#include "regatta/report/report.hpp"
#include "report/format.hpp"
#include "report/rows.hpp"

namespace regatta {
namespace {

std::vector<std::string> header_fields(const Report& report, const std::vector<std::string>& metrics) {
  std::vector<std::string> fields = trial_columns(report);
  fields.insert(fields.begin(), "rank");
  fields.push_back(csv_text(report.metric));
  for (const char* name :
       {"point_mean", "point_std", "point_n", "point_low", "point_high", "point_p", "point_tied", "point_front",
        "point_hypervolume", "point_status"}) {  // of the objective, by which the rank is given
    fields.emplace_back(name);
  }
  for (const std::string& name : metrics) {
    fields.push_back(csv_text(name));
  }
  for (const char* name :
       {"best_step", "steps", "train_s", "ms_per_step", "peak_device_bytes", "attempts", "recipe_hash", "weights"}) {
    fields.emplace_back(name);
  }
  return fields;
}

std::vector<std::string> result_fields(const TrialResult& result, const std::vector<std::string>& metrics) {
  std::vector<std::string> fields;
  for (const std::string& name : metrics) {
    fields.push_back(result.best.contains(name) ? to_text(result.best.at(name)) : "");
  }
  fields.push_back(str(result.best_step));
  fields.push_back(str(result.steps));
  fields.push_back(to_text(result.train_s));
  fields.push_back(to_text(result.ms_per_step));
  fields.push_back(str(result.peak_device_bytes));
  return fields;
}

std::vector<std::string> trial_fields(const Report& report, const ReportPoint& point, std::size_t index,
                                      const std::vector<std::string>& metrics) {
  const ReportTrial& trial = report.trials[index];
  std::vector<std::string> fields = trial_column_values(report, trial);
  fields.insert(fields.begin(), point.rank > 0 ? str(point.rank) : "");
  fields.push_back(trial.objective ? to_text(*trial.objective) : "");
  fields.push_back(point.objective.mean ? to_text(*point.objective.mean) : "");
  fields.push_back(point.objective.std ? to_text(*point.objective.std) : "");
  fields.push_back(str(point.objective.n));
  fields.push_back(point.interval ? to_text(point.interval->low) : "");
  fields.push_back(point.interval ? to_text(point.interval->high) : "");
  fields.push_back(point.against_first ? to_text(point.against_first->p_holm) : "");
  fields.push_back(point.against_first ? str(point.against_first->tied) : "");
  fields.push_back(point.front > 0 ? str(point.front) : "");
  fields.push_back(point.front > 0 ? to_text(point.hypervolume) : "");
  fields.emplace_back(point_status(point));
  const std::vector<std::string> result =
      trial.result ? result_fields(*trial.result, metrics) : std::vector<std::string>(metrics.size() + 5);
  fields.insert(fields.end(), result.begin(), result.end());
  fields.push_back(str(trial.attempts.size()));
  fields.push_back(trial.recipe_hash);
  fields.push_back(csv_text(report.weights_path(index)));
  return fields;
}

}  // namespace

std::string leaderboard_csv(const Report& report) {
  const std::vector<std::string> metrics = other_metrics(report);
  std::string text = join(header_fields(report, metrics), ",") + "\n";
  for (const ReportPoint& point : report.ranking) {
    for (const std::size_t index : point.trials) {
      text += join(trial_fields(report, point, index, metrics), ",") + "\n";
    }
  }
  return text;
}

}  // namespace regatta
