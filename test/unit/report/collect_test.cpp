// Reading sweep directories made by code: finished, half-way, damaged, several at once; and what `status` says of them.
#include <filesystem>
#include <fstream>
#include <sstream>

#include "regatta/base/error.hpp"
#include "regatta/base/files.hpp"
#include "regatta/report/collect.hpp"
#include "regatta/report/status.hpp"
#include "support/catch.hpp"
#include "support/temporary_folder.hpp"
#include "unit/report/sample_sweep.hpp"

namespace regatta::test {
namespace {

namespace fs = std::filesystem;

/// Ends with trial 4 failed and trial 5 paused at step 60; trial 3 was killed once.
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
  sweep.fail(4, 1, AttemptStatus::kDiverged, 10, "loss became nan at step 10, pair s03 -> s01");
  sweep.start(5);
  sweep.train(5, 1, 0, 60);
}

bool mentions(const std::vector<std::string>& notes, const std::string& what) {
  for (const std::string& note : notes) {
    if (note.find(what) != std::string::npos) {
      return true;
    }
  }
  return false;
}

}  // namespace

TEST_CASE("a sweep half-way gives a report with every trial's state") {
  const TemporaryFolder folder;
  SampleSweep sweep(folder / "brains");
  run_sample(sweep);
  const Report report = read_report({sweep.root()});
  CHECK(report.notes.empty());
  REQUIRE(report.trials.size() == 6);
  CHECK(report.totals.by_status == std::map<std::string, std::int64_t>{{"diverged", 1}, {"ok", 4}, {"running", 1}});
  CHECK(report.trials[0].objective == sweep.dice(0, 150));
  CHECK(report.trials[0].weights == "trials/t00000/best.safetensors");
  CHECK(report.trials[0].wall_s == 60.0);
  CHECK(report.trials[0].seed == 7);
  CHECK(report.trials[0].validation.step.size() == 11);
  CHECK(report.trials[3].attempts.size() == 2);
  CHECK(report.trials[3].attempts[0].status == "signal");
  CHECK(report.trials[3].attempts[1].status == "ok");
  // The second attempt began at step 60: what the first wrote beyond it is not shown twice.
  CHECK(report.trials[3].train_loss.step.size() == 75);
  CHECK(report.trials[4].status == "diverged");
  CHECK(report.trials[4].message == "loss became nan at step 10, pair s03 -> s01");
  CHECK(report.trials[4].log_tail.back() == "loss is not a number");
  CHECK(report.trials[4].reproduce.starts_with("regatta train /"));
  CHECK(report.trials[5].status == "running");
  CHECK(report.trials[5].step == 60);
  CHECK(report.trials[5].steps == 150);
  CHECK(report.trials[5].objective_so_far == sweep.dice(5, 60));
  CHECK_FALSE(report.trials[5].objective);
  CHECK(report.ranking.size() == 6);
  CHECK(report.ranking[4].rank == 0);
}

TEST_CASE("collecting twice gives the same files and touches nothing") {
  const TemporaryFolder folder;
  SampleSweep sweep(folder / "brains");
  run_sample(sweep);
  const ReportFiles files = report_files_in(sweep.root());
  write_report(read_report({sweep.root()}), files);
  const std::string json = read_file(files.json);
  const std::string html = read_file(files.html);
  const auto written = fs::last_write_time(files.html);
  write_report(read_report({sweep.root()}), files);
  CHECK(read_file(files.json) == json);
  CHECK(read_file(files.html) == html);
  CHECK(fs::last_write_time(files.html) == written);
  CHECK(parse_json(json, "report.json")["schema"] == kReportSchema);
}

TEST_CASE("a killed and resumed sweep reports the same as an undisturbed one, but for volatile members") {
  const TemporaryFolder folder;
  SampleSweep calm(folder / "calm");
  SampleSweep killed(folder / "killed");
  for (std::int64_t trial = 0; trial < 6; ++trial) {
    calm.run(trial);
  }
  for (const std::int64_t trial : {5, 4, 2, 1, 0}) {
    killed.run(trial);
  }
  killed.start(3);
  killed.train(3, 1, 0, 70);
  killed.start(3, 2, 60);
  killed.clock().seconds += 500;
  killed.train(3, 2, 60, 150);
  killed.finish(3, 2);
  const Json one = to_json(read_report({calm.root()}));
  const Json two = to_json(read_report({killed.root()}));
  CHECK(one != two);
  CHECK(dump_pretty(mask_volatile(one)) == dump_pretty(mask_volatile(two)));
}

