// The simulated cluster: sizes, distributions and faults, each stated here with its default.
#pragma once

#include <cstdint>
#include <string>

#include "regatta/config/options.hpp"

namespace regatta::simulation {

struct SimulationOptions {
  int coordinators = 16;
  int ranks = 256;
  std::int64_t trials = 10000;
  std::int64_t seed = 1;
  std::string scheduler = "none";
  int eta = 3;
  std::string form = "promote";
  int replicates = 1;
  bool undisturbed = false;

  double join_within_s = 600;
  double job_start_s = 20;
  double time_limit_s = 4 * 3600;
  double leave_before_s = 300;
  double requeue_after_s = 300;
  double trial_s = 1800;
  double trial_sigma = 0.5;
  double child_start_s = 25;
  double checkpoint_every_s = 300;
  int reports = 3;
  double save_s = 4;

  double job_killed_h = 24;
  double kills_requeued = 0.5;
  double child_killed_h = 100;
  double attempt_fails = 0.02;
  double trial_diverges = 0.005;
  double trial_infeasible = 0.002;
  double cut_off_h = 48;
  double cut_off_s = 400;
  double write_torn = 0.001;

  double commit_s = 0.02;
  double claim_s = 0.01;
  double look_us = 20;
  double view_lag_s = 30;
  double list_lag_s = 60;
  double squeue_lag_s = 60;
  double squeue_silent = 0.05;

  template <class Self, class V>
  static void visit(Self& s, V&& v) {
    v("coordinators", s.coordinators, "jobs at the sweep at a time", between(1, 65536));
    v("ranks", s.ranks, "of a job", between(1, 65536));
    v("trials", s.trials, "of the sweep", between(1, 10000000));
    v("seed", s.seed, "of all that is random", at_least(0));
    v("scheduler", s.scheduler, "of the sweep", one_of({"none", "asha"}));
    v("eta", s.eta, "of asha", between(2, 100));
    v("form", s.form, "of asha", one_of({"promote", "stop"}));
    v("replicates", s.replicates, "of a point", between(1, 100));
    v("undisturbed", s.undisturbed,
      "compare the decisions with those of the same sweep without kills, failures and time limits: for one rank");
    v("join_within_s", s.join_within_s, "jobs first start uniformly within this time", at_least(0));
    v("job_start_s", s.job_start_s, "from a job's start to its event loop: 0.5 to 1.5 times this", at_least(0));
    v("time_limit_s", s.time_limit_s, "of a job", at_least(600));
    v("leave_before_s", s.leave_before_s, "signal before the limit", at_least(0));
    v("requeue_after_s", s.requeue_after_s, "from a job's end to its next start: 0.2 to 1.8 times this", at_least(0));
    v("trial_s", s.trial_s, "median training time of a trial, log-normal", at_least(1));
    v("trial_sigma", s.trial_sigma, "of its logarithm", at_least(0));
    v("child_start_s", s.child_start_s, "median from a child's start to its first step, log-normal, sigma 0.4",
      at_least(0));
    v("checkpoint_every_s", s.checkpoint_every_s, "of training", at_least(1));
    v("reports", s.reports, "validations of a trial, evenly spread", at_least(0));
    v("save_s", s.save_s, "a child's time to save when told to leave: 0.5 to 1.5 times this", at_least(0));
    v("job_killed_h", s.job_killed_h, "mean hours until a whole job is killed", at_least(0.01));
    v("kills_requeued", s.kills_requeued, "share of killed jobs that Slurm requeues; the others are gone",
      between(0, 1));
    v("child_killed_h", s.child_killed_h, "mean hours until a child is killed", at_least(0.01));
    v("attempt_fails", s.attempt_fails, "share of attempts that fail at a random place", between(0, 1));
    v("trial_diverges", s.trial_diverges, "share of trials that diverge at a random place", between(0, 1));
    v("trial_infeasible", s.trial_infeasible, "share of trials that are out of memory at every start", between(0, 1));
    v("cut_off_h", s.cut_off_h, "mean hours until a job's journal stalls", at_least(0.01));
    v("cut_off_s", s.cut_off_s, "how long it stalls: up to twice this, uniform", at_least(0));
    v("write_torn", s.write_torn, "share of commits that fail half-way", between(0, 1));
    v("commit_s", s.commit_s, "of a group commit: 0.5 to 1.5 times this", at_least(0));
    v("claim_s", s.claim_s, "of a claim made, during which its coordinator waits", at_least(0));
    v("look_us", s.look_us, "of a look at one shard, during which its coordinator waits", at_least(0));
    v("view_lag_s", s.view_lag_s, "how far a machine's view of others' shards and files is behind, at most",
      at_least(0));
    v("list_lag_s", s.list_lag_s, "how far its listing of the journal's directory is behind, at most", at_least(0));
    v("squeue_lag_s", s.squeue_lag_s, "squeue still lists a job that has ended for so long", at_least(0));
    v("squeue_silent", s.squeue_silent, "share of hours in which squeue does not answer", between(0, 1));
  }
};

}  // namespace regatta::simulation
