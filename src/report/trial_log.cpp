#include "regatta/report/trial_log.hpp"

#include <algorithm>
#include <fstream>

#include "regatta/base/error.hpp"
#include "regatta/base/shell.hpp"
#include "report/read_sweep.hpp"

namespace regatta {

namespace fs = std::filesystem;

TrialLog find_trial_log(const fs::path& sweep, std::int64_t trial, int attempt) {
  const JournalView view = read_journal(sweep);
  REGATTA_REQUIRE(trial >= 0 && trial < view.state.total(), ConfigError, sweep.string(), ": trial ", trial,
                  ", the sweep has trials 0 to ", view.state.total() - 1);
  const TrialState state = view.state.trial(trial);
  const TrialFiles files = view.files.trial(trial);
  TrialLog log;
  log.name = trial_name(trial);
  log.status = view.status_of(state);
  log.attempts = state.attempts;
  log.attempt = attempt > 0 ? attempt : state.attempts;
  REGATTA_REQUIRE(log.attempt <= state.attempts, ConfigError, sweep.string(), ": ", log.name, " attempt ", attempt,
                  ", so far there are ", state.attempts);
  if (state.status != TrialStatus::kOk) {
    log.message = message_text(state.message, state.step);
  }
  if (log.attempt > 0) {
    log.file = files.log(log.attempt);
    log.reproduce = reproduce_command(files.recipe(), view.definition.job.name, log.name);
  }
  return log;
}

std::vector<std::string> last_lines_of(const fs::path& path, std::size_t count) {
  constexpr std::streamoff kTail = 65536;
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  if (!file) {
    return {};
  }
  const std::streamoff size = file.tellg();
  std::string tail(static_cast<std::size_t>(std::min(size, kTail)), '\0');
  file.seekg(size - std::min(size, kTail));
  file.read(tail.data(), static_cast<std::streamsize>(tail.size()));
  std::vector<std::string> lines = split(tail, '\n');
  if (size > kTail) {
    lines.erase(lines.begin());  // begins somewhere in its middle
  }
  for (std::string& line : lines) {
    const std::string_view text = trim(std::string_view(line));
    const std::size_t overwritten = text.find_last_of('\r');  // by a progress bar
    line = one_line(overwritten == std::string_view::npos ? text : text.substr(overwritten + 1));
  }
  std::erase(lines, "");
  lines.erase(lines.begin(), lines.end() - static_cast<std::ptrdiff_t>(std::min(count, lines.size())));
  return lines;
}

std::string reproduce_command(const fs::path& recipe, const std::string& sweep_name, const std::string& trial) {
  return str("regatta train ", shell_quote(fs::absolute(recipe).lexically_normal().string()), " -o ",
             shell_quote((fs::path("runs") / str(sweep_name, "-", trial)).string()));
}

}  // namespace regatta
