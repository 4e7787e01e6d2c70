// Reading sweep directories made by code: finished, half-way, damaged, several at once.
#include <filesystem>
#include <fstream>
#include <sstream>

#include "regatta/base/error.hpp"
#include "regatta/base/files.hpp"
#include "regatta/report/collect.hpp"
#include "support/catch.hpp"
#include "support/temporary_folder.hpp"
#include "unit/report/sample_sweep.hpp"

namespace regatta::test {
namespace {

namespace fs = std::filesystem;

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
  CHECK(report.trials[4].message == "loss became nan, pair s03 -> s01");
  CHECK(report.trials[4].attempts[0].message == "loss became nan, pair s03 -> s01");
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
  CHECK(out.str().find("no trial to rank: 2 finished, and 'dice' was never a finite number") != std::string::npos);
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

TEST_CASE("sweeps of different data are ranked together only if asked, and the report says so") {
  const TemporaryFolder folder;
  SampleSweep first(folder / "a");
  SampleOptions options;
  options.seed = 3;
  options.fingerprint = "0123456789abcdef";
  SampleSweep second(folder / "b", options);
  run_sample(first);
  run_sample(second);
  CHECK_THROWS_WITH(read_report({first.root(), second.root()}),
                    Catch::Contains("data fingerprint: ") && Catch::Contains("a has 57a1c3e2b4d60f98") &&
                        Catch::Contains("b has 0123456789abcdef") && Catch::Contains("add --mixed"));
  const Report report = read_report({first.root(), second.root()}, true);
  CHECK(report.ranking.size() == 12);
  CHECK(mentions(report.notes, "ranked together in spite of different conditions: data fingerprint: "));
  CHECK_THAT(report_html(report), Catch::Contains("in spite of different conditions"));
}

TEST_CASE("sweeps of different lengths are ranked together only if asked, unless a sweep varies the length") {
  const TemporaryFolder folder;
  SampleSweep first(folder / "a");
  SampleOptions options;
  options.steps = 300;
  SampleSweep second(folder / "b", options);
  CHECK_THROWS_WITH(read_report({first.root(), second.root()}), Catch::Contains("length of training: ") &&
                                                                    Catch::Contains("a has 150 steps") &&
                                                                    Catch::Contains("b has 300 steps"));
  CHECK(mentions(read_report({first.root(), second.root()}, true).notes, "length of training"));
  options.weight_axis = "/train/steps";
  options.list = {100, 200, 300};
  SampleSweep third(folder / "c", options);
  CHECK_FALSE(mentions(read_report({first.root(), third.root()}).notes, "length of training"));
}

TEST_CASE("sweeps that validate on different splits are not ranked together") {
  const TemporaryFolder folder;
  SampleSweep first(folder / "a");
  SampleOptions options;
  options.val_split = "val2";
  SampleSweep second(folder / "b", options);
  CHECK_THROWS_WITH(read_report({first.root(), second.root()}), Catch::Contains("validation split: ") &&
                                                                    Catch::Contains("a has val,") &&
                                                                    Catch::Contains("b has val2"));
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
  CHECK(leaderboard_text(report).find("2 of 3 scored") != std::string::npos);
}

TEST_CASE("a winner that was best before its training is named in a note") {
  const TemporaryFolder folder;
  SampleSweep sweep(folder / "brains");
  sweep.run(0);
  sweep.run(1, [](TrialResult& result) {  // weights that were trained before
    result.initial["dice"] = 0.9;
    result.best["dice"] = 0.9;
    result.best_step = 0;
  });
  const Report report = read_report({sweep.root()});
  CHECK(report.winner() == 1);
  CHECK(mentions(report.notes, "t00001: was best before the first step; its weights are those it started from"));
}

}  // namespace regatta::test
