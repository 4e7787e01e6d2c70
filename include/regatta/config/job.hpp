// A job: one sweep. A base recipe, axes by JSON pointer into it, a sampler, totals and an objective.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "regatta/config/options.hpp"

namespace regatta {

inline constexpr int kJobSchema = 1;

/// One axis; exactly one of list, named, linear, log, integer, log_integer is given.
struct AxisOptions {
  Json list = Json::array();
  Json named = Json::object();
  std::vector<double> linear;
  std::vector<double> log;
  std::vector<int> integer;
  std::vector<int> log_integer;
  double step = 0.0;
  int points = 0;
  Json when = Json::object();

  template <class Self, class V>
  static void visit(Self& s, V&& v) {
    v("list", s.list, "list of values of any type");
    v("named", s.named, "the same as an object, name -> value: tables show the names");
    v("linear", s.linear, "[low, high]: evenly spaced or uniformly drawn");
    v("log", s.log, "[low, high], both positive: evenly spaced or uniformly drawn in the logarithm", at_least(0.0));
    v("integer", s.integer, "[low, high], both included");
    v("log_integer", s.log_integer, "[low, high] from 1, both included: uniformly drawn in the logarithm");
    v("step", s.step, "step of a linear or integer axis: low, low + step, ...; 0: any value of the range",
      at_least(0.0));
    v("points", s.points, "number of values that `grid` takes from a range", between(0, 100000));
    v("when", s.when, "the axis counts only where another one has this value, or one of a list: pointer -> value");
  }
};

struct ObjectiveOptions {
  std::string metric = "dice";
  std::string direction;

  template <class Self, class V>
  static void visit(Self& s, V&& v) {
    v("metric", s.metric, "validation metric that ranks the trials; one of the recipe's /validation/metrics");
    v("direction", s.direction, "maximise or minimise; empty: the metric's own", one_of({"", "maximise", "minimise"}));
  }
};

struct SobolOptions {
  bool scramble = true;

  template <class Self, class V>
  static void visit(Self& s, V&& v) {
    v("scramble", s.scramble,
      "from /seed; false: the sequence itself, whose first point is the low end of every range");
  }
};

struct TpeOptions {
  int startup = 10;
  int candidates = 24;

  template <class Self, class V>
  static void visit(Self& s, V&& v) {
    v("startup", s.startup, "points that must have ended before the model decides; random until then",
      between(1, 10000));
    v("candidates", s.candidates, "points drawn as the good ones lie, of which the most promising is taken",
      between(1, 10000));
  }
};

struct SchedulerOptions {
  std::string name = "none";
  int eta = 3;
  std::int64_t least = 0;
  std::int64_t most = 0;
  std::string form = "promote";

  template <class Self, class V>
  static void visit(Self& s, V&& v) {
    v("name", s.name, "which trials train further; `regatta plan` lists the schedulers");
    v("eta", s.eta, "asha: the best 1/eta of the points at a rung continue", between(2, 100));
    v("least", s.least, "asha: the first rung is after N epochs, rounded up to a validation; 0: 1/81 of the training",
      between(0, 10000000));
    v("most", s.most, "asha: no rung after N epochs; 0: rungs up to the end of the training", between(0, 10000000));
    v("form", s.form,
      "promote: trials wait at a rung and continue once they are among the best; stop: decided once, when they reach "
      "it",
      one_of({"promote", "stop"}));
  }
};

struct JobOptions {
  int schema = kJobSchema;
  std::string name = "sweep";
  Json recipe = Json::object();
  std::map<std::string, AxisOptions> axes;
  std::string sampler = "grid";
  SobolOptions sobol;
  TpeOptions tpe;
  Json enqueue = Json::array();
  std::vector<std::string> warm_start;
  std::int64_t seed = 0;
  std::int64_t trials = 0;
  double gpu_hours = 0.0;
  Json target;
  int replicates = 1;
  SchedulerOptions scheduler;
  ObjectiveOptions objective;
  Json objectives = Json::array();    ///< read by `objectives_of`
  Json constraints = Json::object();  ///< read by `constraints_of`
  int max_attempts = 3;
  int threads_per_trial = 0;
  int gpus_per_trial = 1;
  std::vector<std::string> idle;  ///< no option of the file: what its recipe gives without an effect there

  template <class Self, class V>
  static void visit(Self& s, V&& v) {
    v("schema", s.schema, "version of this file's layout", between(kJobSchema, kJobSchema));
    v("name", s.name, "name of the sweep and of its folder: letters, digits, '.', '_', '-'", not_identity());
    v("recipe", s.recipe, "the base recipe: an object, or the path of a recipe file, relative to the job's folder");
    v("axes", s.axes, "what varies: JSON pointer into the recipe -> axis");
    v("sampler", s.sampler, "how points are chosen; `regatta plan` lists the samplers");
    v("sobol", s.sobol, "");
    v("tpe", s.tpe, "");
    v("enqueue", s.enqueue,
      "points to try first: objects, axis -> value or its name; an axis that is left out keeps the recipe's value");
    v("warm_start", s.warm_start, "folders of sweeps over the same axes and data, whose results `tpe` starts from",
      not_identity());
    v("seed", s.seed, "seed of random points; replicate r trains with the recipe's /train/seed + r",
      between(0, 9007199254740991.0));
    v("trials", s.trials, "trials in total; 0: all points of the grid, times replicates",
      between(0, 10000000).not_identity());
    v("gpu_hours", s.gpu_hours,
      "GPU time of all trials in total, after which no training starts or continues; 0: no limit",
      between(0, 1e9).not_identity());
    v("target", s.target,
      "value of the objective: once a validation reaches it, no training starts or continues; null: none",
      not_identity());
    v("replicates", s.replicates, "trainings of each point, with different seeds", between(1, 1000));
    v("scheduler", s.scheduler, "");
    v("objective", s.objective, "");
    v("objectives", s.objectives,
      "instead of `objective` several metrics: a list of {metric, direction, reference}; the first is the recipe's "
      "/validation/best, reference the worst value that is worth anything");
    v("constraints", s.constraints,
      "limits of metrics: {\"folding\": {\"at_most\": 0.5}}; points that break one rank below all others");
    v("max_attempts", s.max_attempts, "failed attempts after which a trial is quarantined",
      between(1, 100).not_identity());
    v("threads_per_trial", s.threads_per_trial, "CPU threads of a trial; 0: the job's cores over its local ranks",
      between(0, 1024).not_identity());
    v("gpus_per_trial", s.gpus_per_trial, "GPUs of one trial", between(1, 1).not_identity());
  }
};

/// Reads a job, puts the recipe file's content in place of its path and checks what needs no model.
/// Paths inside the recipe become absolute. @throws ConfigError, DataError
JobOptions read_job(const std::filesystem::path& path);

/// Rules across fields: axis forms, axis pointers of known names, name characters. @throws ConfigError
void validate(const JobOptions& job);

}  // namespace regatta
