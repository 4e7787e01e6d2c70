#include "unit/report/sample_sweep.hpp"

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <fstream>

#include "regatta/base/checksum.hpp"
#include "regatta/base/files.hpp"
#include "regatta/config/recipe.hpp"

namespace regatta::test {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kSteps = 150;

class SampleDescriber : public Describer {
 public:
  explicit SampleDescriber(const SampleOptions& options) : options_(options) {}

  std::vector<Description> describe(const std::vector<Json>& recipes) override {
    std::vector<Description> answers;
    for (const Json& recipe : recipes) {
      Description answer;
      answer.resolved = recipe;
      answer.identity = identity_of(recipe_from_json(recipe, "/recipe"));
      answer.hash = hash_json(answer.identity);
      answer.parameters = 301411;
      answer.mul_adds = 1.2e9;
      answer.size_multiple = 16;
      answer.forecast_bytes = 420000000;
      answer.steps = options_.steps;
      answer.metrics = {{"dice", "maximise"}, {"folding", "minimise"}, {"ncc", "maximise"}};
      answer.data = {{"fingerprint", options_.fingerprint},
                     {"shape", {32, 48, 32}},
                     {"train_pairs", 8},
                     {"val_pairs", 3},
                     {"label_count", 29}};
      answers.push_back(std::move(answer));
    }
    return answers;
  }

 private:
  SampleOptions options_;
};

JobOptions sample_job(const SampleOptions& options) {
  JobOptions job;
  job.name = options.name;
  job.recipe = parse_json(R"({"data": {"archive": "/data/brains.h5"}, "train": {"steps": 150, "seed": 7},
    "losses": {"ncc": {"weight": 1}, "grad": {"weight": 1}}, "optim": {"lr": 0.001},
    "validation": {"metrics": ["dice", "ncc", "folding"]}})",
                          "sample");
  job.recipe["validation"]["best"] = options.metric;
  job.recipe["train"]["steps"] = options.steps;
  job.recipe["data"]["val_split"] = options.val_split;
  job.axes["/optim/lr"].log = {1e-4, 1e-2};
  if (!options.weight_axis.empty()) {
    job.axes[options.weight_axis].list = options.named.empty() ? options.list : Json::array();
    job.axes[options.weight_axis].named = options.named;
  }
  job.sampler = "random";
  job.seed = options.seed;
  job.trials = options.trials;
  job.replicates = options.replicates;
  job.objective.metric = options.metric;
  return job;
}

std::string utc_at(double seconds) {
  const auto whole = static_cast<int>(seconds);
  const auto two = [](int value) { return str(value < 10 ? "0" : "", value); };
  return str("2026-11-24T", two(3 + whole / 3600), ":", two(whole / 60 % 60), ":", two(whole % 60), "Z");
}

/// Without fsync: the tests write hundreds of files.
void write_text(const fs::path& path, const std::string& text) {
  std::ofstream(path, std::ios::binary) << text;
}

void append_text(const fs::path& path, const std::string& text) {
  fs::create_directories(path.parent_path());
  std::ofstream(path, std::ios::app | std::ios::binary) << text;
}

}  // namespace

std::string SetClock::utc_text() const {
  return utc_at(seconds);
}

SampleSweep::SampleSweep(fs::path root, const SampleOptions& options) : files_{std::move(root)} {
  SampleDescriber describer(options);
  definition_ = create_or_open(files_, define_sweep(sample_job(options), describer)).definition;
  plans_ = plan_trials(definition_, 0, definition_.trials, describer);
  owner_.process = this_process();
  owner_.place = this_job();
  journal_ = std::make_unique<JournalWriter>(files_.journal(), owner_.place, clock_);
  owner_.shard = journal_->shard();
  journal_->append("join", join_fields(owner_, 2));
  journal_->commit();
}

void SampleSweep::start(std::int64_t trial, int attempt, std::int64_t resume_step) {
  const TrialPlan& plan = plans_.at(static_cast<std::size_t>(trial));
  const TrialFiles files = files_.trial(trial);
  fs::create_directories(files.attempt(attempt));
  write_text(files.recipe(), dump_pretty(plan.description.resolved));
  const NextTrial next{trial, attempt, attempt > 1 ? "signal" : "", resume_step};
  journal_->append("start", start_fields(next, 0, "node1", plan.description.hash));
  commit();
  started_.try_emplace(trial, clock_.utc_text());
}

