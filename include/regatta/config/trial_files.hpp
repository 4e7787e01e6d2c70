// The folder of one training: where its files are and what stands in them. The same for `regatta train` and for a
// sweep's trial:
//
//   recipe.json                          resolved, everything that defines the trial
//   a1/metrics.jsonl, a1/pairs.jsonl     lines of attempt 1 (first line: the step at which it started)
//   a1/steps.jsonl                       with /run/log_pairs: the pairs of each step
//   a1/log.txt                           what the trial's process printed
//   a1/checkpoints/000000120.safetensors, manifest.json
//   result.json, best.safetensors
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "regatta/base/text.hpp"
#include "regatta/config/options.hpp"

namespace regatta {

inline constexpr int kResultSchema = 1;

struct TrialFiles {
  std::filesystem::path root;

  std::filesystem::path recipe() const { return root / "recipe.json"; }
  std::filesystem::path result() const { return root / "result.json"; }
  std::filesystem::path best_weights() const { return root / "best.safetensors"; }
  std::filesystem::path attempt(int number) const { return root / str("a", number); }
  std::filesystem::path metrics(int number) const { return attempt(number) / "metrics.jsonl"; }
  std::filesystem::path pairs(int number) const { return attempt(number) / "pairs.jsonl"; }
  std::filesystem::path steps(int number) const { return attempt(number) / "steps.jsonl"; }
  std::filesystem::path log(int number) const { return attempt(number) / "log.txt"; }
  std::filesystem::path checkpoints(int number) const { return attempt(number) / "checkpoints"; }
  std::filesystem::path manifest(int number) const { return checkpoints(number) / "manifest.json"; }

  /// Numbers of the attempts whose folders exist, ascending.
  std::vector<int> attempts() const;
};

struct CheckpointFile {
  std::filesystem::path path;
  int attempt = 0;
  std::int64_t step = 0;
  int rollbacks = 0;  ///< before it was made
};

/// Published checkpoints of all attempts (named in their manifests), newest first: by roll-backs, step, attempt.
/// Quarantined (".bad") and temporary files are not listed.
std::vector<CheckpointFile> list_checkpoints(const TrialFiles& files);

/// Removes the checkpoints of a training that has ended. @param keep_final  all but the newest and the anchor to which
/// a roll-back from there would go (`anchor_steps` of the recipe), so that a longer training continues from them
/// @return files removed and their bytes; `dry_run` only says what it would remove
struct RemovedFiles {
  std::vector<std::filesystem::path> paths;
  std::int64_t bytes = 0;
};
RemovedFiles retire_checkpoints(const TrialFiles& files, bool keep_final, std::int64_t anchor_steps,
                                bool dry_run = false);

/// "000000120.safetensors"
std::string checkpoint_name(std::int64_t step);

/// How a trial stands or ended.
enum class TrialStatus : std::uint8_t { kOk, kPruned, kDiverged, kInfeasible, kFailed, kQuarantined };
const char* status_name(TrialStatus status);
std::optional<TrialStatus> trial_status_from(const std::string& name);

/// How one attempt at a trial ended.
enum class AttemptStatus {
  kOk,
  kPaused,
  kTimeout,
  kPreempted,
  kDiverged,
  kBadInput,
  kFailed,
  kSignal,
  kOom,
  kDevice,
  kHang,
  kLost
};
const char* status_name(AttemptStatus status);
std::optional<AttemptStatus> attempt_status_from(const std::string& name);

/// What made a result: enough to find the same conditions again.
struct Provenance {
  std::string build;
  std::string torch;
  std::string device;
  std::string backend;
  std::string driver;
  std::string host;
  std::string archive;
  std::string data_fingerprint;
  std::string started_utc;
  std::string finished_utc;
  std::string parts{};  ///< of a step, by form

  template <class Self, class V>
  static void visit(Self& s, V&& v) {
    v("build", s.build, "version and git revision");
    v("torch", s.torch, "LibTorch, CUDA and cuDNN versions");
    v("device", s.device, "processor or GPU");
    v("backend", s.backend, "of layers and losses: fast or reference; in older files absent, which is reference");
    v("parts", s.parts, "of a step that ran by reference beside the fast backend: \"fast, all 16 parts\"");
    v("driver", s.driver, "GPU driver");
    v("host", s.host, "host of the last attempt");
    v("archive", s.archive, "path of the data");
    v("data_fingerprint", s.data_fingerprint, "hash of the data");
    v("started_utc", s.started_utc, "first start");
    v("finished_utc", s.finished_utc, "end");
  }
};

/// result.json of a training that ran to its end.
struct TrialResult {
  int schema = kResultSchema;
  std::string status = "ok";
  std::string recipe_hash;
  std::int64_t steps = 0;
  std::int64_t epochs = 0;
  std::int64_t parameters = 0;
  std::string best_metric;
  std::int64_t best_step = 0;
  std::map<std::string, double> best;
  std::map<std::string, double> initial;
  std::map<std::string, double> last;
  double train_s = 0.0;
  double ms_per_step = 0.0;
  std::int64_t peak_device_bytes = 0;
  std::string data = "resident";  ///< or "streamed": volumes took turns on the device
  std::string determinism = "bitwise";
  std::string resume = "none";
  int attempts = 1;
  std::int64_t skipped_steps = 0;  ///< whose loss or gradient was not finite
  int rollbacks = 0;
  double lr_factor = 1.0;  ///< of the learning rate, after the roll-backs
  std::string weights_xxh3;
  std::string init_from;       ///< path of the weights that it started from; empty: drawn from the seed
  std::string init_from_xxh3;  ///< of that file
  Provenance provenance;
};

Json to_json(const TrialResult& result);

/// @throws DataError naming `source` if it is not a result of a schema that this build reads
TrialResult result_from_json(const Json& value, const std::string& source);

/// One line of metrics.jsonl. `skip` tells of a step that changed nothing, because its loss or a gradient was not
/// finite; `rollback` of a training that went back to `step`.
struct MetricLine {
  enum class Kind { kStart, kTrain, kValidation, kSkip, kRollback };
  Kind kind = Kind::kTrain;
  std::int64_t step = 0;
  std::int64_t epoch = 0;
  double lr = 0.0;
  double ms_per_step = 0.0;
  std::map<std::string, double> values;  ///< loss parts ("total", "ncc") or metrics
  std::string note{};                    ///< of a skip: its pairs; of a roll-back: why
};

std::string metric_line_text(const MetricLine& line);

/// Losses and validations of all attempts as one history: what was written beyond the step at which a later attempt
/// started, or to which a training went back, is left out; torn lines are skipped.
std::vector<MetricLine> read_metric_lines(const TrialFiles& files);

}  // namespace regatta
