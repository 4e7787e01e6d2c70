// Pages for test/browser, written where REGATTA_PAGES says: a small sweep with failures, one of 500 trials, hostile
// names.
#include <cmath>
#include <cstdlib>

#include "regatta/base/files.hpp"
#include "regatta/report/collect.hpp"
#include "support/catch.hpp"
#include "unit/report/sample_sweep.hpp"

namespace regatta::test {
namespace {

constexpr int kLargeTrials = 500;

/// Uniform in [0, 1), the same for the same place.
double draw(int trial, int place) {
  const double wave = std::sin(12.9898 * trial + 78.233 * place) * 43758.5453;
  return wave - std::floor(wave);
}

std::string time_text(int seconds) {
  const auto two = [](int value) { return str(value < 10 ? "0" : "", value); };
  return str("2026-11-24T", two(seconds / 3600), ":", two(seconds / 60 % 60), ":", two(seconds % 60), "Z");
}

/// 80 labels, 20 pairs.
std::vector<PairValues> large_pairs(int number, double dice) {
  std::vector<PairValues> pairs(20);
  for (int i = 0; i < 20; ++i) {
    pairs[static_cast<std::size_t>(i)] = {str("s", i), str("s", i + 1), {{"dice", dice + 0.05 * draw(number, i)}}};
    for (int label = 1; label <= 80; ++label) {
      pairs[static_cast<std::size_t>(i)].values[str("dice/", label)] = dice * (0.8 + 0.3 * draw(label, i));
    }
  }
  return pairs;
}

/// Trial `number` on one of 16 GPUs; every 17th diverges.
ReportTrial large_trial(int number) {
  constexpr int kSteps = 20000;
  ReportTrial trial;
  trial.number = trial.point = number;
  const double lr = std::pow(10.0, -5.0 + 3.0 * draw(number, 1));
  const double weight = 4.0 * draw(number, 2);
  const bool diverges = number % 17 == 3;
  trial.axes = {
      {"/optim/lr", lr}, {"/losses/grad/weight", weight}, {"/model/name", number % 3 == 0 ? "vfa" : "lkunet"}};
  trial.status = diverges ? "diverged" : "ok";
  trial.steps = kSteps;
  trial.step = diverges ? 3000 : kSteps;
  const double limit = 0.78 - 0.03 * std::pow(std::log10(lr / 4e-4), 2) - 0.01 * std::abs(weight - 1.5) +
                       0.01 * draw(number, 3) + (number % 3 == 0 ? 0.01 : 0.0);
  for (int step = 0; step <= trial.step; step += 100) {
    const double dice = limit - (limit - 0.5) * std::exp(-step / 3000.0);
    trial.train_loss.add(
        step, diverges && step > 2500 ? std::pow(10.0, step / 250.0) : 1.2 - dice + 0.1 * draw(number, step));
    if (step % 500 == 0) {
      trial.validation.add(step, dice + 0.004 * draw(number, step + 1));
    }
  }
  const int start = number / 16 * 1800 + number % 16 * 3;
  trial.attempts = {{1, diverges ? "diverged" : "ok", trial.step, str("node", number % 16 / 4), "", number % 4,
                     time_text(start), time_text(start + (diverges ? 400 : 1780))}};
  if (diverges) {
    trial.message = "loss became nan, pair s03 -> s01";
    return trial;
  }
  TrialResult result;
  result.steps = result.best_step = kSteps;
  result.best_metric = "dice";
  result.best = {{"dice", trial.validation.value.back()}, {"folding", 0.2 * weight}};
  result.initial = {{"dice", 0.5}};
  result.train_s = 1780;
  result.ms_per_step = 89;
  result.provenance.finished_utc = trial.attempts.front().ended_utc;
  trial.objective = trial.validation.value.back();
  trial.result = result;
  trial.weights = "best.safetensors";
  trial.pairs = large_pairs(number, *trial.objective);
  return trial;
}

Report large_report() {
  Report report;
  report.build = "0.1.0";
  report.metric = "dice";
  report.axes = {{"/losses/grad/weight", "", false}, {"/model/name", "", false}, {"/optim/lr", "", true}};
  label_axes(report.axes);
  ReportSweep sweep;
  sweep.name = "large";
  sweep.directory = "/scratch/large";
  sweep.sampler = "random";
  sweep.trials = kLargeTrials;
  report.sweeps = {sweep};
  for (int number = 0; number < kLargeTrials; ++number) {
    report.trials.push_back(large_trial(number));
  }
  rank(report);
  return report;
}

}  // namespace

TEST_CASE("a page of 500 trials takes little beside its data") {
  const std::string html = report_html(large_report());
  const std::size_t data = html.find("<script type=\"application/json\"");
  const std::size_t data_size = data == std::string::npos ? 0 : html.find("</script>", data) - data;
  CHECK(html.size() - data_size < 2'000'000);
  CHECK(data_size < 6'000'000);
}

TEST_CASE("pages for the tests in a browser", "[.][pages]") {
  const char* folder = std::getenv("REGATTA_PAGES");
  REQUIRE(folder != nullptr);
  const std::filesystem::path out(folder);
  SampleOptions options;
  options.trials = 12;
  SampleSweep sweep(out / "brains", options);
  run_sample(sweep);
  for (std::int64_t trial = 6; trial < 12; ++trial) {
    sweep.run(trial);
  }
  SampleSweep done(out / "done");
  for (std::int64_t trial = 0; trial < 6; ++trial) {
    done.run(trial);
  }
  write_file_atomically(out / "small.html", report_html(read_report({sweep.root()})));
  write_file_atomically(out / "large.html", report_html(large_report()));
  write_file_atomically(out / "hostile.html", report_html(hostile_report()));
}

}  // namespace regatta::test
