// One training from its start or newest checkpoint to its end, a request to leave or a failure. `regatta train` and a
// sweep's worker both run this class and differ in their observers alone.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include <c10/core/Device.h>

#include "regatta/config/trial_files.hpp"
#include "regatta/train/resolve.hpp"

namespace regatta {

class Comm;

/// Where a training stands.
struct TrainProgress {
  std::int64_t step = 0;
  std::int64_t steps = 0;
  std::int64_t epoch = 0;
  std::int64_t epochs = 0;
  std::map<std::string, double> losses;  ///< "total" and each part, means since the last line of metrics.jsonl
  double lr = 0.0;
  double ms_per_step = 0.0;
  double eta_s = 0.0;
  std::int64_t validated = 0;    ///< while validating: pairs done ...
  std::int64_t to_validate = 0;  ///< ... of this number; 0 while training
};

struct ValidationNote {
  std::int64_t step = 0;
  std::int64_t epoch = 0;
  std::map<std::string, double> metrics;
  bool is_best = false;
};

struct CheckpointNote {
  std::int64_t step = 0;
  std::string file;
  double save_s = 0.0;
};

struct StartNote {
  std::int64_t step = 0;      ///< 0: from the beginning
  std::string checkpoint;     ///< what it continues from; empty: from the beginning
  std::string resume;         ///< none, bitwise or numerical
  std::string resume_reason;  ///< what differs, if numerical
  std::int64_t volumes = 0;
  std::int64_t data_bytes = 0;  ///< on the device
  bool streamed = false;        ///< volumes take turns there
  int threads = 1;
  std::string backend;  ///< fast or reference
  std::string parts;    ///< that it runs and those by reference: "fast, all 16 parts", "reference"; see forms_text
  int members = 1;      ///< processes that train together

  /// "400 volumes, 5.2 GiB"
  std::string data_text() const;
};

/// For the line between a member of a group and the process that started it.
Json to_json(const StartNote& note);

/// @throws ConfigError or Json::exception naming the member that is missing or of another type
StartNote start_note_from(const Json& json);

/// All calls come from the thread that runs the trainer.
class TrainObserver {
 public:
  virtual ~TrainObserver() = default;
  virtual void on_start(const StartNote&) {}
  virtual void on_progress(const TrainProgress&) {}
  virtual void on_validation(const ValidationNote&) {}
  virtual void on_checkpoint(const CheckpointNote&) {}

  /// Asked after each step and each validated pair. True: save and end with "paused".
  virtual bool should_leave() { return false; }
};

struct TrainSetup {
  ResolvedRecipe resolved;
  TrialFiles files;
  int attempt = 1;
  c10::Device device = c10::Device(c10::kCPU);
  int threads = 0;  ///< if the recipe does not say; 0: those of the checkpoint, else all cores that we may use
  double give_up_s = 7200.0;  ///< ends with an error once every save has failed for so long
  double deadline_s = 600.0;  ///< of a group: until its first step is done
  double patience_s = 60.0;   ///< of a group: then a member may be silent for this time, or for 20 steps
  Comm* comm = nullptr;       ///< of the group that trains together, which outlives the trainer; null: none
};

/// How it ended: kOk, kPaused or kDiverged; everything else is an error that is thrown.
struct TrainOutcome {
  AttemptStatus status = AttemptStatus::kOk;
  std::int64_t step = 0;
  std::string message;
  std::optional<TrialResult> result;  ///< for kOk
};

class Trainer {
 public:
  Trainer(TrainSetup setup, TrainObserver& observer);
  ~Trainer();
  Trainer(const Trainer&) = delete;
  Trainer& operator=(const Trainer&) = delete;

  /// Loads the data, continues from the newest checkpoint and trains. Call once. In a group all members do so; member 0
  /// writes the files, and the outcomes of the others carry no result.
  /// @throws DataError, DeviceError; Error with exit code 12 (memory) or 30 (no checkpoint verifies)
  TrainOutcome run(const Archive& archive);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// The result of a training that has already reached this recipe's length; nothing if there is work left.
/// @throws ConfigError if the result is of another experiment
std::optional<TrialResult> finished_result(const TrialFiles& files, const ResolvedRecipe& resolved);

/// Cores that this process may run on.
int usable_cores();

}  // namespace regatta
