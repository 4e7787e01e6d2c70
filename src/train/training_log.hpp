// The lines that an attempt writes: metrics.jsonl, pairs.jsonl and, if asked for, steps.jsonl.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "regatta/config/trial_files.hpp"
#include "regatta/train/dataset.hpp"
#include "regatta/train/evaluator.hpp"
#include "train/line_log.hpp"

namespace regatta {

class TrainingLog {
 public:
  /// Makes the attempt's folder. @param with_steps  whether the pairs of each step are logged
  TrainingLog(const TrialFiles& files, int attempt, bool with_steps);

  /// A line of metrics.jsonl.
  void write(const MetricLine& line);

  /// A line that all files get: where the steps after it begin.
  void write_everywhere(const MetricLine& line);

  /// The pairs of a step and how they are mirrored, where that is logged.
  void write_step(std::int64_t step, const Dataset& data, const std::vector<ArchivePair>& pairs,
                  const std::vector<Flips>& flips);

  /// The measures of each validated pair, and the line of their means.
  void write_validation(std::int64_t step, std::int64_t epoch, const Dataset& data, const Evaluation& evaluation);

  /// Makes all of it durable; may be called from another thread. @throws DataError if lines still wait
  void sync();

 private:
  LineLog metrics_;
  LineLog pairs_;
  std::unique_ptr<LineLog> steps_;  ///< null: not logged
};

}  // namespace regatta
