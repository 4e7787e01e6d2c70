// The thread that writes checkpoints and best weights while the training continues.
#include <algorithm>
#include <cstring>
#include <system_error>
#include <utility>

#include <nlohmann/json.hpp>

#include "regatta/base/clock.hpp"
#include "regatta/base/error.hpp"
#include "regatta/base/files.hpp"
#include "regatta/base/log.hpp"
#include "regatta/train/checkpoint.hpp"

namespace regatta {
namespace {

namespace fs = std::filesystem;

/// All exponent bits set: an infinity or a NaN. A plain loop, so that the thread stays out of LibTorch's thread pool.
bool is_finite(const at::Tensor& tensor) {
  if (tensor.scalar_type() != at::kFloat || tensor.numel() == 0) {
    return true;
  }
  constexpr std::uint32_t kExponent = 0x7f800000;
  const float* values = tensor.const_data_ptr<float>();
  const std::int64_t count = tensor.numel();
  std::uint32_t found = 0;
  for (std::int64_t i = 0; i < count; ++i) {
    std::uint32_t bits = 0;
    std::memcpy(&bits, values + i, sizeof bits);
    found |= static_cast<std::uint32_t>((bits & kExponent) == kExponent);
  }
  return found == 0;
}

std::string first_non_finite(const NamedTensors& tensors) {
  for (const auto& [name, tensor] : tensors) {
    if (!is_finite(tensor)) {
      return name;
    }
  }
  return "";
}

void remove_quietly(const fs::path& path) {
  std::error_code error;
  fs::remove(path, error);
  if (error) {
    log_warning(path.string(), ": cannot remove: ", error.message());
  }
}

/// Checkpoints but for one, and leftovers of killed saves, in a folder whose attempt is over.
void clear_checkpoint_folder(const fs::path& folder, const std::string& but_for) {
  std::error_code error;
  std::vector<fs::path> doomed;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    const std::string name = entry.path().filename().string();
    if ((entry.path().extension() == ".safetensors" && name != but_for) || name.find(".tmp.") != std::string::npos) {
      doomed.push_back(entry.path());
    }
  }
  for (const fs::path& path : doomed) {
    remove_quietly(path);
  }
}

}  // namespace

CheckpointWriter::CheckpointWriter(TrialFiles files, int attempt, int keep, std::function<void()> before_publish)
    : files_(std::move(files)), attempt_(attempt), keep_(keep), before_publish_(std::move(before_publish)) {
  make_directories(files_.checkpoints(attempt_));
  thread_ = std::thread([this] { work(); });
}

CheckpointWriter::~CheckpointWriter() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

bool CheckpointWriter::busy() const {
  const std::lock_guard lock(mutex_);
  return next_.has_value() || working_on_checkpoint_;
}

void CheckpointWriter::submit(Snapshot snapshot) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return !next_.has_value(); });
  next_ = std::move(snapshot);
  changed_.notify_all();
}

void CheckpointWriter::submit(BestWeights best) {
  const std::lock_guard lock(mutex_);
  next_best_ = std::move(best);  // newer ones replace older ones that still wait
  changed_.notify_all();
}

std::vector<SaveEvent> CheckpointWriter::take_events() {
  const std::lock_guard lock(mutex_);
  return std::exchange(events_, {});
}

void CheckpointWriter::drain() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return !next_ && !next_best_ && !working_; });
}

void CheckpointWriter::work() {
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [this] { return stop_ || next_ || next_best_; });
    if (!next_ && !next_best_) {
      return;
    }
    // Best weights go first: a checkpoint must never name best weights that are not there.
    std::optional<BestWeights> best = std::exchange(next_best_, std::nullopt);
    std::optional<Snapshot> snapshot = best ? std::nullopt : std::exchange(next_, std::nullopt);
    working_ = true;
    working_on_checkpoint_ = snapshot.has_value();
    lock.unlock();
    changed_.notify_all();
    SaveEvent event;
    if (best) {
      event = save(*best);
      unsaved_best_ = event.error.empty() || event.non_finite ? std::nullopt : std::move(best);
    } else {
      event = save(*snapshot);
    }
    snapshot.reset();
    lock.lock();
    events_.push_back(std::move(event));
    working_ = false;
    working_on_checkpoint_ = false;
    changed_.notify_all();
  }
}

