// report.html: the page around tables and charts. Everything that comes from files is escaped where it is put in; the
// page fetches nothing, and its content policy forbids it.
#include <algorithm>
#include <set>

#include "regatta/base/shell.hpp"
#include "regatta/base/text.hpp"
#include "regatta/report/report.hpp"
#include "regatta/sweep/layout.hpp"
#include "report/format.hpp"
#include "report/html_charts.hpp"
#include "report/html_data.hpp"
#include "report/html_next.hpp"
#include "report/html_page.hpp"
#include "report/html_table.hpp"
#include "report/page/texts.hpp"
#include "report/rows.hpp"

namespace regatta {
namespace {

std::string names_text(const Report& report) {
  std::vector<std::string> names;
  for (const ReportSweep& sweep : report.sweeps) {
    names.push_back(sweep.name);
  }
  return join(names, ", ");
}

std::string card(std::string_view figure, std::string_view caption) {
  return str("<div class=\"card\"><b>", html_escape(figure), "</b><span>", html_escape(caption), "</span></div>\n");
}

std::string signed_text(double value, int digits) {
  return value >= 0 ? "+" + number_text(value, digits) : number_text(value, digits);
}

std::string cards_html(const Report& report) {
  std::string out = "<div class=\"cards\">\n";
  if (const auto winner = report.winner()) {
    const ReportPoint& point = report.ranking.front();
    const ReportTrial& trial = report.trials[*winner];
    const bool one = point.trials.size() == 1;
    out += card(number_text(point.objective.mean),
                one ? str("best ", metric_title(report.metric), ", ", report.trial_name(*winner))
                    : str("best ", metric_title(report.metric), ", mean of ", of_text(point), " trials"));
    if (report.totals.gain) {
      out += card(signed_text(*report.totals.gain, 3),
                  str("from ", number_text(*point.objective.mean - *report.totals.gain), " before training",
                      one ? "" : ", means"));
    }
    if (!one) {
      out += card(number_text(trial.objective), str("its best trial, ", report.trial_name(*winner)));
    }
    for (const ReportAxis& axis : point_axes(report)) {
      out += card(axis_text(trial, axis), axis.label);
    }
  }
  out += card(str(report.totals.ranked, " of ", report.trials.size()), "trials scored");
  out += card(duration_text(report.totals.train_s), "training in all");
  return out + "</div>\n";
}

std::string name_cell(const Report& report, std::size_t index, const std::string& name) {
  return str("<span class=\"dot k", colour_of(report, index), "\"></span>", html_escape(name));
}

/// Sorted by its mean; behind all others where it is not of all trials.
void summary_cell(HtmlTable& table, const Report& report, const ReportPoint& point, const std::string& metric) {
  const auto found = point.best.find(metric);
  const Summary summary = metric == report.metric     ? point.objective
                          : found == point.best.end() ? Summary{}
                                                      : found->second;
  table.number_cell(summary.complete() ? summary.mean : std::nullopt, metric_text(report, point, metric));
}

std::string leaderboard_html(const Report& report) {
  const std::vector<std::string> metrics = other_metrics(report);
  const bool replicates = has_replicates(report);
  HtmlTable table;
  table.column("rank", true);
  table.column(replicates ? "trials" : "trial", false);
  for (const ReportAxis& axis : point_axes(report)) {
    table.column(axis.label, is_numeric(report, axis));
  }
  table.column(metric_title(report.metric), true);
  if (replicates) {
    table.column("std", true);
    table.column("status", false);  // how many the mean is of belongs beside it
  }
  if (has_statistics(report)) {
    table.column("95 % of pairs", true);
    table.column("against first", false);
  }
  for (const std::string& name : metrics) {
    table.column(metric_title(name), true);
  }
  if (replicates) {
    table.column("best trial", false);
    table.column("its " + report.metric, true);
  } else {
    table.column("status", false);
  }
  for (const ReportPoint& point : report.ranking) {
    const std::size_t shown = shown_trial(point);
    table.row(point_key(point.sweep, point.point), point.rank == 1 ? "first" : "");
    table.number_cell(point.rank > 0 ? std::optional<double>(point.rank) : std::nullopt,
                      point.rank > 0 ? str(point.rank) : "-");
    table.html_cell(name_cell(report, shown, trials_text(report, point)), report.trial_name(point.trials.front()));
    for (const ReportAxis& axis : point_axes(report)) {
      table.axis_cell(axis_value(report.trials[shown], axis), axis_text(report.trials[shown], axis));
    }
    summary_cell(table, report, point, report.metric);
    if (replicates) {
      table.number_cell(point.objective.std, 2);
      table.text_cell(state_text(report, point));
    }
    if (has_statistics(report)) {
      table.number_cell(point.interval ? std::optional<double>(point.interval->low) : std::nullopt,
                        interval_text(point));
      table.text_cell(against_first_text(report, point));
    }
    for (const std::string& name : metrics) {
      summary_cell(table, report, point, name);
    }
    if (replicates) {
      table.text_cell(point.best_trial ? report.trial_name(shown) : "-");
      table.number_cell(point.best_trial ? report.trials[shown].objective : std::nullopt);
    } else {
      table.text_cell(state_text(report, point));
    }
  }
  return table.html("leaderboard");
}

/// What a person needs to find out why a trial failed: attempts, the end of the log, what to type next.
std::string failure_page(const Report& report, std::size_t index) {
  const ReportTrial& trial = report.trials[index];
  std::string out = str("<details><summary>", html_escape(report.trial_name(index)),
                        ": attempts, log and commands</summary>\n<ul>\n");
  for (const ReportAttempt& attempt : trial.attempts) {
    out += str("<li>attempt ", attempt.attempt, " on ", html_escape(attempt.host), ": ", html_escape(attempt.status),
               " at step ", attempt.step, attempt.message.empty() ? "" : ": ", html_escape(attempt.message), "</li>\n");
  }
  out += "</ul>\n";
  if (!trial.log_tail.empty()) {
    out += str("<pre>", html_block(join(trial.log_tail, "\n")), "</pre>\n");
  }
  const std::string of_trial = str(shell_quote(report.sweeps[trial.sweep].directory), " ", trial_name(trial.number));
  return out + str("<p>The whole log, another try within the sweep, and the same training alone:</p>\n<pre>",
                   html_block(str("regatta logs ", of_trial, "\nregatta retry ", of_trial, "\n", trial.reproduce)),
                   "</pre>\n</details>\n");
}

std::string failures_html(const Report& report) {
  HtmlTable table;
  table.column("trial", false);
  for (const ReportAxis& axis : report.axes) {
    table.column(axis.label, is_numeric(report, axis));
  }
  table.column("status", false);
  table.column("step", true);
  table.column("attempts", true);
  table.column("why", false);
  std::string pages;
  for (std::size_t i = 0; i < report.trials.size(); ++i) {
    const ReportTrial& trial = report.trials[i];
    if (!has_failed(trial)) {
      continue;
    }
    table.row(point_key(trial.sweep, trial.point));
    table.text_cell(report.trial_name(i));
    for (const ReportAxis& axis : report.axes) {
      table.axis_cell(axis_value(trial, axis), axis_text(trial, axis));
    }
    table.text_cell(trial.status, "bad");
    table.number_cell(static_cast<double>(trial.step), str(trial.step));
    table.number_cell(static_cast<double>(trial.attempts.size()), str(trial.attempts.size()));
    table.text_cell(trial.message.empty() ? "-" : trial.message, "text");
    pages += failure_page(report, i);
  }
  return pages.empty() ? "" : "<h2 id=\"failed\">Failed trials</h2>\n" + table.html() + pages;
}

std::optional<double> of_result(const ReportTrial& trial, double (*read)(const TrialResult&)) {
  return trial.result ? std::optional<double>(read(*trial.result)) : std::nullopt;
}

std::string time_text(const std::optional<double>& seconds) {
  return seconds ? duration_text(*seconds) : "-";
}

void trial_cells(HtmlTable& table, const Report& report, std::size_t index) {
  const ReportTrial& trial = report.trials[index];
  const TrialResult none;
  const TrialResult& result = trial.result ? *trial.result : none;
  const auto train_s = of_result(trial, [](const TrialResult& r) { return r.train_s; });
  table.row(point_key(trial.sweep, trial.point));
  table.html_cell(name_cell(report, index, report.trial_name(index)), report.trial_name(index));
  table.text_cell(state_text(trial));
  table.number_cell(
      trial.objective ? trial.objective : trial.objective_so_far,
      number_text(trial.objective ? trial.objective : trial.objective_so_far) + (trial.objective ? "" : " so far"));
  table.number_cell(of_result(trial, [](const TrialResult& r) { return static_cast<double>(r.best_step); }),
                    trial.result ? str(result.best_step, " / ", result.steps) : "-");
  table.number_cell(train_s, time_text(train_s));
  table.number_cell(trial.wall_s, time_text(trial.wall_s));
  table.number_cell(of_result(trial, [](const TrialResult& r) { return r.ms_per_step; }));
  const auto peak = result.peak_device_bytes > 0 ? std::optional<double>(result.peak_device_bytes) : std::nullopt;
  table.number_cell(peak, peak ? bytes_text(*peak) : "-");
  table.number_cell(static_cast<double>(trial.attempts.size()), str(trial.attempts.size()));
  table.text_cell(trial.result ? result.determinism : "-");
  table.text_cell(trial.result ? result.resume : "-");
  table.number_cell(static_cast<double>(trial.seed), str(trial.seed));
  table.text_cell(trial.recipe_hash.empty() ? "-" : trial.recipe_hash.substr(0, 8));
}

std::string trials_html(const Report& report) {
  HtmlTable table;
  table.column("trial", false);
  table.column("status", false);
  table.column(metric_title(report.metric), true);
  for (const char* name : {"best step", "training", "wall time", "ms/step", "peak memory", "attempts"}) {
    table.column(name, true);
  }
  table.column("determinism", false);
  table.column("resume", false);
  table.column("seed", true);
  table.column("recipe", false);
  for (std::size_t i = 0; i < report.trials.size(); ++i) {
    trial_cells(table, report, i);
  }
  return "<h2 id=\"trials\">How each trial ran</h2>\n<div class=\"dense\">\n" + table.html() + "</div>\n";
}

std::string term(std::string_view name, std::string_view value) {
  return value.empty() ? "" : str("<dt>", html_escape(name), "</dt><dd>", html_escape(value), "</dd>\n");
}

/// Distinct values of one member of the trials' provenance.
std::string distinct(const Report& report, std::size_t sweep, std::string Provenance::*member) {
  std::set<std::string> values;
  for (const ReportTrial& trial : report.trials) {
    if (trial.sweep == sweep && trial.result && !(trial.result->provenance.*member).empty()) {
      values.insert(trial.result->provenance.*member);
    }
  }
  return join(values, ", ");
}

/// The backend with what of a step ran by reference beside it, where a result says so.
std::string backends(const Report& report, std::size_t sweep) {
  std::set<std::string> values;
  for (const ReportTrial& trial : report.trials) {
    if (trial.sweep == sweep && trial.result) {
      const Provenance& provenance = trial.result->provenance;
      values.insert(provenance.parts.empty() ? provenance.backend : provenance.parts);
    }
  }
  values.erase("");
  return join(values, ", ");
}

std::string provenance_html(const Report& report) {
  std::string out = "<h2 id=\"provenance\">Provenance</h2>\n";
  for (std::size_t i = 0; i < report.sweeps.size(); ++i) {
    const ReportSweep& sweep = report.sweeps[i];
    out += "<dl>\n";
    out += term("sweep", sweep.name) + term("directory", sweep.directory) + term("identity", sweep.identity);
    out += term("search", str(sweep.sampler, ", ", sweep.trials, " trials, ", sweep.replicates,
                              sweep.replicates == 1 ? " seed" : " seeds", " per point"));
    out += term("data", distinct(report, i, &Provenance::archive)) +
           term("data fingerprint", distinct(report, i, &Provenance::data_fingerprint));
    out += term("trained with", distinct(report, i, &Provenance::build)) +
           term("libraries", distinct(report, i, &Provenance::torch));
    out += term("device", distinct(report, i, &Provenance::device)) + term("backend", backends(report, i)) +
           term("driver", distinct(report, i, &Provenance::driver));
    out += term("hosts", distinct(report, i, &Provenance::host));
    out += str("</dl>\n<details><summary>the resolved job</summary><pre>", html_block(dump_pretty(sweep.job)),
               "</pre></details>\n");
  }
  return out;
}

std::string notes_html(const Report& report) {
  if (report.notes.empty()) {
    return "";
  }
  std::string out = "<h2>Notes</h2>\n<ul>\n";
  for (const std::string& note : report.notes) {
    out += str("<li class=\"bad\">", html_escape(note), "</li>\n");
  }
  return out + "</ul>\n";
}

/// A row of links to the parts that the page has.
std::string nav_html(const Report& report, bool charts) {
  const bool failed = std::any_of(report.trials.begin(), report.trials.end(), has_failed);
  std::string out = "<nav>\n";
  const auto link = [&out](const char* part, const char* title) {
    out += str("<a href=\"#", part, "\">", title, "</a>\n");
  };
  link("best", "Leaderboard");
  if (charts) {
    link("search", "Search");
  }
  link("curves", "Curves");
  if (charts) {
    link("labels", "Labels and pairs");
    link("gpus", "GPUs");
  }
  if (failed) {
    link("failed", "Failed trials");
  }
  link("trials", "How each trial ran");
  link("provenance", "Provenance");
  return out + "</nav>\n";
}

std::string leaderboard_part(const Report& report) {
  std::string out =
      "<h2 id=\"best\">Leaderboard</h2>\n<div class=\"filter\"><input type=\"search\" data-table=\"leaderboard\" "
      "aria-label=\"filter of the leaderboard\" placeholder=\"filter: ";
  out +=
      html_escape(str(report.axes.empty() ? "rank" : report.axes.front().label, "<0.01 ", report.metric, ">0.7 text"));
  out += "\"><span class=\"soft\" id=\"leaderboard-count\" role=\"status\"></span></div>\n" + leaderboard_html(report);
  if (has_replicates(report)) {
    out +=
        "<p class=\"soft\">Each row is one point of the search: the mean over those of its trials that were scored. A "
        "point of which a trial ended without a finite number stands behind all others; std is the sample standard "
        "deviation.</p>\n";
  }
  if (has_statistics(report)) {
    out += str("<p class=\"soft\">95 % of pairs: bootstrap over ", report.statistics.pairs,
               " validation pairs. Against first: paired signed-rank test over them, p by Holm for ",
               report.statistics.comparisons, report.statistics.comparisons == 1 ? " comparison" : " comparisons",
               "; a tied point does not differ significantly from the first.</p>\n");
  }
  return out;
}

/// Places that the page's script fills; those that get no chart are taken away by it.
std::string chart_parts(const Report& report) {
  std::string out = legend_html(report);
  for (const auto& [part, title] : {std::pair("search", "Search"), std::pair("curves", "Learning curves"),
                                    std::pair("labels", "Labels and pairs"), std::pair("gpus", "GPUs")}) {
    out += str("<section id=\"", part, "\">\n<h2>", title, "</h2>\n</section>\n");
  }
  return out + "<noscript><p class=\"bad\">The charts need JavaScript; the tables do not.</p></noscript>\n";
}

}  // namespace

std::string page_html(const Report& report, std::string_view echarts) {
  const bool charts = !echarts.empty();
  const std::string title = html_escape(names_text(report));
  std::string out =
      str("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n",
          "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; ",
          "script-src 'unsafe-inline'; img-src data:\">\n",
          "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n", "<title>", title,
          " - Regatta report</title>\n<style>", kPageStyle, "</style>\n</head>\n<body>\n");
  out += str("<h1>", title, "</h1>\n<p class=\"soft\">", html_escape(counts_text(report.totals.by_status)),
             " &middot; objective: ", html_escape(report.metric), ", ", report.maximise ? "higher" : "lower",
             " is better</p>\n");
  out += nav_html(report, charts) + cards_html(report) + next_html(report) + leaderboard_part(report);
  out += charts ? chart_parts(report) : "<h2 id=\"curves\">Curves</h2>\n" + charts_html(report);
  out += failures_html(report) + trials_html(report) + notes_html(report) + provenance_html(report);
  out += str("<footer>Regatta ", html_escape(report.build), ". Every number with all its digits: report.json, schema ",
             kReportSchema, ".", charts ? " Charts by Apache ECharts, Apache License 2.0." : "", "</footer>\n");
  if (charts) {
    out += str("<script type=\"application/json\" id=\"report\">", script_json(page_data(report)),
               "</script>\n<script>", echarts, "</script>\n");
  }
  return out + str("<script>", kTablesScript, charts ? kChartsScript : "", "</script>\n</body>\n</html>\n");
}

std::string report_html(const Report& report) {
  return page_html(report, kEcharts);
}

}  // namespace regatta