double SampleSweep::dice(std::int64_t trial, std::int64_t step) const {
  const Point& point = plans_.at(static_cast<std::size_t>(trial)).trial.point;
  const double lr = point.at("/optim/lr").get<double>();
  const auto axis = point.find("/losses/grad/weight");
  const double weight = axis == point.end() ? 1.0 : axis->second.get<double>();
  const int replicate = plans_.at(static_cast<std::size_t>(trial)).trial.replicate;
  const double limit =
      0.50 - 0.03 * std::pow(std::log10(lr / 2e-3), 2) - 0.015 * std::abs(std::log2(weight)) + 0.003 * replicate;
  return limit - (limit - 0.37) * std::exp(-static_cast<double>(step) / 45.0);
}

void SampleSweep::train(std::int64_t trial, int attempt, std::int64_t from_step, std::int64_t to_step) {
  std::string text = metric_line_text({MetricLine::Kind::kStart, from_step, 0, 0.0, 0.0, {}});
  for (std::int64_t step = from_step; step <= to_step; ++step) {
    const double now = dice(trial, step);
    if (step % 2 == 0 && step > from_step) {
      const double wave = 0.01 * std::sin(static_cast<double>(step * (trial + 3)));
      text += metric_line_text(
          {MetricLine::Kind::kTrain, step, step / 8, 1e-3, 381.25, {{"total", 0.35 - now + wave}, {"ncc", 0.3 - now}}});
    }
    if (step % 15 == 0 && (step > from_step || step == 0)) {
      const std::map<std::string, double> metrics = {
          {"dice", now}, {"folding", 0.001 * (1.0 - now)}, {"ncc", now - 0.2}};
      text += metric_line_text({MetricLine::Kind::kValidation, step, step / 8, 0.0, 0.0, metrics});
      journal_->append(
          "report",
          {{"trial", trial}, {"attempt", attempt}, {"step", step}, {"epoch", step / 8}, {"metrics", metrics}});
    }
  }
  append_text(files_.trial(trial).metrics(attempt), text);
  commit();
}

void SampleSweep::fail(std::int64_t trial, int attempt, AttemptStatus status, std::int64_t step,
                       const std::string& message) {
  journal_->append(
      "end",
      {{"trial", trial}, {"attempt", attempt}, {"status", status_name(status)}, {"step", step}, {"message", message}});
  commit();
}

TrialResult SampleSweep::result_of(std::int64_t trial, int attempt) const {
  TrialResult result;
  result.recipe_hash = plans_.at(static_cast<std::size_t>(trial)).description.hash;
  result.steps = kSteps;
  result.epochs = 19;
  result.parameters = 301411;
  result.best_metric = definition_.job.objective.metric;
  result.best_step = kSteps;
  result.best = {
      {"dice", dice(trial, kSteps)}, {"dice/17", 0.4}, {"folding", 0.001}, {"ncc", dice(trial, kSteps) - 0.2}};
  result.initial = {{"dice", 0.37}, {"folding", 0.0}, {"ncc", 0.17}};
  result.last = result.best;
  result.train_s = 57.1875;
  result.ms_per_step = 381.25;
  result.resume = attempt > 1 ? "bitwise" : "none";
  result.attempts = attempt;
  result.weights_xxh3 = xxh3_text(str("weights of ", trial));
  result.provenance = {"0.1.0 4f2a91c03b7e", "2.11.0+cpu",       "AMD EPYC 7763",    "reference",      "", "node1",
                       "/data/brains.h5",    "57a1c3e2b4d60f98", started_.at(trial), clock_.utc_text()};
  return result;
}

void SampleSweep::finish(std::int64_t trial, int attempt, const std::function<void(TrialResult&)>& change) {
  const TrialFiles files = files_.trial(trial);
  TrialResult changed = result_of(trial, attempt);
  if (change) {
    change(changed);
  }
  const Json result = to_json(changed);
  write_text(files.result(), dump_pretty(result));
  write_text(files.best_weights(), str("weights of ", trial));
  journal_->append("end", {{"trial", trial},
                           {"attempt", attempt},
                           {"status", "ok"},
                           {"step", kSteps},
                           {"message", ""},
                           {"result", result}});
  commit();
}

void SampleSweep::run(std::int64_t trial, const std::function<void(TrialResult&)>& change) {
  hold_ = true;
  start(trial);
  clock_.seconds += 60;
  train(trial, 1, 0, kSteps);
  hold_ = false;
  finish(trial, 1, change);
}

void SampleSweep::commit() {
  if (!hold_) {
    journal_->commit();
  }
}

