#include "regatta/config/trial_files.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <set>
#include <tuple>
#include <utility>

#include "regatta/base/error.hpp"
#include "regatta/base/files.hpp"
#include "regatta/config/record.hpp"

namespace regatta {
namespace {

namespace fs = std::filesystem;

constexpr std::array<std::pair<TrialStatus, const char*>, 6> kTrialNames = {{
    {TrialStatus::kOk, "ok"},
    {TrialStatus::kPruned, "pruned"},
    {TrialStatus::kDiverged, "diverged"},
    {TrialStatus::kInfeasible, "infeasible"},
    {TrialStatus::kFailed, "failed"},
    {TrialStatus::kQuarantined, "quarantined"},
}};

constexpr std::array<std::pair<AttemptStatus, const char*>, 12> kAttemptNames = {{
    {AttemptStatus::kOk, "ok"},
    {AttemptStatus::kPaused, "paused"},
    {AttemptStatus::kTimeout, "timeout"},
    {AttemptStatus::kPreempted, "preempted"},
    {AttemptStatus::kDiverged, "diverged"},
    {AttemptStatus::kBadInput, "bad input"},
    {AttemptStatus::kFailed, "failed"},
    {AttemptStatus::kSignal, "signal"},
    {AttemptStatus::kOom, "oom"},
    {AttemptStatus::kDevice, "device"},
    {AttemptStatus::kHang, "hang"},
    {AttemptStatus::kLost, "lost"},
}};

constexpr std::array<std::pair<MetricLine::Kind, const char*>, 5> kKindNames = {{
    {MetricLine::Kind::kStart, "start"},
    {MetricLine::Kind::kTrain, "train"},
    {MetricLine::Kind::kValidation, "validation"},
    {MetricLine::Kind::kSkip, "skip"},
    {MetricLine::Kind::kRollback, "rollback"},
}};

template <class Table, class Value>
const char* name_in(const Table& table, Value value) {
  for (const auto& [entry, name] : table) {
    if (entry == value) {
      return name;
    }
  }
  throw BugError(str("status ", value, " has no name"));
}

template <class Value, class Table>
std::optional<Value> value_in(const Table& table, const std::string& name) {
  for (const auto& [entry, entry_name] : table) {
    if (name == entry_name) {
      return entry;
    }
  }
  return std::nullopt;
}

/// The members of result.json, in their order.
template <class Result, class V>
void visit(Result& r, V&& v) {
  v("schema", r.schema);
  v("status", r.status);
  v("recipe_hash", r.recipe_hash);
  v("steps", r.steps);
  v("epochs", r.epochs);
  v("parameters", r.parameters);
  v("best_metric", r.best_metric);
  v("best_step", r.best_step);
  v("best", r.best);
  v("initial", r.initial);
  v("last", r.last);
  v("train_s", r.train_s);
  v("ms_per_step", r.ms_per_step);
  v("peak_device_bytes", r.peak_device_bytes);
  v("data", r.data, Presence::kOptional);
  v("determinism", r.determinism);
  v("resume", r.resume);
  v("attempts", r.attempts);
  v("skipped_steps", r.skipped_steps, Presence::kOptional);
  v("rollbacks", r.rollbacks, Presence::kOptional);
  v("lr_factor", r.lr_factor, Presence::kOptional);
  v("weights_xxh3", r.weights_xxh3);
  v("init_from", r.init_from, Presence::kWhenSet);
  v("init_from_xxh3", r.init_from_xxh3, Presence::kWhenSet);
  v("provenance", r.provenance);
}

/// A line of metrics.jsonl; nothing if it is torn.
std::optional<MetricLine> parse_metric_line(const std::string& text, const std::string& source) {
  try {
    const Json value = parse_json(text, source);
    const auto kind = value_in<MetricLine::Kind>(kKindNames, value.value("kind", ""));
    if (!kind) {
      return std::nullopt;
    }
    MetricLine line;
    line.kind = *kind;
    line.step = value.value("step", std::int64_t{0});
    line.epoch = value.value("epoch", std::int64_t{0});
    line.lr = value.value("lr", 0.0);
    line.ms_per_step = value.value("ms_per_step", 0.0);
    line.note = value.value("note", "");
    if (const auto values = value.find("values"); values != value.end()) {
      line.values = numbers_from_json(*values, "/values");
    }
    return line;
  } catch (const ConfigError&) {
    return std::nullopt;
  } catch (const Json::exception&) {
    return std::nullopt;
  }
}

}  // namespace

std::vector<int> TrialFiles::attempts() const {
  std::vector<int> numbers;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(root, error)) {
    const std::string name = entry.path().filename().string();
    int number = 0;
    const auto [end, parse_error] = std::from_chars(name.data() + 1, name.data() + name.size(), number);
    if (name.size() > 1 && name[0] == 'a' && parse_error == std::errc() && end == name.data() + name.size() &&
        number > 0) {
      numbers.push_back(number);
    }
  }
  std::sort(numbers.begin(), numbers.end());
  return numbers;
}

std::string checkpoint_name(std::int64_t step) {
  std::string digits = std::to_string(step);
  digits.insert(0, digits.size() < 9 ? 9 - digits.size() : 0, '0');
  return digits + ".safetensors";
}

