#include "report/read_sweep.hpp"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cmath>
#include <fstream>
#include <set>
#include <utility>

#include "regatta/base/error.hpp"
#include "regatta/base/files.hpp"
#include "regatta/report/trial_log.hpp"
#include "regatta/sweep/claims.hpp"
#include "regatta/sweep/next_command.hpp"
#include "report/pair_values.hpp"
#include "report/rows.hpp"

namespace regatta {
namespace {

namespace fs = std::filesystem;
constexpr std::size_t kLogTail = 20;
constexpr std::int64_t kMostTrialFolders = 500;  ///< a larger sweep is read from its journal alone, without its folders
constexpr std::size_t kCurvesOfLarge = 20;       ///< but for the curves of its best trials

std::optional<std::int64_t> whole_number(const Json& record, const char* name) {
  const auto member = record.find(name);
  if (member == record.end() || !member->is_number_integer()) {
    return std::nullopt;
  }
  return member->get<std::int64_t>();
}

std::string text_member(const Json& record, const char* name) {
  const auto member = record.find(name);
  return member != record.end() && member->is_string() ? member->get<std::string>() : std::string();
}

/// An attempt, and the shard that started it: only that one's records count.
struct AttemptRow {
  std::string shard;
  ReportAttempt attempt;
};

/// The newest time in each shard: how far a running attempt has come by its journal.
std::map<std::string, std::string> newest_times(const std::vector<Json>& records) {
  std::map<std::string, std::string> newest;
  for (const Json& record : records) {
    std::string& time = newest[text_member(record, "shard")];
    time = std::max(time, text_member(record, "time"));
  }
  return newest;
}

using AttemptRows = std::map<std::int64_t, std::map<std::int64_t, AttemptRow>>;

/// Attempts by trial and number. Records come ordered by shard name, as the replay wants the first by name to count.
AttemptRows attempts_in(const std::vector<Json>& records) {
  AttemptRows rows;
  for (const Json& record : records) {
    const std::string type = text_member(record, "type");
    const auto trial = whole_number(record, "trial");
    const auto number = whole_number(record, "attempt");
    if (!trial || !number || type == "retry") {
      continue;
    }
    const std::string shard = text_member(record, "shard");
    auto& of_trial = rows[*trial];
    if (type == "start") {
      AttemptRow row;
      row.shard = shard;
      row.attempt.attempt = static_cast<int>(*number);
      row.attempt.status = "running";
      row.attempt.step = whole_number(record, "resume_step").value_or(0);
      row.attempt.host = text_member(record, "host");
      row.attempt.rank = static_cast<int>(whole_number(record, "rank").value_or(0));
      row.attempt.started_utc = text_member(record, "time");
      row.attempt.ended_utc = row.attempt.started_utc;
      of_trial.try_emplace(*number, std::move(row));
      continue;
    }
    const auto found = of_trial.find(*number);
    if (found == of_trial.end() || found->second.shard != shard) {
      continue;
    }
    ReportAttempt& attempt = found->second.attempt;
    attempt.step = std::max(attempt.step, whole_number(record, "step").value_or(0));
    attempt.ended_utc = std::max(attempt.ended_utc, text_member(record, "time"));
    if (type == "end") {
      attempt.status = text_member(record, "status");
      attempt.message = message_text(text_member(record, "message"), attempt.step);
    }
  }
  const std::map<std::string, std::string> newest = newest_times(records);
  for (auto& [trial, of_trial] : rows) {
    for (auto& [number, row] : of_trial) {
      if (row.attempt.status == "running") {
        row.attempt.ended_utc = std::max(row.attempt.ended_utc, newest.at(row.shard));
      }
    }
  }
  return rows;
}

/// The trial's result: the file's, or the journal's copy where the file is missing or broken, which becomes a note.
/// @param folders  look at the file
std::optional<TrialResult> read_result(const TrialFiles& files, const TrialState& state, bool folders,
                                       std::vector<std::string>& notes) {
  if (!folders && state.result.is_object()) {
    return result_from_json(state.result, str(trial_name(state.number), ", the journal's copy"));
  }
  std::string problem;
  try {
    return result_from_json(read_json(files.result()), files.result().string());
  } catch (const Error& error) {
    problem = error.what();
  }
  if (state.result.is_object()) {
    try {
      const TrialResult result = result_from_json(state.result, "the journal's copy");
      notes.push_back(str(trial_name(state.number), ": ", one_line(problem), "; the journal's copy is used"));
      return result;
    } catch (const Error& error) {
      problem += str("; ", error.what());
    }
  }
  notes.push_back(str(trial_name(state.number), ": ", one_line(problem)));
  return std::nullopt;
}

/// Of the journal's copy of a result only what ranks it.
TrialResult journal_score(const TrialState& state, const std::set<std::string>& metrics) {
  TrialResult result;
  result.best_step = state.best_step;
  for (const auto& [list, numbers] : {std::pair("best", &result.best), std::pair("initial", &result.initial)}) {
    for (const std::string& metric : metrics) {
      const Json* value = state.result.is_object() ? find_pointer(state.result, str("/", list, "/", metric)) : nullptr;
      if (value == nullptr) {
        continue;
      }
      try {
        (*numbers)[metric] = number_from_json(*value, list);
      } catch (const ConfigError&) {
        continue;  // neither a number nor the text of one
      }
    }
  }
  return result;
}

/// Metrics that rank points or bound them.
std::set<std::string> ranking_metrics(const Report& report) {
  std::set<std::string> metrics;
  for (const RankedObjective& objective : report.ranked_by()) {
    metrics.insert(objective.metric);
  }
  for (const Constraint& constraint : report.constraints) {
    metrics.insert(constraint.metric);
  }
  return metrics;
}

void read_curves(const TrialFiles& files, const std::string& metric, ReportTrial& trial,
                 std::vector<std::string>& notes) {
  try {
    for (const MetricLine& line : read_metric_lines(files)) {
      const bool train = line.kind == MetricLine::Kind::kTrain;
      const auto value = line.values.find(train ? "total" : metric);
      if (value != line.values.end()) {
        (train ? trial.train_loss : trial.validation).add(line.step, value->second);
      }
      trial.step = std::max(trial.step, line.step);
    }
  } catch (const Error& error) {
    notes.push_back(str(trial_name(trial.number), ": no curves: ", one_line(error.what())));
  }
}

/// A list such as [1e-4, 1e-3, 1e-2], which wants a logarithmic scale.
bool spans_decades(const Json& list) {
  constexpr double kWide = 30.0;
  double low = HUGE_VAL;
  double high = 0.0;
  for (const Json& value : list) {
    if (!value.is_number() || value.get<double>() <= 0.0) {
      return false;
    }
    low = std::min(low, value.get<double>());
    high = std::max(high, value.get<double>());
  }
  return high >= kWide * low;
}

void add_trial_result(const TrialFiles& files, const TrialState& state, const std::string& metric, bool folders,
                      ReportTrial& trial, std::vector<std::string>& notes) {
  trial.result = read_result(files, state, folders, notes);
  if (trial.result) {
    const TrialResult& result = *trial.result;
    if (!trial.recipe_hash.empty() && result.recipe_hash != trial.recipe_hash) {
      notes.push_back(str(trial_name(trial.number), ": result.json is of recipe ", one_line(result.recipe_hash, 40),
                          ", the journal says ", trial.recipe_hash));
    }
    trial.recipe_hash = result.recipe_hash;
    trial.step = result.steps;
    trial.steps = result.steps;
    if (const auto best = result.best.find(metric); best != result.best.end()) {
      trial.objective = best->second;
    }
    const auto started = utc_seconds(result.provenance.started_utc);
    const auto finished = utc_seconds(result.provenance.finished_utc);
    if (started && finished) {
      trial.wall_s = *finished - *started;
    }
  } else if (state.best) {
    trial.objective = state.best;
  }
  std::error_code error;
  if (folders) {
    add_pair_values(files, trial);
  }
  if (!folders || fs::is_regular_file(files.best_weights(), error)) {
    trial.weights = str("trials/", trial_name(trial.number), "/best.safetensors");
  } else {
    notes.push_back(str(trial_name(trial.number), ": ", files.best_weights().string(), ": missing"));
  }
}

ReportTrial read_trial(const JournalView& view, const TrialState& state, const Json& recipe, const TrialPoint& point,
                       const AttemptRows& attempts, bool folders, std::vector<std::string>& notes) {
  const TrialFiles files = view.files.trial(state.number);
  ReportTrial trial;
  trial.number = state.number;
  trial.point = point.index;
  trial.replicate = point.replicate;
  trial.axes = point.point;
  trial.status = view.status_of(state);
  trial.step = state.step;
  trial.steps = steps_in_total(view.definition, recipe);
  trial.charged = state.charged;
  trial.recipe_hash = state.recipe_hash;
  if (const Json* seed = find_pointer(recipe, "/train/seed"); seed != nullptr && seed->is_number_integer()) {
    trial.seed = seed->get<std::int64_t>();
  }
  if (const auto rows = attempts.find(state.number); rows != attempts.end()) {
    for (const auto& [number, row] : rows->second) {
      trial.attempts.push_back(row.attempt);
      const bool still_runs = trial.status == "running" && number == state.attempts;
      if (row.attempt.status == "running" && !still_runs) {
        trial.attempts.back().status = status_name(AttemptStatus::kLost);
      }
    }
  }
  if (state.attempts > 0 && folders) {
    read_curves(files, view.definition.job.objective.metric, trial, notes);
  }
  if (state.status == TrialStatus::kOk) {
    add_trial_result(files, state, view.definition.job.objective.metric, folders, trial, notes);
  } else {
    trial.objective_so_far = state.best;
  }
  if (has_failed(trial)) {
    trial.message = message_text(state.message, state.step);
    trial.log_tail = last_lines_of(files.log(state.attempts), kLogTail);
    trial.reproduce = reproduce_command(files.recipe(), view.definition.job.name, trial_name(state.number));
  }
  return trial;
}

/// Curves of the best trials of a sweep whose folders are not all looked at.
void add_best_curves(const JournalView& view, SweepRows& rows) {
  std::vector<ReportTrial*> ranked;
  for (ReportTrial& trial : rows.trials) {
    if (trial.objective && std::isfinite(*trial.objective)) {
      ranked.push_back(&trial);
    }
  }
  const std::size_t count = std::min(kCurvesOfLarge, ranked.size());
  std::partial_sort(ranked.begin(), ranked.begin() + static_cast<std::ptrdiff_t>(count), ranked.end(),
                    [&](const ReportTrial* a, const ReportTrial* b) {
                      return rows.maximise ? *a->objective > *b->objective : *a->objective < *b->objective;
                    });
  for (std::size_t i = 0; i < count; ++i) {
    read_curves(view.files.trial(ranked[i]->number), rows.metric, *ranked[i], rows.notes);
    add_pair_values(view.files.trial(ranked[i]->number), *ranked[i]);
  }
  rows.notes.push_back(str(rows.sweep.name, ": more than ", kMostTrialFolders,
                           " trials, read from the journal alone; curves, labels and pairs of the best ", count));
}

}  // namespace

std::string JournalView::status_of(const TrialState& trial) const {
  if (trial.phase == TrialPhase::kDone && trial.status) {
    return status_name(*trial.status);
  }
  const bool interrupted = trial.phase == TrialPhase::kRunning && gone.contains(trial.shard);
  return phase_name(interrupted ? TrialPhase::kPaused : trial.phase);
}

JournalView read_journal(const fs::path& directory) {
  const SweepFiles files{directory};
  SweepDefinition definition = read_definition(files);
  JournalReader reader(files.journal());
  JournalView view{files, definition, reader.poll(), SweepState(rules_of(definition)), reader.skipped(), {}};
  view.state.apply(view.records);
  view.definition.extensions = view.state.extensions();
  view.definition.proposals = view.state.proposals();
  NoJobProbe probe;
  StaleWatch watch(this_job(), probe);
  watch.observe(reader.shards());
  for (const auto& [shard, owner] : view.state.owners()) {
    if (view.state.has_left(shard) || watch.is_stale(owner)) {
      view.gone.insert(shard);
    }
  }
  return view;
}

std::int64_t steps_in_total(const SweepDefinition& definition, const Json& recipe) {
  const auto read = [](const Json& from, const char* pointer) {
    const Json* value = find_pointer(from, pointer);
    return value != nullptr && value->is_number_integer() ? value->get<std::int64_t>() : std::int64_t{0};
  };
  if (const std::int64_t steps = read(recipe, "/train/steps"); steps > 0) {
    return steps;
  }
  const Json& base = definition.job.recipe;
  const std::int64_t epochs = read(base, "/train/epochs");
  const bool comparable =
      epochs > 0 && read(base, "/train/steps") == 0 && read(base, "/train/batch") == read(recipe, "/train/batch");
  return comparable ? definition.base.steps / epochs * read(recipe, "/train/epochs") : 0;
}

Json recipe_of(const JournalView& view, const TrialPoint& trial, std::vector<std::string>& notes) {
  Json planned = trial_recipe(base_recipe(view.definition), trial.point, trial.replicate);
  const fs::path path = view.files.trial(trial.number).recipe();
  std::error_code error;
  if (fs::exists(path, error)) {
    try {
      Json recipe = read_json(path);
      if (length_number(view.definition.extensions) > 0) {  // it continues at another length than stands there
        for (const char* length : {"/train/epochs", "/train/steps"}) {
          set_pointer(recipe, length, *find_pointer(planned, length));
        }
      }
      return recipe;
    } catch (const Error& problem) {
      notes.push_back(str(trial_name(trial.number), ": ", one_line(problem.what())));
    }
  }
  return planned;
}

SweepRows read_sweep(const fs::path& directory) {
  const JournalView view = read_journal(directory);
  const TrialList list = trials_of(view.definition);
  SweepRows rows;
  rows.metric = view.definition.job.objective.metric;
  rows.maximise = view.definition.maximise();
  rows.objectives = objectives_of(view.definition.job);
  rows.constraints = constraints_of(view.definition.job);
  const Json* fingerprint = find_pointer(view.definition.base.data, "/fingerprint");
  rows.data_fingerprint = fingerprint != nullptr && fingerprint->is_string() ? fingerprint->get<std::string>() : "";
  rows.steps = length_of(view.definition).base_steps;
  rows.sweep.name = view.definition.job.name;
  rows.sweep.identity = view.definition.hash;
  rows.sweep.directory = fs::weakly_canonical(directory).string();
  rows.sweep.job = write_options(view.definition.job);
  rows.sweep.sampler = view.definition.job.sampler;
  rows.sweep.resume = view.state.finished() ? "" : next_command(view.records, rows.sweep.directory);
  rows.sweep.trials = view.state.total();
  rows.sweep.replicates = list.replicates();
  for (const Axis& axis : list.axes()) {
    rows.axes.push_back({axis.pointer(), "", axis.is_log() || spans_decades(axis.options().list), {}, axis.names()});
  }
  const AttemptRows attempts = attempts_in(view.records);
  const bool folders = view.state.total() <= kMostTrialFolders;
  for (const TrialState& state : view.state.trials()) {
    const TrialPoint point = list.trial(state.number);
    rows.recipes.push_back(folders ? recipe_of(view, point, rows.notes)
                                   : trial_recipe(base_recipe(view.definition), point.point, point.replicate));
    rows.trials.push_back(read_trial(view, state, rows.recipes.back(), point, attempts, folders, rows.notes));
    for (const Axis& axis : list.axes()) {  // one that does not count there has no value, whatever the recipe says
      rows.trials.back().axes.try_emplace(axis.pointer(), Json());
    }
  }
  if (!folders) {
    add_best_curves(view, rows);
  }
  if (view.skipped > 0) {
    rows.notes.push_back(
        str("journal: ", view.skipped, " torn or foreign ", view.skipped == 1 ? "line" : "lines", " left out"));
  }
  return rows;
}

std::string message_text(const std::string& message, std::int64_t step) {
  const std::string prefix = str("step ", step, ": ");
  return one_line(message.starts_with(prefix) ? std::string_view(message).substr(prefix.size()) : message);
}

Report standing_of(const JournalView& view) {
  const TrialList list = trials_of(view.definition);
  Report report;
  report.metric = view.definition.job.objective.metric;
  report.maximise = view.definition.maximise();
  report.objectives = objectives_of(view.definition.job);
  report.constraints = constraints_of(view.definition.job);
  const std::set<std::string> metrics = ranking_metrics(report);
  report.sweeps.resize(1);
  report.sweeps.front().name = view.definition.job.name;
  for (const TrialState& state : view.state.trials()) {
    const TrialPoint point = list.trial(state.number);
    ReportTrial trial;
    trial.number = state.number;
    trial.point = point.index;
    trial.replicate = point.replicate;
    trial.axes = point.point;
    trial.status = view.status_of(state);
    if (state.status == TrialStatus::kOk) {
      trial.result = journal_score(state, metrics);
      const auto best = trial.result->best.find(report.metric);
      trial.objective = best == trial.result->best.end() ? state.best : best->second;
    } else {
      trial.objective_so_far = state.best;
    }
    report.trials.push_back(std::move(trial));
  }
  for (const Axis& axis : list.axes()) {
    report.axes.push_back({axis.pointer(), "", false, {}, axis.names()});
  }
  label_axes(report.axes);
  find_alike_members(report);
  join_folds(report);
  rank(report);
  return report;
}

std::optional<double> utc_seconds(const std::string& text) {
  if (text.size() != 20 || text[4] != '-' || text[7] != '-' || text[10] != 'T' || text[13] != ':' || text[16] != ':' ||
      text[19] != 'Z') {
    return std::nullopt;
  }
  const auto number = [&text](std::size_t at, std::size_t count) {
    int value = -1;
    const char* const end = text.data() + at + count;
    const auto [stop, error] = std::from_chars(text.data() + at, end, value);
    return error == std::errc() && stop == end ? value : -1;
  };
  const std::chrono::year_month_day day(std::chrono::year(number(0, 4)),
                                        std::chrono::month(static_cast<unsigned>(number(5, 2))),
                                        std::chrono::day(static_cast<unsigned>(number(8, 2))));
  const int hour = number(11, 2);
  const int minute = number(14, 2);
  const int second = number(17, 2);
  if (!day.ok() || hour < 0 || minute < 0 || second < 0) {
    return std::nullopt;
  }
  const auto days = std::chrono::sys_days(day).time_since_epoch().count();
  return static_cast<double>(days) * 86400.0 + hour * 3600.0 + minute * 60.0 + second;
}

}  // namespace regatta
