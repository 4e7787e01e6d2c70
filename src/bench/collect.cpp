#include "regatta/bench/collect.hpp"

#include <algorithm>
#include <iostream>

#include <fcntl.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "bench/own_folder.hpp"
#include "regatta/base/clock.hpp"
#include "regatta/base/error.hpp"
#include "regatta/base/files.hpp"
#include "regatta/base/host_memory.hpp"
#include "regatta/base/random.hpp"
#include "regatta/base/version.hpp"
#include "regatta/config/recipe.hpp"
#include "regatta/report/collect.hpp"
#include "regatta/sweep/definition.hpp"
#include "regatta/sweep/journal.hpp"
#include "regatta/sweep/sweep.hpp"

namespace regatta::bench {
namespace {

namespace fs = std::filesystem;

constexpr int kShards = 16;   ///< jobs that worked on the sweep
constexpr int kReports = 10;  ///< validations of a trial
constexpr int kStepsPerReport = 1000;

/// Answers without models: the made-up sweep trains nothing.
class PlainDescriber final : public Describer {
 public:
  std::vector<Description> describe(const std::vector<Json>& recipes) override {
    std::vector<Description> answers;
    for (const Json& given : recipes) {
      const Recipe recipe = recipe_from_json(given, "/recipe");
      Description answer;
      answer.resolved = write_options(recipe);
      answer.identity = identity_of(recipe);
      answer.hash = hash_json(answer.identity);
      answer.steps = std::int64_t{kReports} * kStepsPerReport;
      answer.metrics = {{"dice", "maximise"}};
      answers.push_back(answer);
    }
    return answers;
  }
};

double made_up_dice(std::int64_t trial) {
  return CounterRng(7, RandomPurpose::kSynthetic).uniform(static_cast<std::uint64_t>(trial));
}

/// What a coordinator writes about a trial from its start to its end.
void write_trial(JournalWriter& writer, std::int64_t trial) {
  const double dice = made_up_dice(trial);
  const Json where = {{"trial", trial}, {"attempt", 1}};
  const auto append = [&](const char* type, Json fields) {
    fields.update(where);
    writer.append(type, std::move(fields));
  };
  writer.append("start", start_fields({trial, 1, "", 0}, static_cast<int>(trial % 4), "node1", str("recipe", trial)));
  for (int i = 1; i <= kReports; ++i) {
    const int step = i * kStepsPerReport;
    append("checkpoint", {{"step", step}});
    append("report", {{"step", step}, {"epoch", i}, {"metrics", {{"dice", dice * i / kReports}, {"ncc", 0.5}}}});
  }
  TrialResult result;
  result.recipe_hash = str("recipe", trial);
  result.steps = std::int64_t{kReports} * kStepsPerReport;
  result.best_metric = "dice";
  result.best_step = result.steps;
  result.best = {{"dice", dice}, {"ncc", 0.5}};
  result.initial = {{"dice", 0.0}, {"ncc", 0.1}};
  result.last = result.best;
  result.train_s = 3600.0;
  result.provenance = {build_id(),
                       "LibTorch",
                       "GPU",
                       "fast",
                       "driver",
                       "node1",
                       "brains.h5",
                       "f00d",
                       "2026-01-02T03:04:05Z",
                       "2026-01-02T04:04:05Z"};
  append("end", {{"status", "ok"}, {"step", result.steps}, {"message", ""}, {"result", to_json(result)}});
}

void make_sweep(const SweepFiles& files, std::int64_t trials) {
  JobOptions job;
  job.name = "bench-collect";
  job.recipe = Json::parse(R"({"data": {"archive": "/none.h5"}, "losses": {"ncc": {}, "grad": {}}})");
  job.axes["/optim/lr"].log = {1e-5, 1e-2};
  job.axes["/losses/grad/weight"].linear = {0.1, 10.0};
  job.sampler = "random";
  job.trials = trials;
  PlainDescriber describer;
  create_or_open(files, define_sweep(job, describer));
  for (int shard = 0; shard < kShards; ++shard) {
    JournalWriter writer(files.journal(), {"bench", str(shard), 0, true, ""});
    Owner owner{this_process(), {"bench", str(shard), 0, true, ""}, writer.shard()};
    writer.append("join", join_fields(owner, 4));
    for (std::int64_t trial = shard; trial < trials; trial += kShards) {
      write_trial(writer, trial);
    }
    writer.append("leave", {{"gained", true}});
    writer.commit();
  }
}

std::vector<fs::path> journals(const SweepFiles& files) {
  std::vector<fs::path> paths;
  for (const auto& entry : fs::directory_iterator(files.journal())) {
    paths.push_back(entry.path());
  }
  return paths;
}

/// Puts the journals out of the page cache; they are durable, so nothing has to be written first.
void forget(const SweepFiles& files) {
  for (const fs::path& path : journals(files)) {
    const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    ::posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
    ::close(fd);
  }
}

std::int64_t read_bytes(const SweepFiles& files) {
  std::int64_t bytes = 0;
  for (const fs::path& path : journals(files)) {
    bytes += static_cast<std::int64_t>(read_file(path).size());
  }
  return bytes;
}

void check(const Report& report, std::int64_t trials) {
  std::int64_t best = 0;
  for (std::int64_t trial = 1; trial < trials; ++trial) {
    best = made_up_dice(trial) > made_up_dice(best) ? trial : best;
  }
  const auto winner = report.winner();
  REGATTA_REQUIRE(report.totals.ranked == trials && winner && report.trials[*winner].number == best, BugError,
                  "collect: ", report.totals.ranked, " of ", trials, " trials are ranked, the winner should be trial ",
                  best);
}

template <class Body>
double seconds_of(Body&& body) {
  const double begin_s = system_clock().monotonic_s();
  body();
  return system_clock().monotonic_s() - begin_s;
}

double middle_of(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

}  // namespace

Json measure_collect(std::int64_t trials, int repeats) {
  const OwnFolder folder;
  const SweepFiles files{folder.path() / "sweep"};
  make_sweep(files, trials);
  Json report;
  report["schema"] = 1;
  report["benchmark"] = "collect";
  report["build"] = build_id();
  report["when"] = system_clock().utc_text();
  report["trials"] = trials;
  report["journals"] = kShards;
  report["bytes"] = read_bytes(files);
  report["repeats"] = repeats;
  for (const bool cold : {true, false}) {
    std::vector<double> read_s;
    std::vector<double> collect_s;
    std::vector<double> write_s;
    for (int i = 0; i < repeats; ++i) {
      const auto prepare = [&] { cold ? forget(files) : static_cast<void>(read_bytes(files)); };
      prepare();
      read_s.push_back(seconds_of([&] { read_bytes(files); }));
      prepare();
      Report collected;
      collect_s.push_back(seconds_of([&] { collected = read_report({files.root}); }));
      check(collected, trials);
      write_s.push_back(seconds_of([&] { write_report(collected, report_files_in(files.root)); }));
    }
    Json row = {{"read_s", middle_of(read_s)}, {"collect_s", middle_of(collect_s)}, {"write_s", middle_of(write_s)}};
    row["ratio"] = middle_of(collect_s) / middle_of(read_s);
    report[cold ? "cold" : "warm"] = row;
    std::cout << (cold ? "cold" : "warm") << ": reading "
              << bytes_text(static_cast<double>(report["bytes"].get<double>())) << " " << middle_of(read_s)
              << " s, collecting " << middle_of(collect_s) << " s (x " << row["ratio"].get<double>()
              << "), writing the report " << middle_of(write_s) << " s" << std::endl;
  }
  report["peak_resident_bytes"] = peak_resident_bytes();
  return report;
}

}  // namespace regatta::bench