void run_sample(SampleSweep& sweep) {
  sweep.run(0);
  sweep.run(1);
  sweep.run(2);
  sweep.start(3);
  sweep.train(3, 1, 0, 70);
  sweep.fail(3, 1, AttemptStatus::kSignal, 70, "signal 9");
  sweep.start(3, 2, 60);
  sweep.train(3, 2, 60, 150);
  sweep.finish(3, 2);
  sweep.start(4);
  write_file_atomically(sweep.files().trial(4).log(1), "step 1\nloss is not a number\n");
  sweep.fail(4, 1, AttemptStatus::kDiverged, 10, "step 10: loss became nan, pair s03 -> s01");
  sweep.start(5);
  sweep.train(5, 1, 0, 60);
}

Report hostile_report() {
  const std::string hostile = "<script>alert('x')</script>\"&\xff";
  Report report;
  report.build = "0.1.0 " + hostile;
  report.metric = "dice";
  report.axes = {{"/losses/grad/weight", "", true}, {"/model/name", "", false}};
  label_axes(report.axes);
  ReportSweep sweep;
  sweep.name = "brains";
  sweep.identity = "89abcdef01234567";
  sweep.directory = "/scratch/it's here/" + hostile;
  sweep.job = {{"name", "brains"}, {"recipe", {{"data", {{"archive", hostile}}}}}};
  sweep.sampler = "grid";
  sweep.trials = 6;
  sweep.replicates = 2;
  report.sweeps = {sweep};
  for (std::int64_t number = 0; number < 6; ++number) {
    ReportTrial trial;
    trial.number = number;
    trial.point = number / 2;
    trial.replicate = static_cast<int>(number % 2);
    trial.seed = 7 + trial.replicate;
    trial.axes = {{"/losses/grad/weight", std::pow(10.0, static_cast<double>(trial.point) - 2.0)},
                  {"/model/name", trial.point == 1 ? Json(hostile) : Json("=voxelmorph,2")}};
    trial.status = number < 3 ? "ok" : number == 3 ? "quarantined" : number == 4 ? "running" : "waiting";
    trial.steps = 100;
    report.trials.push_back(trial);
  }
  const auto finish = [&](std::size_t index, double dice) {
    ReportTrial& trial = report.trials[index];
    TrialResult result;
    result.recipe_hash = "0123456789abcdef";
    result.steps = 100;
    result.best_metric = "dice";
    result.best_step = 80;
    result.best = {{"dice", dice}, {"sdlogj", 0.0123456789}};
    result.initial = {{"dice", 0.3}};
    result.last = {{"dice", dice}};
    result.train_s = 12.5;
    result.ms_per_step = 125.0;
    result.peak_device_bytes = 1 << 30;
    result.weights_xxh3 = "fedcba9876543210";
    result.provenance.host = hostile;
    result.provenance.finished_utc = str("2026-11-24T03:00:0", 9 - index, "Z");
    trial.result = result;
    trial.recipe_hash = result.recipe_hash;
    trial.objective = dice;
    trial.wall_s = 14.0;
    trial.weights = "trials/" + regatta::trial_name(trial.number) + "/best.safetensors";
    trial.attempts = {{1, "ok", 100, "node1", ""}};
    trial.step = 100;
    trial.train_loss.add(10, 0.9);
    trial.train_loss.add(100, 0.25);
    trial.validation.add(0, 0.3);
    trial.validation.add(80, dice);
  };
  finish(0, 0.625);
  finish(1, 0.75);
  finish(2, std::nan(""));
  report.trials[1].pairs = {{"s01", hostile, {{"dice", 0.75}, {"dice/17", 0.7}}}};
  report.trials[3].attempts = {{1, "signal", 10, hostile, hostile}};
  report.trials[3].message = "signal 11 " + hostile;
  report.trials[3].log_tail = {"step 9: loss 0.5", hostile};
  report.trials[3].reproduce = "regatta train /sweep/trials/t00003/recipe.json -o runs/sweep-t00003";
  report.trials[4].step = 40;
  report.trials[4].objective_so_far = 0.5;
  report.notes = {"t00002: " + hostile};
  rank(report);
  return report;
}

std::string golden(const std::string& name, const std::string& text) {
  const fs::path path = fs::path(REGATTA_SOURCE_DIR) / "test" / "golden" / name;
  if (std::getenv("REGATTA_REGOLD") != nullptr) {
    write_file_atomically(path, text);
  }
  return read_file(path);
}

}  // namespace regatta::test
