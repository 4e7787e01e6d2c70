// A sweep's directory made by code: two axes (learning rate on a log axis, weight from a list), made-up training
// curves. Also the in-memory report that the golden files are of.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "regatta/report/report.hpp"
#include "regatta/sweep/claims.hpp"
#include "regatta/sweep/definition.hpp"
#include "regatta/sweep/sweep.hpp"

namespace regatta::test {

struct SampleOptions {
  std::string name = "brains";
  std::int64_t trials = 6;
  int replicates = 1;
  std::int64_t seed = 0;
  std::string metric = "dice";
  std::string weight_axis = "/losses/grad/weight";  ///< empty: the learning rate is the only axis
  Json list = {0.5, 1.0, 2.0};                      ///< of that axis
  Json named = Json::object();                      ///< of that axis, instead of the list
  std::string val_split = "val";
  std::string fingerprint = "57a1c3e2b4d60f98";
  std::int64_t steps = 150;  ///< of a training, as planned
};

/// Time that the test sets.
class SetClock : public Clock {
 public:
  double monotonic_s() const override { return seconds; }
  std::string utc_text() const override;

  double seconds = 0.0;  ///< since 2026-11-24T03:00:00Z, less than a day
};

class SampleSweep {
 public:
  explicit SampleSweep(std::filesystem::path root, const SampleOptions& options = {});

  const std::filesystem::path& root() const { return files_.root; }
  const SweepFiles& files() const { return files_; }
  const SweepDefinition& definition() const { return definition_; }
  JournalWriter& journal() { return *journal_; }
  SetClock& clock() { return clock_; }

  /// recipe.json, the journal's start, and metric lines up to `step` (in an attempt's own file).
  void start(std::int64_t trial, int attempt = 1, std::int64_t resume_step = 0);
  void train(std::int64_t trial, int attempt, std::int64_t from_step, std::int64_t to_step);

  /// The journal's end of an attempt that did not come to its end.
  void fail(std::int64_t trial, int attempt, AttemptStatus status, std::int64_t step, const std::string& message);

  /// result.json, best.safetensors, the journal's end.
  /// @param change  makes another result of `result_of`
  void finish(std::int64_t trial, int attempt = 1, const std::function<void(TrialResult&)>& change = {});

  /// start, train and finish in one.
  void run(std::int64_t trial, const std::function<void(TrialResult&)>& change = {});

  /// The made-up metric of a trial after a step.
  double dice(std::int64_t trial, std::int64_t step) const;
  TrialResult result_of(std::int64_t trial, int attempt) const;

 private:
  void commit();

  SetClock clock_;
  SweepFiles files_;
  SweepDefinition definition_;
  std::vector<TrialPlan> plans_;
  Owner owner_;
  std::unique_ptr<JournalWriter> journal_;
  std::map<std::int64_t, std::string> started_;
  bool hold_ = false;  ///< one commit for a whole run
};

/// Ends with trial 4 diverged and trial 5 running at step 60; trial 3 was killed once.
void run_sample(SampleSweep& sweep);

/// Three points, two seeds each: one best, one with a failed seed and NaN, one that waits. All names are hostile.
Report hostile_report();

/// The file's text with REGATTA_REGOLD unset; otherwise writes `text` there and returns it.
std::string golden(const std::string& name, const std::string& text);

}  // namespace regatta::test
