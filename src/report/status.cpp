#include "regatta/report/status.hpp"

#include <algorithm>
#include <cmath>
#include <iterator>

#include "regatta/base/error.hpp"
#include "regatta/base/shell.hpp"
#include "regatta/base/text.hpp"
#include "regatta/sweep/next_command.hpp"
#include "report/format.hpp"
#include "report/rank_status.hpp"
#include "report/read_sweep.hpp"
#include "report/rows.hpp"

namespace regatta {
namespace {

namespace fs = std::filesystem;

/// Step and speed of a trial that runs, from its metric lines; they are ahead of the journal.
void add_progress(const TrialFiles& files, ActiveTrial& trial) {
  const std::vector<MetricLine> lines = read_metric_lines(files);
  for (const MetricLine& line : lines) {
    trial.step = std::max(trial.step, line.step);
    if (line.kind == MetricLine::Kind::kTrain && std::isfinite(line.ms_per_step) && line.ms_per_step > 0) {
      trial.ms_per_step = line.ms_per_step;
    }
  }
  if (trial.ms_per_step && trial.steps > 0) {
    trial.left_s =
        static_cast<double>(std::max<std::int64_t>(trial.steps - trial.step, 0)) * *trial.ms_per_step / 1000.0;
  }
}

/// "lr 0.0001  weight 2"; named values by their names.
std::string short_point_text(const TrialList& list, const Point& point) {
  std::vector<std::string> pointers;
  for (const auto& [pointer, value] : point) {
    pointers.push_back(pointer);
  }
  const auto titles = axis_titles(pointers);
  std::vector<std::string> parts;
  for (const Axis& axis : list.axes()) {
    if (const auto found = point.find(axis.pointer()); found != point.end()) {
      const bool named = !axis.options().named.empty();
      parts.push_back(str(titles.at(found->first), " ", named ? axis.text(found->second) : axis_text(found->second)));
    }
  }
  return join(parts, "  ");
}

ActiveTrial active_trial(const JournalView& view, const TrialList& list, const TrialState& state) {
  const TrialPoint point = list.trial(state.number);
  std::vector<std::string> notes;
  ActiveTrial trial;
  trial.name = trial_name(state.number);
  trial.status = view.status_of(state);
  trial.point = short_point_text(list, point.point);
  trial.host = state.host;
  trial.attempt = state.attempts;
  trial.step = state.step;
  trial.steps = steps_in_total(view.definition, recipe_of(view, point, notes));
  trial.best = state.best;
  add_progress(view.files.trial(state.number), trial);
  return trial;
}

LostTrial lost_trial(const JournalView& view, const TrialList& list, const TrialState& state) {
  LostTrial trial;
  trial.name = trial_name(state.number);
  trial.status = status_name(*state.status);
  trial.attempts = state.attempts;
  trial.step = state.step;
  trial.point = short_point_text(list, list.trial(state.number).point);
  trial.message = message_text(state.message, state.step);
  trial.log = view.files.trial(state.number).log(state.attempts);
  return trial;
}

/// Median time a step over trials that ended or run.
std::optional<double> median_ms(std::vector<double> values) {
  if (values.empty()) {
    return std::nullopt;
  }
  const auto middle = std::next(values.begin(), static_cast<std::ptrdiff_t>(values.size() / 2));
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

/// All steps that are left, at the median pace, by as many trials at a time as run now.
std::optional<double> time_left(const JournalView& view, const SweepStatus& status) {
  std::vector<double> paces;
  std::int64_t steps = status.waiting * length_of(view.definition).base_steps;
  std::int64_t running = 0;
  for (const ActiveTrial& trial : status.active) {
    if (trial.ms_per_step) {
      paces.push_back(*trial.ms_per_step);
    }
    steps += std::max<std::int64_t>(trial.steps - trial.step, 0);
    running += trial.status == "running" ? 1 : 0;
  }
  for (const TrialState& state : view.state.trials()) {
    if (const auto pace = state.result.find("ms_per_step");
        state.result.is_object() && pace != state.result.end() && pace->is_number()) {
      paces.push_back(pace->get<double>());
    }
  }
  const auto pace = median_ms(std::move(paces));
  if (!pace || running == 0 || view.definition.base.steps == 0) {
    return std::nullopt;
  }
  double left_s = static_cast<double>(steps) * *pace / 1000.0 / static_cast<double>(running);
  for (const ActiveTrial& trial : status.active) {
    left_s = std::max(left_s, trial.left_s.value_or(0.0));
  }
  return left_s;
}

std::string newest_time(const std::vector<Json>& records) {
  std::string newest;
  for (const Json& record : records) {
    if (const auto time = record.find("time"); time != record.end() && time->is_string()) {
      newest = std::max(newest, time->get<std::string>());
    }
  }
  return newest;
}

/// The best validation of a trial that is not done, "dice 0.4812 so far (t00003, running)"; empty: none was validated.
std::string best_so_far_text(const Report& standing) {
  const ReportTrial* best = nullptr;
  for (const ReportTrial& trial : standing.trials) {
    const auto value = trial.has_ended() ? std::nullopt : trial.objective_so_far;
    const bool is_better =
        value &&
        (best == nullptr || (standing.maximise ? *value > *best->objective_so_far : *value < *best->objective_so_far));
    best = is_better ? &trial : best;
  }
  return best == nullptr ? ""
                         : str(measure_text(standing.metric, best->objective_so_far), " so far (",
                               trial_name(best->number), ", ", best->status, ")");
}

std::string best_text(const Report& standing) {
  if (const auto winner = standing.winner()) {
    const ReportPoint& point = standing.ranking.front();
    const std::string text = str("best ", score_text(standing, point));
    return point.trials.size() == 1 ? text
                                    : str(text, "; of these the best is ", trial_name(standing.trials[*winner].number),
                                          ", ", number_text(standing.trials[*winner].objective));
  }
  const std::string so_far = best_so_far_text(standing);
  return so_far.empty() ? no_winner_text(standing) : str(no_winner_text(standing), "; best ", so_far);
}

/// "4 ok, 1 diverged"
std::string done_text(const SweepStatus& status) {
  std::map<std::string, std::int64_t> counts = {{"ok", status.ok}, {"pruned", status.pruned}};
  for (const LostTrial& trial : status.lost) {
    ++counts[trial.status];
  }
  return counts_text(counts);
}

std::string active_line(const SweepStatus& status, const ActiveTrial& trial) {
  std::string line = str("  ", trial.name, "  ", trial.status, "  ", trial.step,
                         trial.steps > 0 ? str("/", trial.steps) : std::string());
  if (trial.steps > 0) {
    line += str("  ", trial.step * 100 / trial.steps, " %");
  }
  if (trial.best) {
    line += str("  ", status.metric, " ", number_text(*trial.best));
  }
  if (trial.ms_per_step) {
    line += str("  ", number_text(*trial.ms_per_step, 3), " ms/step");
  }
  if (trial.left_s && trial.status == "running") {
    line += str("  ", duration_text(*trial.left_s), " left");
  }
  if (!trial.host.empty()) {
    line += str("  on ", one_line(trial.host, 40));
  }
  if (trial.attempt > 1) {
    line += str("  attempt ", trial.attempt);
  }
  return line + (trial.point.empty() ? "" : "  (" + one_line(trial.point, 100) + ")") + "\n";
}

}  // namespace

SweepStatus read_status(const fs::path& sweep, const Clock& clock) {
  const JournalView view = read_journal(sweep);
  const TrialList list = trials_of(view.definition);
  const SweepCounts counts = view.state.counts();
  SweepStatus status;
  status.name = view.definition.job.name;
  status.directory = fs::weakly_canonical(sweep).string();
  status.metric = view.definition.job.objective.metric;
  status.total = counts.total;
  status.waiting = counts.waiting;
  status.skipped_lines = view.skipped;
  status.finished = view.state.finished();
  for (const TrialState& state : view.state.trials()) {
    if (state.phase != TrialPhase::kWaiting && state.phase != TrialPhase::kDone) {
      status.active.push_back(active_trial(view, list, state));
    } else if (state.status == TrialStatus::kOk) {
      ++status.ok;
    } else if (state.status == TrialStatus::kPruned) {
      ++status.pruned;
    } else if (state.status) {
      status.lost.push_back(lost_trial(view, list, state));
    }
  }
  status.ranks = ranks_of(view, status.active);
  const Report standing = standing_of(view);
  if (const auto winner = standing.winner()) {
    status.best_trial = trial_name(standing.trials[*winner].number);
    status.best = standing.ranking.front().objective.mean;
  }
  status.best_text = best_text(standing);
  status.left_s = time_left(view, status);
  status.last_record_utc = newest_time(view.records);
  const auto last = utc_seconds(status.last_record_utc);
  const auto now = utc_seconds(clock.utc_text());
  if (last && now) {
    status.silent_s = std::max(0.0, *now - *last);
  }
  if (!status.finished) {
    status.resume = next_command(view.records, status.directory);
  }
  return status;
}

std::string status_text(const SweepStatus& status) {
  const auto running = std::count_if(status.active.begin(), status.active.end(),
                                     [](const ActiveTrial& t) { return t.status == "running"; });
  const auto held = std::count_if(status.active.begin(), status.active.end(),
                                  [](const ActiveTrial& t) { return t.status == "held"; });
  const auto paused = static_cast<std::int64_t>(status.active.size()) - running - held;
  std::string text = str("sweep ", status.name, "  ", status.directory, "\n");
  const std::string done = done_text(status);
  text += str(status.ok + status.pruned + static_cast<std::int64_t>(status.lost.size()), " of ", status.total,
              " trials done", done.empty() ? "" : ": ", done, "; ", running, " running, ", paused, " paused, ",
              held > 0 ? str(held, " held at rungs, ") : std::string(), status.waiting, " waiting\n");
  text += str(status.best_text, "\n");
  text += status.left_s ? str("about ", duration_text(*status.left_s), " left\n") : std::string();
  if (!status.finished && status.silent_s) {
    text += str("last sign of life ", duration_text(*status.silent_s), " ago (", status.last_record_utc, ")\n");
  }
  for (const ActiveTrial& trial : status.active) {
    text += active_line(status, trial);
  }
  for (const LostTrial& trial : status.lost) {
    text += str("  ", trial.name, "  ", trial.status, " at step ", trial.step,
                trial.attempts == 1 ? std::string() : str(", after ", trial.attempts, " attempts"), ": ",
                trial.message.empty() ? "no message" : trial.message.c_str(),
                trial.point.empty() ? "" : "  (" + one_line(trial.point, 100) + ")", "\n");
  }
  if (!status.lost.empty()) {
    const std::string sweep = shell_quote(status.directory);
    text += str("  why: regatta logs ", sweep, " ", status.lost.front().name, "; another try: regatta retry ", sweep,
                " --failed\n");
  }
  if (status.skipped_lines > 0) {
    text += str("the journal has ", status.skipped_lines, " torn or foreign ",
                status.skipped_lines == 1 ? "line, which was" : "lines, which were", " left out\n");
  }
  if (status.finished) {
    return text + str("finished; the leaderboard: regatta collect ", shell_quote(status.directory), "\n");
  }
  return text + str("resume: ", status.resume, "\n");
}

Json to_json(const SweepStatus& status) {
  Json value = {{"schema", 1},
                {"name", status.name},
                {"directory", status.directory},
                {"metric", status.metric},
                {"total", status.total},
                {"waiting", status.waiting},
                {"ok", status.ok},
                {"pruned", status.pruned}};
  value["best_trial"] = status.best_trial.empty() ? Json() : Json(status.best_trial);
  value["best"] = number_or_null(status.best);
  value["best_text"] = status.best_text;
  value["left_s"] = number_or_null(status.left_s);
  value["last_record_utc"] = status.last_record_utc;
  value["silent_s"] = number_or_null(status.silent_s);
  value["skipped_lines"] = status.skipped_lines;
  value["finished"] = status.finished;
  value["resume"] = status.resume;
  value["active"] = Json::array();
  for (const ActiveTrial& trial : status.active) {
    value["active"].push_back({{"trial", trial.name},
                               {"status", trial.status},
                               {"point", trial.point},
                               {"host", trial.host},
                               {"attempt", trial.attempt},
                               {"step", trial.step},
                               {"steps", trial.steps > 0 ? Json(trial.steps) : Json()},
                               {"ms_per_step", number_or_null(trial.ms_per_step)},
                               {"best", number_or_null(trial.best)},
                               {"left_s", number_or_null(trial.left_s)}});
  }
  value["ranks"] = Json::array();
  for (const RankStatus& rank : status.ranks) {
    value["ranks"].push_back({{"host", rank.host},
                              {"job", rank.job},
                              {"rank", rank.rank},
                              {"trial", rank.active ? Json(status.active[*rank.active].name) : Json()}});
  }
  value["failed"] = Json::array();
  for (const LostTrial& trial : status.lost) {
    value["failed"].push_back({{"trial", trial.name},
                               {"status", trial.status},
                               {"attempts", trial.attempts},
                               {"step", trial.step},
                               {"point", trial.point},
                               {"message", trial.message},
                               {"log", trial.log.string()}});
  }
  return value;
}

}  // namespace regatta
