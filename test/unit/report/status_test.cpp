// What `regatta status` says of sweeps made by code, and that it names the same best point as the report.
#include "regatta/report/status.hpp"

#include <algorithm>
#include <cmath>
#include <sstream>

#include "regatta/report/collect.hpp"
#include "report/format.hpp"
#include "support/catch.hpp"
#include "support/temporary_folder.hpp"
#include "unit/report/sample_sweep.hpp"

namespace regatta::test {

TEST_CASE("status names the point that the report ranks first, its mean and its best trial") {
  const TemporaryFolder folder;
  SampleOptions options;
  options.replicates = 3;
  SampleSweep sweep(folder / "brains", options);
  const double dice[] = {0.4488, 0.41, 0.40, 0.4288, 0.43, 0.42};  // the best trial is of the worse point
  for (std::int64_t trial = 0; trial < 6; ++trial) {
    sweep.run(trial, [&](TrialResult& result) { result.best["dice"] = dice[trial]; });
  }
  const SweepStatus status = read_status(sweep.root());
  const Report report = read_report({sweep.root()});
  CHECK(status.best == Approx((0.4288 + 0.43 + 0.42) / 3));
  CHECK(status.best == report.ranking[0].objective.mean);
  CHECK(status.best_trial == report.trial_name(*report.winner()));
  CHECK(report.history.back().best == report.ranking[0].objective.mean);
  CHECK_THAT(
      status_text(status),
      Catch::Contains("best dice 0.4263, mean of 3 trials (t00003-t00005); of these the best is t00004, 0.4300"));
  std::ostringstream out;
  print_leaderboard(out, report);
  CHECK_THAT(out.str(), Catch::Contains("best: dice 0.4263, mean of 3 trials (t00003-t00005)\n"
                                        "best trial of it: t00004, dice 0.4300\n"
                                        "best weights: "));
}

TEST_CASE("status shows the best running trial where none has finished") {
  const TemporaryFolder folder;
  SampleSweep sweep(folder / "brains");
  sweep.start(0);
  CHECK_THAT(status_text(read_status(sweep.root())), Catch::Contains("no trial has finished yet\n"));
  sweep.train(0, 1, 0, 60);
  const std::string text = status_text(read_status(sweep.root()));
  CHECK_THAT(text, Catch::Contains("no trial has finished yet; best dice " + number_text(sweep.dice(0, 60)) +
                                   " so far (t00000, running)"));
  CHECK(text.find("no dice yet") == std::string::npos);
}

TEST_CASE("a sweep in which nothing was learned names no winner") {
  const TemporaryFolder folder;
  SampleSweep sweep(folder / "brains");
  for (std::int64_t trial = 0; trial < 6; ++trial) {
    sweep.run(trial, [&](TrialResult& result) {
      result.best = result.initial;
      result.best_step = 0;
    });
  }
  const Report report = read_report({sweep.root()});
  CHECK_FALSE(report.winner());
  std::ostringstream out;
  print_leaderboard(out, report);
  CHECK_THAT(out.str(), Catch::Contains("no trial beats the start: 'dice' was never better than before the first step "
                                        "(0.3700)") &&
                            !Catch::Contains("best weights"));
  CHECK_THAT(status_text(read_status(sweep.root())), Catch::Contains("no trial beats the start"));
}

TEST_CASE("an infinite objective is not hidden by finite validations of the same trial") {
  const TemporaryFolder folder;
  SampleSweep sweep(folder / "brains");
  sweep.run(0, [](TrialResult& result) { result.best["dice"] = -HUGE_VAL; });
  CHECK_FALSE(read_report({sweep.root()}).winner());
  CHECK_FALSE(read_status(sweep.root()).best);
  CHECK_THAT(status_text(read_status(sweep.root())), Catch::Contains("'dice' was never a finite number"));
}

TEST_CASE("status counts, names what runs and what failed, and says how to continue") {
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
  CHECK(text.find("5 of 6 trials done: 4 ok, 1 diverged; 1 running, 0 paused, 0 waiting") != std::string::npos);
  CHECK(text.find("t00005  running  60/150  40 %") != std::string::npos);
  CHECK(text.find("t00004  diverged at step 10: loss became nan, pair s03 -> s01  (weight ") != std::string::npos);
  CHECK(text.find("why: regatta logs " + status.directory + " t00004; another try: regatta retry ") !=
        std::string::npos);
  CHECK_THAT(text, Catch::Contains("regatta s") && Catch::Contains(status.directory));
  CHECK(to_json(status)["active"][0]["left_s"] == Approx(90 * 0.38125));
}

TEST_CASE("status shows named values by their names") {
  const TemporaryFolder folder;
  SampleOptions options;
  options.named = {{"rough", 0.5}, {"smooth", 2.0}};
  SampleSweep sweep(folder / "brains", options);
  run_sample(sweep);
  const SweepStatus status = read_status(sweep.root(), sweep.clock());
  REQUIRE(status.active.size() == 1);
  CHECK_THAT(status.active[0].point, Catch::Contains("weight rough") || Catch::Contains("weight smooth"));
}

TEST_CASE("watching shows a line for each rank, what it does and what is idle") {
  const TemporaryFolder folder;
  SampleSweep sweep(folder / "brains");
  run_sample(sweep);
  const SweepStatus status = read_status(sweep.root(), sweep.clock());
  REQUIRE(status.ranks.size() == 2);
  const std::size_t busy = status.ranks[0].host == "node1" ? 0 : 1;  // the idle rank is named by this machine
  CHECK(status.ranks[busy].active == 0);
  CHECK_FALSE(status.ranks[1 - busy].active);
  const std::string text = watch_text(status, false);
  CHECK_THAT(text,
             Catch::StartsWith("5 of 6 trials done, 1 of them failed; 1 running, 0 paused, 0 waiting; about 34.3 s "
                               "left\nbest dice ") &&
                 Catch::Contains("\nnode1 rank 0  t00005  60/150  dice ") && Catch::Contains("34.3 s left  (weight ") &&
                 Catch::Contains(" rank 1  idle\n") &&
                 Catch::EndsWith("\nt00004  diverged at step 10: loss became nan, pair s03 -> s01\n"));
  CHECK_THAT(watch_text(status, true), Catch::StartsWith("brains  [####################....]  5 of 6") &&
                                           Catch::Contains("t00005  [######..........]  60/150"));
  CHECK(to_json(status)["ranks"][busy]["trial"] == "t00005");
}

TEST_CASE("watching keeps to the size of the terminal") {
  SweepStatus status;
  status.best_text = std::string(300, 'b');
  for (int rank = 0; rank < 100; ++rank) {
    status.ranks.push_back({"node", "local/1", rank, std::nullopt});
  }
  const std::string text = watch_text(status, true, {60, 12});
  CHECK(std::count(text.begin(), text.end(), '\n') == 12);
  CHECK_THAT(text, Catch::EndsWith("node rank 8  idle\nand 91 more ranks\n"));
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) {
    CHECK(line.size() <= 60);
  }
  const std::string all = watch_text(status, false);
  CHECK(std::count(all.begin(), all.end(), '\n') == 102);
}

TEST_CASE("status gives the command that the newest run of the sweep was started with") {
  const TemporaryFolder folder;
  SampleSweep sweep(folder / "brains");
  sweep.journal().append("join", {{"again", {"regatta", "sweep", "{}"}}});
  sweep.clock().seconds += 5;
  sweep.journal().append("join", {{"again", {"regatta", "sweep", "{}", "--ranks", "4"}}});
  sweep.journal().commit();
  CHECK(read_status(sweep.root()).resume == str("regatta sweep ", read_status(sweep.root()).directory, " --ranks 4"));
}

TEST_CASE("the command that continues a sweep follows its folder when that is moved or copied") {
  const TemporaryFolder folder;
  SampleSweep sweep(folder / "brains");
  sweep.journal().append("join", {{"again", {"regatta", "sweep", "{}", "--ranks", "4"}}});
  sweep.journal().commit();
  std::filesystem::copy(sweep.root(), folder / "copy", std::filesystem::copy_options::recursive);
  CHECK_THAT(read_status(folder / "copy").resume, Catch::EndsWith("/copy --ranks 4"));
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
