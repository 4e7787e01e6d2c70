// Content of checkpoints and the choice of the one to continue from. The writing thread is in checkpoint_writer.cpp.
#include "regatta/train/checkpoint.hpp"

#include <system_error>

#include <nlohmann/json.hpp>

#include "regatta/base/error.hpp"
#include "regatta/base/files.hpp"
#include "regatta/base/log.hpp"
#include "regatta/config/record.hpp"
#include "regatta/nn/weight_edit.hpp"

namespace regatta {
namespace {

namespace fs = std::filesystem;

const std::string& metadata_of(const SafetensorsFile& file, const std::string& key, const std::string& source) {
  const auto found = file.metadata.find(key);
  REGATTA_REQUIRE(found != file.metadata.end(), DataError, source, ": metadata '", key, "' is missing");
  return found->second;
}

/// The members of a checkpoint's counters, in their order.
template <class Counters, class V>
void visit(Counters& c, V&& v) {
  v("step", c.step);
  v("validated_step", c.validated_step);
  v("logged_step", c.logged_step);
  v("skipped_steps", c.skipped_steps);
  v("anchor_step", c.anchor_step);
  v("rollbacks", c.rollbacks);
  v("lr_factor", c.lr_factor);
  v("best_step", c.best_step);
  v("best_value", c.best_value);
  v("best", c.best);
  v("initial", c.initial);
  v("last", c.last);
}

/// Times are not worth a failure: a manifest that does not know the file gives an empty ledger.
RunLedger ledger_of(const TrialFiles& files, const CheckpointFile& checkpoint) {
  RunLedger ledger;
  const Json manifest = read_json(files.manifest(checkpoint.attempt));
  for (const auto& entry : manifest.value("checkpoints", Json::array())) {
    if (entry.value("file", "") == checkpoint.path.filename().string()) {
      ledger.started_utc = entry.value("started_utc", "");
      ledger.train_s = entry.value("train_s", 0.0);
      ledger.step_s = entry.value("step_s", 0.0);
      ledger.resume = entry.value("resume", "none");
    }
  }
  return ledger;
}

LoadedCheckpoint load_checkpoint(const TrialFiles& files, const CheckpointFile& from) {
  const std::string source = from.path.string();
  LoadedCheckpoint loaded{from, read_safetensors(from.path), {}, ledger_of(files, from)};
  const std::string& format = metadata_of(loaded.file, kFormatKey, source);
  REGATTA_REQUIRE(format == kCheckpointFormat, DataError, source, ": format '", one_line(format, 60),
                  "', this build reads '", kCheckpointFormat, "'");
  if (const std::string renamed = use_current_names(loaded.file); !renamed.empty()) {
    log_info(source, ": ", renamed);
  }
  loaded.counters = counters_from_json(metadata_of(loaded.file, "counters", source), source);
  REGATTA_REQUIRE(loaded.counters.step == from.step, DataError, source, ": is of step ", loaded.counters.step,
                  ", its manifest says ", from.step);
  return loaded;
}

/// True if any attempt ever published a checkpoint.
bool were_published(const TrialFiles& files) {
  for (const int attempt : files.attempts()) {
    std::error_code error;
    if (fs::exists(files.manifest(attempt), error) &&
        !read_json(files.manifest(attempt)).value("checkpoints", Json::array()).empty()) {
      return true;
    }
  }
  return false;
}

/// The first that verifies; those before it are set aside.
std::optional<LoadedCheckpoint> load_first(const TrialFiles& files, const std::vector<CheckpointFile>& candidates,
                                           const std::string& recipe_hash) {
  for (const CheckpointFile& candidate : candidates) {
    try {
      LoadedCheckpoint loaded = load_checkpoint(files, candidate);
      const std::string& hash = metadata_of(loaded.file, "recipe_hash", candidate.path.string());
      require_recipe(hash, recipe_hash, candidate.path);
      return loaded;
    } catch (const DataError& error) {
      fs::path bad = candidate.path;
      bad += ".bad";
      std::error_code ignored;
      fs::rename(candidate.path, bad, ignored);
      log_warning("checkpoint does not verify, kept as ", bad.filename().string(), ": ", error.what());
    }
  }
  return std::nullopt;
}

}  // namespace

void require_recipe(const std::string& theirs, const std::string& ours, const fs::path& path) {
  REGATTA_REQUIRE(theirs == ours, ConfigError, path.string(), ": is of recipe ", theirs, ", this one is ", ours,
                  ": where the options are the same, the archive or the weights to start from have changed since; "
                  "to train from the beginning take another folder, or --fresh");
}

Json to_json(const TrainingCounters& counters) {
  RecordWriter writer;
  visit(counters, writer);
  return writer.value();
}

TrainingCounters counters_from_json(const std::string& text, const std::string& source) {
  try {
    const Json value = parse_json(text, source);
    TrainingCounters counters;
    visit(counters, RecordReader(value));
    return counters;
  } catch (const Json::exception& error) {
    throw DataError(str(source, ": counters: ", one_line(error.what(), 120)));
  } catch (const ConfigError& error) {
    throw DataError(str(source, ": counters: ", one_line(error.what(), 120)));
  }
}

std::optional<LoadedCheckpoint> load_newest_checkpoint(const TrialFiles& files, const std::string& recipe_hash) {
  const std::vector<CheckpointFile> found = list_checkpoints(files);
  if (auto loaded = load_first(files, found, recipe_hash)) {
    return loaded;
  }
  if (!found.empty() || were_published(files)) {
    throw Error(ExitCode::kNoCheckpoint, str(files.root.string(), ": there were checkpoints, none of them verifies; ",
                                             "start from the beginning with --fresh"));
  }
  return std::nullopt;
}

LoadedCheckpoint load_checkpoint_file(const TrialFiles& files, const fs::path& path) {
  for (const CheckpointFile& file : list_checkpoints(files)) {
    if (file.path == path) {
      return load_checkpoint(files, file);
    }
  }
  throw DataError(str(path.string(), ": is gone"));
}

std::optional<LoadedCheckpoint> load_anchor(const TrialFiles& files, const std::string& recipe_hash,
                                            std::int64_t anchor_step) {
  std::vector<CheckpointFile> found = list_checkpoints(files);
  std::erase_if(found, [&](const CheckpointFile& file) { return file.step > anchor_step; });
  return load_first(files, found, recipe_hash);
}

void remove_checkpoints(const TrialFiles& files) {
  std::error_code error;
  for (const int attempt : files.attempts()) {
    fs::remove(files.manifest(attempt), error);  // first: what it names is about to go
    fs::remove_all(files.checkpoints(attempt), error);
    REGATTA_REQUIRE(!error, DataError, files.checkpoints(attempt).string(), ": cannot remove: ", error.message());
  }
  fs::remove(files.result(), error);
  fs::remove(files.best_weights(), error);
}

}  // namespace regatta
