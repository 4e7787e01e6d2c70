// Job, directory, state and trials, before any rank works.
#include "launch/sweep_start.hpp"

#include <algorithm>

#include "regatta/base/log.hpp"

namespace regatta {
SweepStart::SweepStart(const SweepRun& run, Describer& describer, JobProbe& probe)
    : own_book(std::make_unique<TrialBook>()), book(*own_book) {
  job = read_job(run.job);
  apply_settings(job, run.settings);
  namespace fs = std::filesystem;
  const SweepFiles files{
      fs::absolute(run.directory.empty() ? fs::path("runs") / job.name : run.directory).lexically_normal()};
  const OpenedSweep opened = create_or_open(files, define_sweep(job, describer));
  asked_trials = opened.asked_trials;
  definition = opened.definition;
  const StaleRule stale{run.times.stale_s, run.times.stale_without_squeue_s, run.times.stop_s + run.times.heartbeat_s};
  sweep = std::make_unique<Sweep>(files, rules_of(definition), this_job(), probe, system_clock(), stale);
  const std::int64_t total = std::max(asked_trials, sweep->state().total());
  if (asked_trials < sweep->state().total()) {
    log_info("the job asks for ", asked_trials, " trials, the sweep has ", sweep->state().total(),
             " already: nothing is taken back");
  }
  book = TrialBook(definition, describer);
  book.describe(sweep->state().first_not_done(), total);
}

}  // namespace regatta
