// A report: what one or several sweeps have found, in memory. Read by collect.hpp; written as JSON (docs/report.md),
// CSV, HTML and text by the functions below, which compute nothing that does not stand in the JSON.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "regatta/config/objectives.hpp"
#include "regatta/config/trial_files.hpp"

namespace regatta {

inline constexpr int kReportSchema = 2;
inline constexpr int kOldestReportSchema = 1;  ///< that `mask_volatile` and `compare_reports` read
inline constexpr double kConfidence = 0.95;    ///< of the intervals over validation pairs
inline constexpr double kSignificance = 0.05;  ///< a point with a corrected p below this differs from the first

inline constexpr double kImportanceQuantile = 0.1;  ///< share of the points that count as the best

/// Values over steps, ascending.
struct Curve {
  std::vector<std::int64_t> step;
  std::vector<double> value;

  void add(std::int64_t at, double y) {
    step.push_back(at);
    value.push_back(y);
  }
};

/// Mean, sample standard deviation (n - 1; absent for n = 1) and number of the finite values.
struct Summary {
  std::optional<double> mean;
  std::optional<double> std;
  int n = 0;
  int of = 0;  ///< all values, those that are not finite included

  bool complete() const { return n == of; }
};

Summary summarise(const std::vector<double>& values);

struct ReportAxis {
  std::string pointer;               ///< into the recipe
  std::string label;                 ///< short form for tables, unique in a report
  bool log = false;                  ///< drawn in logarithmic scale
  std::vector<std::string> alike{};  ///< pointers into its values, where these are objects: what all have in common
  std::map<std::string, std::string> names{};  ///< of named values: `value_key` -> name
};

/// One of the merged sweeps.
struct ReportSweep {
  std::string name;
  std::string identity;   ///< hash of what defines the experiment
  std::string directory;  ///< absolute
  Json job;               ///< as resolved
  std::string sampler;
  std::int64_t trials = 0;  ///< planned
  int replicates = 1;
  std::string resume{};  ///< the command that continues; empty: finished
};

/// The measures of one validation pair: "dice", "dice/17" ...
struct PairValues {
  std::string moving;
  std::string fixed;
  std::map<std::string, double> values;
};

/// How one attempt at a trial went.
struct ReportAttempt {
  int attempt = 1;
  std::string status;  ///< "running" or an AttemptStatus name
  std::int64_t step = 0;
  std::string host;
  std::string message;
  int rank{};                 ///< of its job; on its host it had a GPU of its own
  std::string started_utc{};  ///< "2026-11-24T03:04:05Z"; empty: not known
  std::string ended_utc{};    ///< of one that runs or was lost: its last sign of life
};

struct ReportTrial {
  std::size_t sweep = 0;  ///< index into Report::sweeps
  std::int64_t number = 0;
  std::int64_t point = 0;  ///< trials of one point differ by their seed and fold only
  int replicate = 0;
  std::int64_t seed = 0;
  std::map<std::string, Json> axes;  ///< pointer -> value; an axis of another sweep: what the recipe has there
  std::string status;                ///< waiting, running, paused or a TrialStatus name
  std::int64_t step = 0;             ///< last one known
  std::int64_t steps = 0;            ///< in total; 0: not known
  std::vector<ReportAttempt> attempts;
  int charged = 0;                         ///< attempts that count against the trial
  std::optional<double> objective;         ///< of the best weights, finished trials only
  std::optional<double> objective_so_far;  ///< best validation of a trial that is not finished
  std::optional<TrialResult> result;       ///< with the means of details such as "dice/17", where pairs could be read
  std::vector<PairValues> pairs;           ///< at the best checkpoint
  std::vector<PairValues> initial_pairs;   ///< before training; only until `difficulty` is known
  std::optional<double> wall_s;            ///< from the first start to the end
  std::string recipe_hash;
  std::string weights;                ///< relative to the sweep's directory; empty: none
  std::string message;                ///< why it failed
  std::vector<std::string> log_tail;  ///< of a trial that failed: what its newest attempt printed last
  std::string reproduce;              ///< of a trial that failed: the command that runs it alone
  Curve train_loss;
  Curve validation;  ///< the objective's metric

