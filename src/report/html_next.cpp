#include "report/html_next.hpp"

#include <algorithm>

#include "regatta/base/shell.hpp"
#include "regatta/base/text.hpp"
#include "report/format.hpp"
#include "report/rows.hpp"

namespace regatta {
namespace {

std::string command_html(const std::string& why, const std::string& command) {
  return str("<p>", why, "</p>\n<pre class=\"command\">", html_escape(command), "</pre>\n");
}

std::string winner_command(const Report& report) {
  const auto winner = report.winner();
  if (!winner) {
    return str("<p class=\"none\">", html_escape(no_winner_text(report)), "</p>\n");
  }
  if (report.trials[*winner].weights.empty()) {
    return "<p class=\"bad\">The weights of the best trial are missing.</p>\n";
  }
  const bool one = report.ranking.front().trials.size() == 1;
  const std::string whose =
      one ? "" : html_escape(str(", those of the best trial of the best point, ", report.trial_name(*winner)));
  return command_html(str("Register two scans with the best weights", whose, ":"), register_command(report, *winner));
}

}  // namespace

std::string next_html(const Report& report) {
  std::string out = winner_command(report);
  for (std::size_t i = 0; i < report.sweeps.size(); ++i) {
    const ReportSweep& sweep = report.sweeps[i];
    const std::string name = report.sweeps.size() > 1 ? " " + html_escape(sweep.name) : "";
    if (!sweep.resume.empty()) {
      out += command_html(str("The sweep", name, " is not finished. It continues with:"), sweep.resume);
    }
    const auto failed = std::count_if(report.trials.begin(), report.trials.end(),
                                      [i](const ReportTrial& trial) { return trial.sweep == i && has_failed(trial); });
    if (failed > 0) {
      out += command_html(str(failed, failed == 1 ? " trial" : " trials", " of the sweep", name,
                              " failed. Give them another try with:"),
                          str("regatta retry ", shell_quote(sweep.directory), " --failed"));
    }
  }
  return out;
}

}  // namespace regatta
