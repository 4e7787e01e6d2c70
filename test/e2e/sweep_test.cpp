// Whole sweeps from the outside: what is run, what is said, how it ends. Killing is in kill_test.cpp.
#include "e2e/sweep_process.hpp"
#include "regatta/base/text.hpp"
#include "regatta/config/options.hpp"
#include "regatta/sweep/journal.hpp"
#include "regatta/sweep/layout.hpp"
#include "regatta/sweep/state.hpp"
#include "regatta/sweep/steer.hpp"
#include "support/catch.hpp"
#include "support/temporary_folder.hpp"

namespace regatta::test {
namespace {

constexpr int kTrials = 8;

struct Bench {
  TemporaryFolder folder;
  fs::path job = write_job(folder.path());
  fs::path sweep = folder / "sweep";
  fs::path output = folder / "output.txt";

  std::vector<std::string> command(int ranks) const {
    std::vector<std::string> words = {"sweep", job.string(), "-o", sweep.string()};
    if (ranks > 1) {
      words.insert(words.end(), {"--ranks", str(ranks)});
    }
    return words;
  }

  SweepState state() const {
    SweepState folded(SweepRules{kTrials, 3, "dice", true});
    JournalReader reader(SweepFiles{sweep}.journal());
    folded.apply(reader.poll());
    return folded;
  }
};

bool all_started_once(const fs::path& sweep) {
  for (int trial = 0; trial < kTrials; ++trial) {
    if (starts(sweep, trial).size() != 1) {
      return false;
    }
  }
  return true;
}

TEST_CASE("at a budget's end running trials pause at a validation and the sweep ends with 0; a larger one goes on") {
  const Bench bench;
  write_job(bench.folder.path(), 2, R"(, "target": 0.1)");
  {
    SweepProcess run(bench.command(2), fake(200, 5), bench.output);
    INFO(text_of(bench.output));
    REQUIRE(run.wait() == 0);
  }
  CHECK(text_of(bench.output).find("budget reached") != std::string::npos);
  CHECK_FALSE(bench.state().finished());
  CHECK(bench.state().counts().paused > 0);
  CHECK(bench.state().counts().running == 0);
  const std::size_t begun = starts(bench.sweep, 0).size();
  {
    SweepProcess again(bench.command(2), fake(200, 5), bench.output);
    REQUIRE(again.wait() == 0);
    CHECK(starts(bench.sweep, 0).size() == begun);
  }
  write_job(bench.folder.path(), 2, R"(, "target": 2.0)");
  SweepProcess more(bench.command(4), fake(200, 1), bench.output);
  REQUIRE(more.wait() == 0);
  CHECK(bench.state().finished());
}

TEST_CASE("4 ranks do 8 trials, each once, and leave nothing behind") {
  const Bench bench;
  {
    SweepProcess run(bench.command(4), fake(20, 5), bench.output);
    const int code = run.wait();
    INFO(text_of(bench.output));
    REQUIRE(code == 0);
    CHECK(run.left_behind().empty());
  }
  CHECK(text_of(bench.output).starts_with(bench.sweep.string() + "\n"));
  CHECK(all_started_once(bench.sweep));
  CHECK_FALSE(has_violation(bench.sweep, kTrials));
  CHECK(bench.state().finished());

  SECTION("the same command again prints the leaderboard and starts nothing") {
    SweepProcess again(bench.command(4), fake(20, 5), bench.folder / "again.txt");
    REQUIRE(again.wait() == 0);
    CHECK(text_of(bench.folder / "again.txt").find("t00007") != std::string::npos);
    CHECK(all_started_once(bench.sweep));
  }
  SECTION("a changed experiment is refused, with the difference") {
    write_job(bench.folder.path(), 2, R"(, "seed": 5)");
    SweepProcess changed(bench.command(1), fake(20, 5), bench.folder / "changed.txt");
    REQUIRE(changed.wait() == 2);
    CHECK(text_of(bench.folder / "changed.txt").find("/seed: 0 -> 5") != std::string::npos);
  }
}

TEST_CASE("larger totals extend a finished sweep, smaller ones change nothing") {
  const Bench bench;
  write_job(bench.folder.path(), 2, R"(, "trials": 3)");
  REQUIRE(SweepProcess(bench.command(1), fake(10, 1), bench.output).wait() == 0);
  CHECK(bench.state().counts().done == 3);
  write_job(bench.folder.path(), 2, R"(, "trials": 6)");
  REQUIRE(SweepProcess(bench.command(2), fake(10, 1), bench.output).wait() == 0);
  CHECK(bench.state().counts().done == 6);
  CHECK(starts(bench.sweep, 0).size() == 1);
  write_job(bench.folder.path(), 2, R"(, "trials": 4)");
  REQUIRE(SweepProcess(bench.command(1), fake(10, 1), bench.output).wait() == 0);
  CHECK(bench.state().counts().done == 6);
}

TEST_CASE("each way to fail costs its own trial only, and is named") {
  const Bench bench;
  SweepProcess run(bench.command(2),
                   fake(20, 2, R"({"0": "crash@7", "1": "oom@3", "2": "nan@5", "3": "bad@0", "4": "once:crash@15"})"),
                   bench.output);
  const int code = run.wait();
  INFO(text_of(bench.output));
  REQUIRE(code == 1);
  const SweepState state = bench.state();
  CHECK(state.trial(0).status == TrialStatus::kQuarantined);
  CHECK(starts(bench.sweep, 0).size() == 3);
  CHECK(state.trial(1).status == TrialStatus::kInfeasible);
  CHECK(starts(bench.sweep, 1).size() == 2);
  CHECK(state.trial(2).status == TrialStatus::kDiverged);
  CHECK(starts(bench.sweep, 2).size() == 1);
  CHECK(state.trial(3).status == TrialStatus::kFailed);
  CHECK(starts(bench.sweep, 3).size() == 2);
  CHECK(state.trial(4).status == TrialStatus::kOk);
  CHECK(starts(bench.sweep, 4) == std::vector<std::pair<int, std::int64_t>>{{1, 0}, {2, 10}});
  for (int trial = 5; trial < kTrials; ++trial) {
    CHECK(state.trial(trial).status == TrialStatus::kOk);
  }
  CHECK(text_of(bench.output).find("SIGSEGV") != std::string::npos);
}

TEST_CASE("a signal to the parent of mpirun, or to one rank alone: all save, all leave with 85, all continues") {
  const Bench bench;
  const int signal = GENERATE(SIGUSR2, SIGTERM, SIGINT);
  const bool to_one_rank = signal == SIGUSR2 && GENERATE(false, true);
  {
    SweepProcess run(bench.command(4), fake(2000, 10), bench.output);
    for (int i = 0; i < 400 && starts(bench.sweep, 3).empty(); ++i) {
      sleep_s(0.05);
    }
    sleep_s(0.3);
    pid_t target = run.pid();
    for (const FoundProcess& process : run.processes()) {
      if (to_one_rank && process.name == "regatta-launch" && process.pid != run.pid()) {
        target = process.pid;
      }
    }
    ::kill(target, signal);
    const int code = run.wait(30);
    INFO(text_of(bench.output));
    REQUIRE(code == 85);
    CHECK(run.left_behind().empty());
  }
  CHECK(bench.state().counts().paused == 4);
  CHECK(bench.state().counts().running == 0);
  for (int trial = 0; trial < 4; ++trial) {
    CHECK(bench.state().trial(trial).checkpoint_step > 0);
    CHECK(bench.state().trial(trial).charged == 0);
  }
  CHECK(text_of(bench.output).find(str("saved; to continue: regatta sweep ", bench.sweep.string(), " --ranks 4\n")) !=
        std::string::npos);
}

TEST_CASE("two jobs on one sweep share its trials and never run one twice") {
  const Bench bench;
  SweepProcess first(bench.command(2), fake(30, 5), bench.output);
  SweepProcess second(bench.command(2), fake(30, 5), bench.folder / "second.txt");
  INFO(text_of(bench.output) << text_of(bench.folder / "second.txt"));
  CHECK(first.wait() == 0);
  CHECK(second.wait() == 0);
  CHECK(all_started_once(bench.sweep));
  CHECK_FALSE(has_violation(bench.sweep, kTrials));
}

/// The worker of a running sweep that is at this trial: its log, which is its stdout, says so. 0: none yet.
pid_t worker_at(const SweepProcess& run, int trial) {
  for (const FoundProcess& process : run.processes()) {
    std::error_code error;
    const fs::path log = fs::read_symlink(str("/proc/", static_cast<std::int64_t>(process.pid), "/fd/1"), error);
    if (!error && process.name == "fake_worker" &&
        log.string().find("/" + trial_name(trial) + "/") != std::string::npos) {
      return process.pid;
    }
  }
  return 0;
}

TEST_CASE("a stopped worker (SIGSTOP) costs its trial's slice only") {
  const Bench bench;
  auto command = bench.command(2);
  command.insert(command.end(), {"--times", R"({"hang_s": 2, "hang_first_s": 4})"});
  SweepProcess run(command, fake(100, 20), bench.output);
  pid_t worker = 0;
  for (int i = 0; i < 1000 && (worker == 0 || bench.state().trial(1).checkpoint_step == 0); ++i) {
    sleep_s(0.02);
    worker = worker_at(run, 1);
  }
  REQUIRE(worker != 0);
  REQUIRE(::kill(worker, SIGSTOP) == 0);
  const int code = run.wait();
  INFO(text_of(bench.output));
  REQUIRE(code == 0);
  CHECK(run.left_behind().empty());
  CHECK(text_of(bench.output).find("T (stopped)") != std::string::npos);
  const auto list = starts(bench.sweep, 1);
  REQUIRE(list.size() == 2);
  CHECK(list[1].second > 0);
  for (int trial : {0, 2, 3, 4, 5, 6, 7}) {
    CHECK(starts(bench.sweep, trial).size() == 1);
  }
}

TEST_CASE("`regatta stop` while a sweep runs: all save, the job ends with 0, the same command continues") {
  const Bench bench;
  auto command = bench.command(2);
  command.insert(command.end(), {"--times", R"({"look_again_s": 0.2, "look_busy_s": 0.2})"});
  const bool drain = GENERATE(false, true);
  {
    SweepProcess run(command, fake(100, 20), bench.output);
    for (int i = 0; i < 1000 && bench.state().trial(1).checkpoint_step == 0; ++i) {
      sleep_s(0.02);
    }
    const StopOrder order = order_stop({bench.sweep}, drain);
    CHECK(order.running.size() == 1);
    CHECK(order.jobs.empty());
    const int code = run.wait(30);
    INFO(text_of(bench.output));
    REQUIRE(code == 0);
    CHECK(run.left_behind().empty());
  }
  CHECK(bench.state().counts().paused == (drain ? 0 : 2));
  CHECK(bench.state().counts().done == (drain ? 2 : 0));
  CHECK(text_of(bench.output).find("to continue: regatta sweep") != std::string::npos);
  SweepProcess again(command, fake(100, 1), bench.output);
  REQUIRE(again.wait(60) == 0);
  CHECK(bench.state().finished());
  for (int trial = 0; trial < 2; ++trial) {
    CHECK(starts(bench.sweep, trial).size() == (drain ? 1 : 2));
  }
}

TEST_CASE("--leave-after: a job saves and leaves by itself; the same command continues") {
  const Bench bench;
  auto command = bench.command(2);
  command.insert(command.end(),
                 {"--leave-after", "10s", "--times", R"({"load_s": 0, "save_s": 0, "least_work_s": 0})"});
  SweepProcess run(command, fake(4000, 20), bench.output);
  const int code = run.wait();
  INFO(text_of(bench.output));
  REQUIRE(code == 85);
  CHECK(text_of(bench.output).find("the time limit is near") != std::string::npos);
  CHECK(bench.state().counts().paused >= 1);
  CHECK(bench.state().trial(0).checkpoint_step > 0);
}

TEST_CASE("a time without a unit, or too short for any trial, is refused before anything starts") {
  const Bench bench;
  const auto [time, said] = GENERATE(
      std::pair<std::string, std::string>{"12", "--leave-after: '12': give a unit, for example 12min or 12s"},
      std::pair<std::string, std::string>{"1:00",
                                          "no trial can start in 1 min 00 s: a trial needs 20 s to load, 60 s of "
                                          "work and 10 s to save, together 1 min 30 s"});
  auto command = bench.command(GENERATE(1, 2));
  command.insert(command.end(), {"--leave-after", time});
  SweepProcess run(command, fake(10, 1), bench.output);
  CHECK(run.wait(20) == 2);
  CHECK_THAT(text_of(bench.output), Catch::Contains(said));
  CHECK_FALSE(fs::exists(bench.sweep));
}

TEST_CASE("a sweep that was moved continues by its folder alone, and leaves the place where it was") {
  const Bench bench;
  {
    SweepProcess run(bench.command(2), fake(400, 20), bench.output);
    for (int i = 0; i < 400 && bench.state().trial(1).checkpoint_step == 0; ++i) {
      sleep_s(0.05);
    }
    ::kill(run.pid(), SIGTERM);
    REQUIRE(run.wait(30) == 85);
  }
  const fs::path moved = bench.folder / "moved";
  fs::rename(bench.sweep, moved);
  fs::remove(bench.job);
  SweepProcess again({"sweep", moved.string(), "--ranks", "2"}, fake(400, 1), bench.folder / "again.txt");
  const int code = again.wait();
  INFO(text_of(bench.folder / "again.txt"));
  REQUIRE(code == 0);
  CHECK(text_of(bench.folder / "again.txt").starts_with(moved.string() + "\n"));
  CHECK_FALSE(fs::exists(bench.sweep));
  const auto list = starts(moved, 0);
  REQUIRE(list.size() == 2);
  CHECK(list[1].second > 0);
}

TEST_CASE("a second Ctrl-C ends a sweep at once with 130; the same command continues from the checkpoints") {
  const Bench bench;
  const int ranks = GENERATE(1, 2);
  {
    SweepProcess run(bench.command(ranks), fake(400, 20, R"({"0": "hang@20"})"), bench.output);
    for (int i = 0; i < 400 && bench.state().trial(0).checkpoint_step < 20; ++i) {
      sleep_s(0.05);
    }
    ::kill(run.pid(), SIGINT);
    sleep_s(1.0);
    REQUIRE_FALSE(run.has_ended());
    ::kill(run.pid(), SIGINT);
    CHECK(run.wait(20) == 130);
    CHECK(run.left_behind().empty());
  }
  CHECK_THAT(text_of(bench.output), Catch::Contains("SIGINT (Ctrl-C; a second one ends at once, without saving)"));
  SweepProcess again(bench.command(2), fake(400, 1), bench.folder / "again.txt");
  REQUIRE(again.wait(60) == 0);
  CHECK(starts(bench.sweep, 0).back().second == 20);
}

TEST_CASE("an error on one rank ends all with its code") {
  const Bench bench;
  SECTION("a worker of another build") {
    SweepProcess run(bench.command(4), fake(20, 5, R"({"build": "wrong"})"), bench.output);
    CHECK(run.wait(20) == 4);
    CHECK(run.left_behind().empty());
    CHECK(text_of(bench.output).find("0.0.0 other") != std::string::npos);
  }
  SECTION("a job file that is not there") {
    SweepProcess run({"sweep", "none.json", "--ranks", "4"}, fake(20, 5), bench.output);
    CHECK(run.wait(20) == 3);
    CHECK(run.left_behind().empty());
  }
}

TEST_CASE("ranks that would share a GPU are refused; under cgroups each may see its own as number 0") {
  const Bench bench;
  auto environment = fake(5, 1);
  environment["CUDA_VISIBLE_DEVICES"] = "0";
  SECTION("no NVML: the numbers count") {
    environment["LD_LIBRARY_PATH"] = "/nowhere";
    SweepProcess run(bench.command(2), environment, bench.output);
    CHECK(run.wait(20) == 5);
    CHECK(text_of(bench.output).find("would share GPU 0") != std::string::npos);
  }
  SECTION("NVML shows one GPU to both") {
    environment["LD_LIBRARY_PATH"] = REGATTA_FAKE_NVML_DIR;
    environment["FAKE_NVML"] = "same";
    SweepProcess run(bench.command(2), environment, bench.output);
    CHECK(run.wait(20) == 5);
    CHECK(text_of(bench.output).find("would share GPU GPU-fake-0") != std::string::npos);
  }
  SECTION("NVML shows each its own") {
    environment["LD_LIBRARY_PATH"] = REGATTA_FAKE_NVML_DIR;
    SweepProcess run(bench.command(2), environment, bench.output);
    CHECK(run.wait(30) == 0);
    CHECK(text_of(bench.output).find("one GPU each") != std::string::npos);
  }
}

TEST_CASE("a Slurm step of several tasks without MPI between them is refused") {
  const Bench bench;
  auto environment = fake(20, 5);
  environment["SLURM_STEP_ID"] = "0";
  environment["SLURM_STEP_NUM_TASKS"] = "4";
  SweepProcess run(bench.command(1), environment, bench.output);
  CHECK(run.wait(20) == 2);
  CHECK(text_of(bench.output).find("srun --mpi=pmix") != std::string::npos);
}

}  // namespace
}  // namespace regatta::test