SaveEvent CheckpointWriter::save(const BestWeights& best) {
  SaveEvent event;
  event.is_best = true;
  event.step = best.step;
  event.file = files_.best_weights();
  const double start = system_clock().monotonic_s();
  if (const std::string name = first_non_finite(best.tensors); !name.empty()) {
    event.non_finite = true;
    event.error = str("tensor '", name, "' is not finite");
    return event;
  }
  try {
    write_safetensors(event.file, best.tensors, best.metadata);
  } catch (const std::exception& error) {
    event.error = error.what();
  }
  event.save_s = system_clock().monotonic_s() - start;
  return event;
}

SaveEvent CheckpointWriter::save(const Snapshot& snapshot) {
  SaveEvent event;
  event.step = snapshot.counters.step;
  event.file = files_.checkpoints(attempt_) / checkpoint_name(event.step);
  const double start = system_clock().monotonic_s();
  if (const std::string name = first_non_finite(snapshot.tensors); !name.empty()) {
    event.non_finite = true;
    event.error = str("tensor '", name, "' is not finite");
    return event;
  }
  try {
    if (unsaved_best_) {
      const SaveEvent retried = save(*unsaved_best_);
      REGATTA_REQUIRE(retried.error.empty(), DataError, retried.error);
      unsaved_best_.reset();
    }
    before_publish_();
    write_safetensors(event.file, snapshot.tensors, snapshot.metadata);
    publish(snapshot);
  } catch (const std::exception& error) {
    event.error = error.what();
  }
  event.save_s = system_clock().monotonic_s() - start;
  return event;
}

void CheckpointWriter::publish(const Snapshot& snapshot) {
  std::vector<Entry> entries = published_;
  std::erase_if(entries, [&](const Entry& entry) { return entry.step == snapshot.counters.step; });
  entries.insert(entries.begin(), {checkpoint_name(snapshot.counters.step), snapshot.counters.step,
                                   snapshot.counters.rollbacks, snapshot.ledger});
  int place = 0;
  std::erase_if(entries,
                [&](const Entry& entry) { return place++ >= keep_ && entry.step != snapshot.counters.anchor_step; });
  Json manifest;
  manifest["schema"] = 1;
  manifest["checkpoints"] = Json::array();
  for (const Entry& entry : entries) {
    Json item;
    item["file"] = entry.file;
    item["step"] = entry.step;
    item["rollbacks"] = entry.rollbacks;
    item["started_utc"] = entry.ledger.started_utc;
    item["train_s"] = entry.ledger.train_s;
    item["step_s"] = entry.ledger.step_s;
    item["resume"] = entry.ledger.resume;
    manifest["checkpoints"].push_back(item);
  }
  write_file_atomically(files_.manifest(attempt_), dump_pretty(manifest));
  std::swap(published_, entries);
  for (const Entry& old : entries) {
    const bool kept =
        std::any_of(published_.begin(), published_.end(), [&](const Entry& entry) { return entry.file == old.file; });
    if (!kept) {
      remove_quietly(files_.checkpoints(attempt_) / old.file);
    }
  }
  remove_old(snapshot.counters.anchor_step);
}

void CheckpointWriter::remove_old(std::int64_t anchor_step) {
  if (published_.size() < static_cast<std::size_t>(keep_)) {
    return;
  }
  const std::string anchor = checkpoint_name(anchor_step);
  const bool anchor_is_elsewhere =
      anchor_step >= 0 &&
      std::none_of(published_.begin(), published_.end(), [&](const Entry& entry) { return entry.step == anchor_step; });
  for (const int attempt : files_.attempts()) {
    std::error_code error;
    const fs::path folder = files_.checkpoints(attempt);
    if (attempt >= attempt_ || !fs::exists(folder, error)) {
      continue;
    }
    if (anchor_is_elsewhere && fs::exists(folder / anchor, error)) {
      clear_checkpoint_folder(folder, anchor);  // its manifest may continue naming what is gone
    } else {
      remove_quietly(files_.manifest(attempt));
      clear_checkpoint_folder(folder, "");
    }
  }
}

}  // namespace regatta
