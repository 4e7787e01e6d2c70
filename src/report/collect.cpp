// Several sweeps into one report, and the report into files.
#include "regatta/report/collect.hpp"

#include <algorithm>
#include <ostream>
#include <set>

#include "regatta/base/checksum.hpp"
#include "regatta/base/error.hpp"
#include "regatta/base/files.hpp"
#include "regatta/base/shell.hpp"
#include "regatta/base/version.hpp"
#include "regatta/report/importance.hpp"
#include "regatta/sweep/layout.hpp"
#include "report/conditions.hpp"
#include "report/format.hpp"
#include "report/pair_values.hpp"
#include "report/point_statistics.hpp"
#include "report/read_sweep.hpp"
#include "report/rows.hpp"

namespace regatta {
namespace {

namespace fs = std::filesystem;

/// Each sweep once, however it was named.
std::vector<fs::path> distinct_directories(const std::vector<fs::path>& sweeps) {
  std::vector<fs::path> distinct;
  std::set<fs::path> seen;
  for (const fs::path& sweep : sweeps) {
    if (seen.insert(fs::weakly_canonical(sweep)).second) {
      distinct.push_back(sweep);
    }
  }
  return distinct;
}

void check_objectives(const std::vector<SweepRows>& sweeps) {
  const auto objective = [](const SweepRows& rows) {
    const std::string constraints = constraints_text(rows.constraints);
    const std::string one = str(rows.maximise ? "maximise " : "minimise ", rows.metric);
    return str(rows.objectives.size() > 1 ? objectives_text(rows.objectives) : one, constraints.empty() ? "" : "; ",
               constraints);
  };
  for (const SweepRows& rows : sweeps) {
    REGATTA_REQUIRE(objective(rows) == objective(sweeps.front()), ConfigError, rows.sweep.directory,
                    ": /objective: ", objective(rows), ", but ", sweeps.front().sweep.directory, " has ",
                    objective(sweeps.front()), "; sweeps with different objectives cannot be ranked together");
  }
}

/// What makes the numbers of the sweeps incomparable is refused, or noted where it is asked for.
void check_conditions(const std::vector<SweepRows>& sweeps, bool mixed, Report& report) {
  const std::vector<std::string> differences = condition_differences(sweeps);
  REGATTA_REQUIRE(differences.empty() || mixed, ConfigError,
                  "collect: these sweeps are not comparable: ", join(differences, "; "),
                  "; collect them one by one, or add --mixed to rank them together");
  for (const std::string& difference : differences) {
    report.notes.push_back(str("ranked together in spite of different conditions: ", difference));
  }
}

/// The first of the ranking may have been best before it was trained, while others got better.
void note_untrained_winner(Report& report) {
  const auto winner = report.winner();
  if (winner && report.trials[*winner].result && report.trials[*winner].result->best_step == 0) {
    report.notes.push_back(
        str(report.trial_name(*winner), ": was best before the first step; its weights are those it started from"));
  }
}

/// Jobs of the same name are told apart by their directories.
void make_names_unique(std::vector<ReportSweep>& sweeps) {
  std::map<std::string, int> uses;
  for (const ReportSweep& sweep : sweeps) {
    ++uses[sweep.name];
  }
  std::set<std::string> taken;
  for (ReportSweep& sweep : sweeps) {
    if (uses[sweep.name] > 1) {
      sweep.name = fs::path(sweep.directory).filename().string();
    }
    const std::string name = sweep.name;
    for (int next = 2; !taken.insert(sweep.name).second; ++next) {
      sweep.name = str(name, "-", next);
    }
  }
}

std::vector<ReportAxis> union_of_axes(const std::vector<SweepRows>& sweeps) {
  std::map<std::string, ReportAxis> axes;
  for (const SweepRows& rows : sweeps) {
    for (const ReportAxis& axis : rows.axes) {
      ReportAxis& merged = axes.try_emplace(axis.pointer, axis).first->second;
      merged.log = merged.log || axis.log;
      merged.names.insert(axis.names.begin(), axis.names.end());
    }
  }
  std::vector<ReportAxis> merged;
  for (const auto& [pointer, axis] : axes) {
    merged.push_back(axis);
  }
  label_axes(merged);
  return merged;
}

/// Trainings that stand in two sweeps: one line for each pair of sweeps.
void note_repeated_trainings(Report& report) {
  struct Repeated {
    std::string example;
    int count = 0;
  };
  std::map<std::string, std::size_t> first;
  std::map<std::pair<std::size_t, std::size_t>, Repeated> repeated;
  for (std::size_t i = 0; i < report.trials.size(); ++i) {
    const ReportTrial& trial = report.trials[i];
    if (trial.recipe_hash.empty()) {
      continue;
    }
    const auto [found, is_new] = first.try_emplace(trial.recipe_hash, i);
    if (!is_new && report.trials[found->second].sweep != trial.sweep) {
      Repeated& row = repeated[{report.trials[found->second].sweep, trial.sweep}];
      row.example = row.count > 0 ? row.example : str(report.trial_name(found->second), " = ", report.trial_name(i));
      ++row.count;
    }
  }
  for (const auto& [sweeps, row] : repeated) {
    report.notes.push_back(str(report.sweeps[sweeps.first].name, " and ", report.sweeps[sweeps.second].name, ": ",
                               row.count, row.count == 1 ? " training stands" : " trainings stand",
                               " in both: ", row.example));
  }
}

/// The winner's file is what people will use: it must be the one that was ranked.
void check_winner_weights(Report& report) {
  const auto winner = report.winner();
  if (!winner || report.weights_path(*winner).empty() || !report.trials[*winner].result) {
    return;
  }
  const std::string path = report.weights_path(*winner);
  const std::string& wanted = report.trials[*winner].result->weights_xxh3;
  try {
    const std::string found = xxh3_text(read_file(path, std::uint64_t{1} << 34));
    if (found != wanted) {
      report.notes.push_back(str(report.trial_name(*winner), ": ", path, ": checksum ", found, ", its result says ",
                                 one_line(wanted, 40), "; these are not the weights that were ranked"));
    }
  } catch (const DataError& error) {
    report.notes.push_back(str(report.trial_name(*winner), ": ", one_line(error.what())));
  }
}

/// How many have failed in each sweep, and what to type next.
void print_failures(std::ostream& out, const Report& report) {
  for (std::size_t s = 0; s < report.sweeps.size(); ++s) {
    std::map<std::string, std::int64_t> counts;
    std::string example;
    for (const ReportTrial& trial : report.trials) {
      if (trial.sweep == s && has_failed(trial)) {
        ++counts[trial.status];
        example = example.empty() ? trial_name(trial.number) : example;
      }
    }
    if (!example.empty()) {
      const std::string directory = shell_quote(report.sweeps[s].directory);
      out << counts_text(counts) << "; why: regatta logs " << directory << ' ' << example
          << "; another try: regatta retry " << directory << " --failed\n";
    }
  }
}

void write_if_changed(const fs::path& path, const std::string& text) {
  std::error_code error;
  if (fs::file_size(path, error) == text.size() && !error && read_file(path) == text) {
    return;
  }
  write_file_atomically(path, text);
}

}  // namespace

Report read_report(const std::vector<fs::path>& sweeps, bool mixed) {
  std::vector<SweepRows> contents;
  for (const fs::path& sweep : distinct_directories(sweeps)) {
    contents.push_back(read_sweep(sweep));
  }
  REGATTA_REQUIRE(!contents.empty(), ConfigError, "collect: name at least one sweep");
  check_objectives(contents);
  Report report;
  check_conditions(contents, mixed, report);
  report.build = build_id();
  report.metric = contents.front().metric;
  report.maximise = contents.front().maximise;
  report.objectives = contents.front().objectives;
  report.constraints = contents.front().constraints;
  report.axes = union_of_axes(contents);
  for (std::size_t s = 0; s < contents.size(); ++s) {
    SweepRows& rows = contents[s];
    report.sweeps.push_back(rows.sweep);
    for (std::size_t i = 0; i < rows.trials.size(); ++i) {
      ReportTrial& trial = rows.trials[i];
      trial.sweep = s;
      for (const ReportAxis& axis : report.axes) {
        const Json* value = find_pointer(rows.recipes[i], axis.pointer);
        trial.axes.try_emplace(axis.pointer, value != nullptr ? *value : Json());
      }
      report.trials.push_back(std::move(trial));
    }
  }
  make_names_unique(report.sweeps);
  for (std::size_t s = 0; s < contents.size(); ++s) {
    for (const std::string& note : contents[s].notes) {
      report.notes.push_back(contents.size() > 1 ? str(report.sweeps[s].name, " ", note) : note);
    }
  }
  note_repeated_trainings(report);
  find_alike_members(report);
  join_folds(report);
  rank(report);
  add_importance(report);
  add_point_statistics(report);
  limit_pair_values(report);
  note_untrained_winner(report);
  check_winner_weights(report);
  return report;
}

ReportFiles report_files_in(const fs::path& directory) {
  return {directory / "report.json",           directory / "leaderboard.csv",
          directory / "report.html",           directory / "leaderboard_labels.csv",
          directory / "leaderboard_pairs.csv", directory / "leaderboard_hardest.csv"};
}

void write_report(const Report& report, const ReportFiles& files) {
  write_if_changed(files.json, dump_pretty(to_json(report)));
  write_if_changed(files.csv, leaderboard_csv(report));
  write_if_changed(files.labels, labels_csv(report));
  write_if_changed(files.pairs, pairs_csv(report));
  write_if_changed(files.hardest, hardest_csv(report));
  if (!files.html.empty()) {
    write_if_changed(files.html, report_html(report));
  }
}

void print_leaderboard(std::ostream& out, const Report& report, std::size_t rows) {
  out << leaderboard_text(report, rows);
  if (const std::string importance = importance_text(report); !importance.empty()) {
    out << '\n' << importance;
  }
  for (const std::string& note : report.notes) {
    out << "note: " << note << '\n';
  }
  print_failures(out, report);
  const auto winner = report.winner();
  if (!winner) {
    out << '\n' << no_winner_text(report) << '\n';
    return;
  }
  const ReportPoint& point = report.ranking.front();
  out << "\nbest: " << score_text(report, point) << '\n';
  if (point.trials.size() > 1) {
    out << "best trial of it: " << report.trial_name(*winner) << ", "
        << measure_text(report.metric, report.trials[*winner].objective) << '\n';
  }
  if (report.weights_path(*winner).empty()) {
    out << "the weights of the best trial, " << report.trial_name(*winner) << ", are missing\n";
    return;
  }
  out << "best weights: " << report.weights_path(*winner) << "\nregister two scans with them:\n  "
      << register_command(report, *winner) << '\n';
}

}  // namespace regatta
