// Checkpoints: what is in them, the thread that writes them, and the choice of the one to continue from. One
// safetensors file each: weights under the reference names, optimiser state under "optim/", sums for the log under
// "train/", counters as JSON text in the metadata, a checksum for every tensor. No times and no host names: the files
// of two runs of one recipe are equal byte for byte. Times stand in the manifest.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "regatta/config/trial_files.hpp"
#include "regatta/nn/weights.hpp"

namespace regatta {

/// Everything that decides how a training continues, besides the tensors.
struct TrainingCounters {
  std::int64_t step = 0;             ///< updates done
  std::int64_t validated_step = -1;  ///< last step after which a validation was completed
  std::int64_t logged_step = 0;      ///< step of the last line of losses; the sums are since then
  std::int64_t skipped_steps = 0;
  std::int64_t anchor_step = -1;  ///< to whose checkpoint a roll-back goes; -1: there is none
  int rollbacks = 0;
  double lr_factor = 1.0;  ///< after the roll-backs
  std::int64_t best_step = -1;
  double best_value = std::numeric_limits<double>::quiet_NaN();
  std::map<std::string, double> best;
  std::map<std::string, double> initial;
  std::map<std::string, double> last;
};

Json to_json(const TrainingCounters& counters);

/// @throws DataError naming `source`
TrainingCounters counters_from_json(const std::string& text, const std::string& source);

/// What differs between two runs of one recipe; kept in the manifest.
struct RunLedger {
  std::string started_utc;
  double train_s = 0.0;         ///< in the training loop, validation and saving included, over all attempts
  double step_s = 0.0;          ///< in steps alone
  std::string resume = "none";  ///< none, bitwise, numerical
};

/// One checkpoint, all tensors on the host and owned by it alone.
struct Snapshot {
  TrainingCounters counters;
  RunLedger ledger;
  NamedTensors tensors;
  std::map<std::string, std::string> metadata;
};

/// A file to be written by the same thread, in order with the checkpoints: the best weights.
struct BestWeights {
  std::int64_t step = 0;
  NamedTensors tensors;
  std::map<std::string, std::string> metadata;
};

/// How a save ended.
struct SaveEvent {
  bool is_best = false;
  std::int64_t step = 0;
  std::filesystem::path file;
  double save_s = 0.0;
  std::string error;        ///< empty: published
  bool non_finite = false;  ///< refused because a tensor holds a NaN or an infinity
};

/// Writes checkpoints and best weights in a thread of its own. A checkpoint is published (named in the manifest) once
/// it is durable; only then are older ones removed: all but the newest `keep` of this attempt, and, once there are that
/// many, those of earlier attempts. The anchor stays. A save that fails is reported and changes nothing.
class CheckpointWriter {
 public:
  /// @param before_publish  called in the writer's thread before each write: makes the log lines durable
  CheckpointWriter(TrialFiles files, int attempt, int keep, std::function<void()> before_publish);

  /// Waits for what has been submitted.
  ~CheckpointWriter();
  CheckpointWriter(const CheckpointWriter&) = delete;
  CheckpointWriter& operator=(const CheckpointWriter&) = delete;

  /// A checkpoint is waiting or being written: `submit` would have to wait.
  bool busy() const;

  /// Waits only while another checkpoint is still waiting.
  void submit(Snapshot snapshot);

  /// Replaces best weights that still wait.
  void submit(BestWeights best);

  /// What has ended since the last call.
  std::vector<SaveEvent> take_events();

  /// Waits until nothing is left to write.
  void drain();

 private:
  struct Entry {
    std::string file;
    std::int64_t step = 0;
    int rollbacks = 0;
    RunLedger ledger;
  };

  void work();
  SaveEvent save(const Snapshot& snapshot);
  SaveEvent save(const BestWeights& best);
  void publish(const Snapshot& snapshot);
  void remove_old(std::int64_t anchor_step);

  TrialFiles files_;
  int attempt_;
  int keep_;
  std::function<void()> before_publish_;
  std::vector<Entry> published_;             ///< newest first; the writer's thread alone
  std::optional<BestWeights> unsaved_best_;  ///< failed to be written; the writer's thread alone

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::optional<Snapshot> next_;
  std::optional<BestWeights> next_best_;
  std::vector<SaveEvent> events_;
  bool working_ = false;
  bool working_on_checkpoint_ = false;
  bool stop_ = false;
  std::thread thread_;
};

struct LoadedCheckpoint {
  CheckpointFile from;
  SafetensorsFile file;
  TrainingCounters counters;
  RunLedger ledger;
};

/// @throws ConfigError naming the file unless it is of the recipe that continues
void require_recipe(const std::string& theirs, const std::string& ours, const std::filesystem::path& path);

/// The newest checkpoint of all attempts that verifies (checksums, layout, recipe). One that does not is renamed to
/// "<name>.bad" with a line in the log. Nothing if there never was one.
/// @param recipe_hash  that of the recipe to continue with
/// @throws Error with exit code 30 if there were checkpoints and none verifies
std::optional<LoadedCheckpoint> load_newest_checkpoint(const TrialFiles& files, const std::string& recipe_hash);

/// That one. @throws DataError if it is gone or does not verify
LoadedCheckpoint load_checkpoint_file(const TrialFiles& files, const std::filesystem::path& path);

/// The checkpoint to which a roll-back goes: that of `anchor_step` or, if it is missing or damaged, the newest one
/// before it. Nothing if none verifies.
std::optional<LoadedCheckpoint> load_anchor(const TrialFiles& files, const std::string& recipe_hash,
                                            std::int64_t anchor_step);

/// Forgets what earlier attempts reached: their checkpoints, the best weights and the result. Metrics and logs stay.
void remove_checkpoints(const TrialFiles& files);

/// Metadata keys of a checkpoint and of best.safetensors.
inline constexpr const char* kFormatKey = "format";
inline constexpr const char* kCheckpointFormat = "regatta checkpoint 1";
inline constexpr const char* kWeightsFormat = "regatta weights 1";

}  // namespace regatta