std::vector<CheckpointFile> list_checkpoints(const TrialFiles& files) {
  std::vector<CheckpointFile> found;
  for (const int number : files.attempts()) {
    std::error_code error;
    if (!fs::exists(files.manifest(number), error)) {
      continue;
    }
    const Json manifest = read_json(files.manifest(number));
    for (const auto& entry : manifest.value("checkpoints", Json::array())) {
      const fs::path path = files.checkpoints(number) / entry.value("file", "");
      if (fs::is_regular_file(path, error)) {
        found.push_back({path, number, entry.value("step", std::int64_t{0}), entry.value("rollbacks", 0)});
      }
    }
  }
  std::sort(found.begin(), found.end(), [](const CheckpointFile& a, const CheckpointFile& b) {
    return std::tuple(a.rollbacks, a.step, a.attempt) > std::tuple(b.rollbacks, b.step, b.attempt);
  });
  return found;
}

RemovedFiles retire_checkpoints(const TrialFiles& files, bool keep_final, std::int64_t anchor_steps, bool dry_run) {
  std::set<fs::path> kept;
  if (keep_final) {
    bool has_anchor = false;
    for (const CheckpointFile& file : list_checkpoints(files)) {  // newest first
      const bool is_anchor = !has_anchor && anchor_steps > 0 && file.step % anchor_steps == 0;
      if (kept.empty() || is_anchor) {
        kept.insert(file.path);
        kept.insert(files.manifest(file.attempt));
        has_anchor = has_anchor || is_anchor;
      }
    }
  }
  RemovedFiles removed;
  std::error_code error;
  for (const int attempt : files.attempts()) {
    for (const auto& entry : fs::recursive_directory_iterator(files.checkpoints(attempt), error)) {
      if (entry.is_regular_file(error) && !kept.contains(entry.path())) {
        const auto bytes = entry.file_size(error);
        removed.bytes += error ? 0 : static_cast<std::int64_t>(bytes);
        removed.paths.push_back(entry.path());
      }
    }
    const bool is_kept = kept.contains(files.manifest(attempt));
    if (!dry_run && !is_kept) {
      fs::remove_all(files.checkpoints(attempt), error);
    }
  }
  for (const fs::path& path : removed.paths) {
    if (!dry_run) {
      fs::remove(path, error);
    }
  }
  return removed;
}

const char* status_name(TrialStatus status) {
  return name_in(kTrialNames, status);
}

std::optional<TrialStatus> trial_status_from(const std::string& name) {
  return value_in<TrialStatus>(kTrialNames, name);
}

const char* status_name(AttemptStatus status) {
  return name_in(kAttemptNames, status);
}

std::optional<AttemptStatus> attempt_status_from(const std::string& name) {
  return value_in<AttemptStatus>(kAttemptNames, name);
}

Json to_json(const TrialResult& result) {
  RecordWriter writer;
  visit(result, writer);
  return writer.value();
}

TrialResult result_from_json(const Json& value, const std::string& source) {
  try {
    require_object(value, "");
    TrialResult result;
    result.schema = value.value("schema", 0);
    REGATTA_REQUIRE(result.schema == kResultSchema, ConfigError, "/schema: ", result.schema, ", this build reads ",
                    kResultSchema);
    visit(result, RecordReader(value));
    return result;
  } catch (const Json::exception& error) {
    throw DataError(str(source, ": not a trial's result: ", one_line(error.what())));
  } catch (const ConfigError& error) {
    throw DataError(str(source, ": not a trial's result: ", error.what()));
  }
}

std::string metric_line_text(const MetricLine& line) {
  Json value;
  value["kind"] = name_in(kKindNames, line.kind);
  value["step"] = line.step;
  value["epoch"] = line.epoch;
  if (line.kind == MetricLine::Kind::kTrain) {
    value["lr"] = line.lr;
    value["ms_per_step"] = number_to_json(line.ms_per_step);
  }
  if (line.kind == MetricLine::Kind::kSkip || line.kind == MetricLine::Kind::kRollback) {
    value["note"] = line.note;
  } else if (line.kind != MetricLine::Kind::kStart) {
    value["values"] = numbers_to_json(line.values);
  }
  return dump_line(value) + "\n";
}

std::vector<MetricLine> read_metric_lines(const TrialFiles& files) {
  std::vector<MetricLine> history;
  for (const int number : files.attempts()) {
    std::error_code error;
    const fs::path path = files.metrics(number);
    if (!fs::exists(path, error)) {
      continue;
    }
    for (const std::string& text : split(read_file(path), '\n')) {
      auto line = parse_metric_line(text, path.string());
      if (!line) {
        continue;
      }
      if (line->kind == MetricLine::Kind::kSkip) {
        continue;
      }
      if (line->kind == MetricLine::Kind::kStart || line->kind == MetricLine::Kind::kRollback) {
        // An attempt that starts at step 0 has nothing behind it, not even the validation before the first step.
        std::erase_if(history, [&](const MetricLine& old) { return old.step > line->step || line->step == 0; });
      } else {
        if (line->kind == MetricLine::Kind::kValidation) {
          // A resume at a step that was saved without its validation repeats that: the newest one counts.
          std::erase_if(history,
                        [&](const MetricLine& old) { return old.kind == line->kind && old.step == line->step; });
        }
        history.push_back(std::move(*line));
      }
    }
  }
  return history;
}

}  // namespace regatta