TEST_CASE("missing and broken files of a trial are named, not fatal") {
  const TemporaryFolder folder;
  SampleSweep sweep(folder / "brains");
  run_sample(sweep);
  write_file_atomically(sweep.files().trial(0).result(), "{\"schema\": 1, ");
  fs::remove(sweep.files().trial(1).result());
  fs::remove(sweep.files().trial(2).best_weights());
  write_file_atomically(sweep.files().trial(3).recipe(), "not json");
  std::ofstream(sweep.files().journal() / "foreign.jsonl") << "garbage\n";
  const Report report = read_report({sweep.root()});
  CHECK(mentions(report.notes, "t00000"));
  CHECK(mentions(report.notes, "not JSON"));
  CHECK(mentions(report.notes, "the journal's copy is used"));
  CHECK(mentions(report.notes, "best.safetensors: missing"));
  CHECK(mentions(report.notes, "t00003"));
  CHECK(mentions(report.notes, "journal: 1 torn or foreign line left out"));
  CHECK(report.trials[0].objective == sweep.dice(0, 150));
  CHECK(report.trials[1].objective == sweep.dice(1, 150));
  CHECK(report.trials[2].weights.empty());
  CHECK(report.trials[3].status == "ok");
}

TEST_CASE("weights that changed after they were ranked are named") {
  const TemporaryFolder folder;
  SampleSweep sweep(folder / "brains");
  run_sample(sweep);
  const Report before = read_report({sweep.root()});
  CHECK(before.notes.empty());
  write_file_atomically(before.weights_path(*before.winner()), "other weights");
  CHECK(mentions(read_report({sweep.root()}).notes, "these are not the weights that were ranked"));
}

TEST_CASE("a sweep without a finished trial gives a report that says so") {
  const TemporaryFolder folder;
  SampleSweep sweep(folder / "brains");
  const Report report = read_report({sweep.root()});
  CHECK(report.totals.by_status.at("waiting") == 6);
  CHECK_FALSE(report.winner());
  std::ostringstream out;
  print_leaderboard(out, report);
  CHECK(out.str().find("no trial has finished yet") != std::string::npos);
  Report finished = report;
  finished.totals.by_status["ok"] = 2;
  out.str("");
  print_leaderboard(out, finished);
  CHECK(out.str().find("no trial to rank: 2 finished, and 'dice' was never a number") != std::string::npos);
  CHECK(to_json(report)["winner"].is_null());
  CHECK_FALSE(leaderboard_csv(report).empty());
}

TEST_CASE("the terminal shows the table, the weights and the command") {
  const TemporaryFolder folder;
  SampleSweep sweep(folder / "my brains");
  run_sample(sweep);
  std::ostringstream out;
  print_leaderboard(out, read_report({sweep.root()}), 3);
  const std::string text = out.str();
  CHECK(text.find("rank  trial") == 0);
  CHECK(text.find("grad/weight") != std::string::npos);
  CHECK(text.find("... and 3 more") != std::string::npos);
  CHECK(text.find("regatta register --model '/") != std::string::npos);
  CHECK(text.find("/my brains/trials/t0000") != std::string::npos);
}

TEST_CASE("several sweeps are merged over the union of their axes") {
  const TemporaryFolder folder;
  SampleSweep first(folder / "a");
  SampleOptions options;
  options.seed = 3;
  options.weight_axis.clear();
  SampleSweep second(folder / "b", options);
  run_sample(first);
  run_sample(second);
  const Report report = read_report({folder / "a", folder / "b", folder.path() / "a" / "."});
  REQUIRE(report.sweeps.size() == 2);
  CHECK(report.trial_name(0) == "a t00000");
  CHECK(report.trial_name(6) == "b t00000");
  REQUIRE(report.axes.size() == 2);
  // The second sweep does not vary the weight: its recipes say 1.
  CHECK(report.trials[6].axes.at("/losses/grad/weight") == 1.0);
  CHECK(report.ranking.size() == 12);
}