  /// Done, well or not: it will not continue by itself.
  bool has_ended() const;
};

/// Ends of the confidence interval of a point's mean over its validation pairs.
struct MeanInterval {
  double low = 0.0;
  double high = 0.0;
  int pairs = 0;
};

/// A point's objective beside the first point's, on the validation pairs that both have.
struct AgainstFirst {
  double difference = 0.0;  ///< mean over the pairs, this point minus the first
  double p = 1.0;           ///< of the signed-rank test
  double p_holm = 1.0;      ///< corrected for the number of comparisons
  int pairs = 0;
  bool tied = true;  ///< p_holm is at least `kSignificance`
};

/// A constraint that a point breaks.
struct BrokenConstraint {
  Constraint constraint;
  std::optional<double> value;  ///< nothing: not measured, or not finite
};

/// A mean over the hardest 30 % of the items.
struct HardestMean {
  double mean = 0.0;
  int items = 0;
};

/// One point of the search space with its replicates.
struct ReportPoint {
  int rank = 0;  ///< from 1, equal points share it; 0: no finished trial with a finite objective
  std::size_t sweep = 0;
  std::int64_t point = 0;
  std::vector<std::size_t> trials;      ///< indices into Report::trials
  Summary objective;                    ///< over the trials that have ended; one without a value is not finite
  std::map<std::string, Summary> best;  ///< metrics at the best checkpoints, over the same trials
  std::optional<double> gain;           ///< mean of objective minus its value before training; not known: empty
  std::optional<std::size_t> best_trial;
  int front = 0;             ///< of several objectives, from 1; 0: one objective, or not on any front
  double hypervolume = 0.0;  ///< what it adds to that of its front
  std::vector<BrokenConstraint> violations{};
  double violation = 0.0;  ///< sum of what it is beyond the limits; infinite where a metric has no value
  std::optional<MeanInterval> interval{};          ///< of the objective; from two pairs on
  std::optional<AgainstFirst> against_first{};     ///< of ranked points but the first
  std::map<std::string, HardestMean> hardest30{};  ///< by metric
};

/// How the points were compared.
struct ReportStatistics {
  std::int64_t resamples = 0;  ///< of an interval; 0: there is none
  int comparisons = 0;         ///< points that were compared with the first
  int pairs = 0;               ///< validation pairs of the first
  double least_p = 1.0;        ///< smallest p that the test can give for this number of pairs
};

/// Finished trials with a finite objective, in the order in which they ended.
struct ReportHistory {
  std::size_t trial = 0;
  double objective = 0.0;
  double best = 0.0;  ///< mean of the point that stood first then
};

struct AxisImportance {
  std::string pointer;
  double importance = 0.0;
};

/// Which axes decide whether a point is among the best; filled by `add_importance` (importance.hpp).
struct ReportImportance {
  int points = 0;                    ///< with a finite objective
  int best = 0;                      ///< of these
  std::vector<AxisImportance> axes;  ///< most important first, the sum is 1; empty: too few points
  std::string warning;
};

/// Sums over all trials.
struct ReportTotals {
  std::int64_t ranked = 0;    ///< finished, with a finite objective
  std::int64_t improved = 0;  ///< of these, better than before training, or with a start that is not known
  std::map<std::string, std::int64_t> by_status;
  double train_s = 0.0;
  std::optional<double> gain;  ///< the best point's
};

struct Report {
  std::string build;
  std::string metric;  ///< of the first objective
  bool maximise = true;
  std::vector<RankedObjective> objectives;  ///< may be empty where there is one
  std::vector<Constraint> constraints;
  std::vector<ReportAxis> axes;
  std::vector<ReportSweep> sweeps;
  std::vector<ReportTrial> trials;
  std::vector<ReportPoint> ranking;  ///< ranked points first, best first
  std::vector<ReportHistory> history;
  ReportTotals totals;
  std::optional<double> hypervolume;  ///< of the first front, where there are several objectives
  ReportStatistics statistics;
  ReportImportance importance;
  std::vector<PairValues> difficulty;  ///< of each validation pair: its values before training, means over all trials
  std::vector<std::string> notes;      ///< what could not be read, one line each

  /// All objectives; where `objectives` is empty the one of `metric`.
  std::vector<RankedObjective> ranked_by() const;

  /// The best trial of the best point; nothing if no trial is better than before its training, or every point breaks a
  /// constraint.
  std::optional<std::size_t> winner() const;

  /// "brains t00042"; without the sweep's name where there is one sweep only.
  std::string trial_name(std::size_t trial) const;

  /// Absolute path of a trial's best weights; empty: none.
  std::string weights_path(std::size_t trial) const;
};

/// Gives trials that differ by their fold (`kFoldAxis`) and seed only the lowest of their points, so that they are
/// ranked by their mean. A note says so where points have been scored on different folds.
void join_folds(Report& report);

/// Fills `ranking`, `history`, `totals` and `hypervolume` from `trials`. Points are ranked by the mean over their
/// finished replicates with a finite objective; by several objectives by front, then by what they add to the front's
/// hypervolume. Those of which a trial has ended without one (diverged, failed, infinite) stand behind all others, by
/// the share that has one, then by the mean. Behind them stand those that break a constraint, by the sum of what they
/// are beyond the limits. Equal points share a rank; of them the earlier sweep and the lower point are listed first.
void rank(Report& report);

/// Fills `ReportAxis::alike`.
void find_alike_members(Report& report);

/// Short unique labels: the pointer without its first part ("/losses/grad/weight" -> "grad/weight"), the whole pointer
/// where that is taken.
void label_axes(std::vector<ReportAxis>& axes);

/// report.json, as docs/report.md describes it.
Json to_json(const Report& report);

/// Pointers of the members that differ between two runs of the same sweep ("*": every member or element).
const std::vector<std::string>& volatile_pointers();

/// Replaces the volatile members, by the document's own list, with the text "masked": what is left of two reports of
/// the same experiment is equal. @throws DataError if it is not a report of a schema that this build reads
Json mask_volatile(Json report);

/// leaderboard.csv: one line a trial, ranked points first; numbers with all digits, RFC 4180 quoting.
std::string leaderboard_csv(const Report& report);

/// leaderboard_labels.csv, leaderboard_pairs.csv, leaderboard_hardest.csv: what is behind the rows of the leaderboard,
/// a line for each point and label, validation pair, or metric. All begin with rank, sweep, point and the axes.
std::string labels_csv(const Report& report);
std::string pairs_csv(const Report& report);
std::string hardest_csv(const Report& report);

/// report.html: one page that fetches nothing.
std::string report_html(const Report& report);

/// The table for a terminal.
/// @param rows  most points shown; a last line says how many are left out. 0: all
std::string leaderboard_text(const Report& report, std::size_t rows = 0);

/// `regatta register ...` with this trial's weights, for a shell.
std::string register_command(const Report& report, std::size_t trial);

}  // namespace regatta
