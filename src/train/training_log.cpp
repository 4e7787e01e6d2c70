#include "train/training_log.hpp"

#include <nlohmann/json.hpp>

#include "regatta/base/files.hpp"

namespace regatta {
namespace {

/// The attempt's file, in a folder that is there.
std::filesystem::path in_folder(const TrialFiles& files, int attempt, const std::filesystem::path& file) {
  make_directories(files.attempt(attempt));
  return file;
}

}  // namespace

TrainingLog::TrainingLog(const TrialFiles& files, int attempt, bool with_steps)
    : metrics_(in_folder(files, attempt, files.metrics(attempt))), pairs_(files.pairs(attempt)) {
  if (with_steps) {
    steps_ = std::make_unique<LineLog>(files.steps(attempt));
  }
}

void TrainingLog::write(const MetricLine& line) {
  metrics_.append(metric_line_text(line));
}

void TrainingLog::write_everywhere(const MetricLine& line) {
  const std::string text = metric_line_text(line);
  metrics_.append(text);
  pairs_.append(text);
  if (steps_) {
    steps_->append(text);
  }
}

void TrainingLog::write_step(std::int64_t step, const Dataset& data, const std::vector<ArchivePair>& pairs,
                             const std::vector<Flips>& flips) {
  if (!steps_) {
    return;
  }
  Json line;
  line["kind"] = "step";
  line["step"] = step;
  line["pairs"] = Json::array();
  for (std::size_t i = 0; i < pairs.size(); ++i) {
    Json pair = {{"moving", data.subject_id(pairs[i].moving)}, {"fixed", data.subject_id(pairs[i].fixed)}};
    if (!flips.empty()) {
      pair["flips"] = flips[i];
    }
    line["pairs"].push_back(pair);
  }
  steps_->append(dump_line(line) + "\n");
}

void TrainingLog::write_validation(std::int64_t step, std::int64_t epoch, const Dataset& data,
                                   const Evaluation& evaluation) {
  std::string lines;
  for (const PairMeasures& measures : evaluation.pairs) {
    Json line;
    line["kind"] = "pair";
    line["step"] = step;
    line["moving"] = data.subject_id(measures.pair.moving);
    line["fixed"] = data.subject_id(measures.pair.fixed);
    line["values"] = numbers_to_json(measures.values);
    lines += dump_line(line) + "\n";
  }
  pairs_.append(lines);
  write({MetricLine::Kind::kValidation, step, epoch, 0.0, 0.0, evaluation.means});
}

void TrainingLog::sync() {
  metrics_.sync();
  pairs_.sync();
  if (steps_) {
    steps_->sync();
  }
}

}  // namespace regatta
