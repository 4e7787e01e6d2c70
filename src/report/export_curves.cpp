// Losses and validations of all trials: one CSV, or TensorBoard's event files.
#include <algorithm>
#include <cmath>

#include "regatta/base/event_file.hpp"
#include "regatta/base/text.hpp"
#include "regatta/report/export.hpp"
#include "regatta/sweep/layout.hpp"
#include "report/format.hpp"
#include "report/read_sweep.hpp"
#include "report/rows.hpp"

namespace regatta {
namespace {

TrialFiles files_of(const Report& report, const ReportTrial& trial) {
  return SweepFiles{report.sweeps[trial.sweep].directory}.trial(trial.number);
}

bool is_train(const MetricLine& line) {
  return line.kind == MetricLine::Kind::kTrain;
}

bool has_values(const MetricLine& line) {
  return is_train(line) || line.kind == MetricLine::Kind::kValidation;
}

/// Values of a line by name: losses and metrics, and of a training line its learning rate and time of a step.
Scalars line_values(const MetricLine& line) {
  Scalars values(line.values.begin(), line.values.end());
  if (is_train(line)) {
    values.emplace_back("lr", line.lr);
    values.emplace_back("ms_per_step", line.ms_per_step);
  }
  return values;
}

/// "loss/total", "validation/dice", "optim/lr", "time/ms_per_step"
std::string tag_of(const MetricLine& line, const std::string& name) {
  if (!is_train(line)) {
    return "validation/" + name;
  }
  return name == "lr" ? "optim/lr" : name == "ms_per_step" ? "time/ms_per_step" : "loss/" + name;
}

/// When each step was, from start, duration and length of the training: metrics.jsonl has no times.
class StepTimes {
 public:
  explicit StepTimes(const ReportTrial& trial) {
    if (trial.result) {
      start_ = utc_seconds(trial.result->provenance.started_utc).value_or(0.0);
      const double seconds = trial.result->train_s;
      per_step_ =
          trial.result->steps > 0 && std::isfinite(seconds) ? seconds / static_cast<double>(trial.result->steps) : 0.0;
    }
  }
  double at(std::int64_t step) const { return start_ + per_step_ * static_cast<double>(step); }

 private:
  double start_ = 0.0;
  double per_step_ = 0.0;
};

}  // namespace

std::string curves_csv(const Report& report) {
  std::vector<std::string> header = trial_columns(report);
  header.insert(header.end(), {"kind", "step", "epoch", "name", "value"});
  std::string text = join(header, ",") + "\n";
  for (const ReportTrial& trial : report.trials) {
    const std::string begin = join(trial_column_values(report, trial), ",");
    for (const MetricLine& line : read_metric_lines(files_of(report, trial))) {
      if (!has_values(line)) {
        continue;
      }
      for (const auto& [name, value] : line_values(line)) {
        text += str(begin, is_train(line) ? ",train," : ",validation,", line.step, ',', line.epoch, ',', csv_text(name),
                    ',', to_text(value), '\n');
      }
    }
  }
  return text;
}

std::vector<EventFile> event_files(const Report& report) {
  std::vector<EventFile> files;
  for (const ReportTrial& trial : report.trials) {
    const StepTimes times(trial);
    std::string content = event_file_start(times.at(0));
    const std::size_t empty = content.size();
    for (const MetricLine& line : read_metric_lines(files_of(report, trial))) {
      if (!has_values(line)) {
        continue;
      }
      Scalars scalars;
      for (const auto& [name, value] : line_values(line)) {
        scalars.emplace_back(tag_of(line, name), value);
      }
      content += scalar_event(times.at(line.step), line.step, scalars);
    }
    if (content.size() > empty) {
      const std::filesystem::path folder = report.sweeps[trial.sweep].name;
      files.push_back(
          {folder / trial_name(trial.number) / "events.out.tfevents.0000000000.regatta", std::move(content)});
    }
  }
  return files;
}

}  // namespace regatta