TEST_CASE("the same training in two sweeps is noted once") {
  const TemporaryFolder folder;
  SampleSweep first(folder / "a");
  SampleSweep second(folder / "b");
  run_sample(first);
  run_sample(second);
  const Report report = read_report({first.root(), second.root()});
  REQUIRE(report.notes.size() == 1);
  CHECK(report.notes[0] == "a and b: 6 trainings stand in both: a t00000 = b t00000");
}

TEST_CASE("sweeps with different objectives are refused") {
  const TemporaryFolder folder;
  SampleSweep first(folder / "a");
  SampleOptions options;
  options.metric = "ncc";
  SampleSweep second(folder / "b", options);
  CHECK_THROWS_AS(read_report({first.root(), second.root()}), ConfigError);
  CHECK_THROWS_WITH(read_report({folder.path()}), Catch::Contains("not a sweep"));
}

TEST_CASE("replicates are aggregated per point") {
  const TemporaryFolder folder;
  SampleOptions options;
  options.replicates = 3;
  SampleSweep sweep(folder / "brains", options);
  for (std::int64_t trial = 0; trial < 5; ++trial) {
    sweep.run(trial);
  }
  const Report report = read_report({sweep.root()});
  REQUIRE(report.ranking.size() == 2);
  const int counts[] = {report.ranking[0].objective.n, report.ranking[1].objective.n};
  CHECK(counts[0] + counts[1] == 5);
  CHECK(report.trials[1].seed == 8);
  CHECK(leaderboard_text(report).find("2 of 3 ok") != std::string::npos);
}

TEST_CASE("status counts, names what runs and what failed, and says how to go on") {
  const TemporaryFolder folder;
  SampleSweep sweep(folder / "brains");
  run_sample(sweep);
  sweep.clock().seconds += 90;
  const SweepStatus status = read_status(sweep.root(), sweep.clock());
  CHECK(status.total == 6);
  CHECK(status.ok == 4);
  CHECK(status.waiting == 0);
  REQUIRE(status.active.size() == 1);
  CHECK(status.active[0].status == "running");
  CHECK(status.active[0].step == 60);
  CHECK(status.active[0].steps == 150);
  CHECK(status.active[0].ms_per_step == 381.25);
  CHECK(status.active[0].left_s == Approx(90 * 0.38125));
  CHECK(status.left_s == Approx(90 * 0.38125));
  REQUIRE(status.lost.size() == 1);
  CHECK(status.lost[0].status == "diverged");
  CHECK(status.silent_s == 90.0);
  CHECK_FALSE(status.finished);
  const std::string text = status_text(status);
  CHECK(text.find("5 of 6 trials done: 4 ok, 1 failed; 1 running, 0 paused, 0 waiting") != std::string::npos);
  CHECK(text.find("t00005  running  60/150  40 %") != std::string::npos);
  CHECK(text.find("t00004  diverged after 1 attempt: loss became nan at step 10, pair s03 -> s01") !=
        std::string::npos);
  CHECK(text.find("regatta sweep JOB.json -o ") != std::string::npos);
  CHECK(to_json(status)["active"][0]["left_s"] == Approx(90 * 0.38125));
}

TEST_CASE("status gives the command that the newest run of the sweep was started with") {
  const TemporaryFolder folder;
  SampleSweep sweep(folder / "brains");
  sweep.journal().append("join", {{"command", "regatta sweep old.json"}});
  sweep.clock().seconds += 5;
  sweep.journal().append("join", {{"command", "regatta sweep job.json --ranks 4"}});
  sweep.journal().commit();
  CHECK(read_status(sweep.root()).resume == "regatta sweep job.json --ranks 4");
}

TEST_CASE("a trial whose sweep has left is shown as paused, and a finished sweep points to collect") {
  const TemporaryFolder folder;
  SampleSweep sweep(folder / "brains");
  run_sample(sweep);
  sweep.journal().append("leave");
  sweep.journal().commit();
  CHECK(read_status(sweep.root()).active[0].status == "paused");
  CHECK(read_report({sweep.root()}).trials[5].status == "paused");
  CHECK(read_report({sweep.root()}).trials[5].attempts[0].status == "lost");
  sweep.start(5, 2, 60);
  sweep.train(5, 2, 60, 150);
  sweep.finish(5, 2);
  const SweepStatus status = read_status(sweep.root());
  CHECK(status.finished);
  CHECK(status_text(status).find("regatta collect ") != std::string::npos);
}

}  // namespace regatta::test
