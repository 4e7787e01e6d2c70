// Job, directory, state and trials, before any rank works.
#include "launch/sweep_start.hpp"

#include <utility>

#include "regatta/base/error.hpp"
#include "regatta/base/log.hpp"
#include "regatta/config/settings.hpp"
#include "regatta/sweep/given_job.hpp"
#include "regatta/sweep/next_command.hpp"

namespace regatta {
namespace {

/// Options of the command line that another one replaces. A sweep that is there continues as it was started.
void require_own_options(const SweepRun& run, const JobOptions& job, bool is_new) {
  const Json* threads = find_pointer(job.recipe, "/run/threads");
  REGATTA_REQUIRE(!is_new || run.threads == 0 || threads == nullptr || *threads == 0, ConfigError, "--threads ",
                  run.threads, ": has no effect, since the recipe's /run/threads is ", dump_line(*threads),
                  "; give --set /run/threads=", run.threads, " instead");
  for (const std::string& setting : run.settings) {
    REGATTA_REQUIRE(run.device.empty() || parse_setting(setting).pointer != "/run/device", ConfigError, "--set ",
                    one_line(setting, 80), ": is replaced by --device ", run.device, "; give one of them");
  }
}

}  // namespace

SweepStart::SweepStart(const SweepRun& run, Describer& describer, JobProbe& probe)
    : own_book(std::make_unique<TrialBook>()), book(*own_book) {
  const GivenJob given = read_given_job(run.job);
  job = given.job;
  const SweepFiles files = files_of(given, run.directory);
  const bool is_new = !std::filesystem::exists(files.job());
  apply_settings(job, run.settings, is_new);
  require_own_options(run, job, is_new);
  OpenedSweep opened = create_or_open(files, define_sweep(job, describer));
  as_born = is_as_born(files, opened.asked);
  const StaleRule stale{run.times.stale_s, run.times.stale_without_squeue_s, run.times.stop_s + run.times.heartbeat_s};
  sweep = std::make_unique<Sweep>(files, rules_of(opened.definition), this_job(), probe, system_clock(), stale);
  std::vector<std::string> said = opened.asked.notes;
  const auto read_state = [this]() -> const SweepState& {
    sweep->refresh();
    return sweep->state();
  };
  const std::vector<std::string> lent = lend_histories(files, opened.definition, read_state());
  said.insert(said.end(), lent.begin(), lent.end());
  definition = extend_sweep(files, std::move(opened), read_state, describer, said);
  sweep->decide_settings(definition.job);
  if (!given.sweep && extend_budget(files, job, sweep->state(), definition.maximise())) {
    sweep->refresh();
  }
  if (given.sweep) {
    said.clear();  // a folder asks for no more and no less than the sweep has
  }
  for (const std::string& line : said) {
    log_info(line);
  }
  book = TrialBook(definition, describer);
  book.describe(sweep->state().first_not_done(), sweep->state().total());
}

}  // namespace regatta
