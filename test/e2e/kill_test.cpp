// Kills processes of a sweep at random moments and gives the same command again, until all is done: every trial must
// end with the value of an undisturbed run, none may start anew after a checkpoint, none may run twice at once, and
// nothing may be left behind. REGATTA_E2E_KILLS sets the number of kills, REGATTA_E2E_SEED their moments.
#include <algorithm>
#include <cstdlib>
#include <numeric>

#include "e2e/sweep_process.hpp"
#include "regatta/base/random.hpp"
#include "regatta/base/text.hpp"
#include "regatta/sweep/layout.hpp"
#include "support/catch.hpp"
#include "support/temporary_folder.hpp"

namespace regatta::test {
namespace {

constexpr int kTrials = 8;
constexpr int kStepsPerKill = 24;  // so that the sweep is still busy at the last kill
constexpr int kStepMs = 20;

std::int64_t number_from_environment(const char* name, std::int64_t otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : std::stoll(text);
}

enum class Victim { kWorker, kRank, kMpirun, kParent, kSpawner };

/// The process to kill, 0 if there is none now.
pid_t find_victim(const SweepProcess& run, Victim victim, std::uint64_t draw) {
  std::vector<pid_t> candidates;
  for (const FoundProcess& process : run.processes()) {
    const bool fits = (victim == Victim::kWorker && process.name == "fake_worker") ||
                      (victim == Victim::kRank && process.name == "regatta-launch" && process.pid != run.pid()) ||
                      (victim == Victim::kMpirun && process.name == "mpirun") ||
                      (victim == Victim::kParent && process.pid == run.pid()) ||
                      (victim == Victim::kSpawner && process.name == "regatta-spawner");
    if (fits) {
      candidates.push_back(process.pid);
    }
  }
  return candidates.empty() ? 0 : candidates[draw % candidates.size()];
}

std::int64_t newest_checkpoint(const fs::path& sweep, int trial) {
  const auto list = list_checkpoints(SweepFiles{sweep}.trial(trial));
  return list.empty() ? 0 : list.front().step;
}

class Killing {
 public:
  Killing(int ranks, std::vector<Victim> victims, int kills)
      : ranks_(ranks),
        victims_(std::move(victims)),
        kills_(kills),
        rng_(static_cast<std::uint64_t>(number_from_environment("REGATTA_E2E_SEED", 1)), RandomPurpose::kSynthetic) {}

  /// Kills until the number is reached or the sweep is done, then lets it finish.
  void run(const fs::path& job, const fs::path& sweep, const fs::path& output) {
    std::vector<std::string> command = {"sweep", job.string(), "-o", sweep.string()};
    if (ranks_ > 1) {
      command.insert(command.end(), {"--ranks", str(ranks_)});
    }
    int code = -1;
    for (int round = 0; round < 200 && code != 0; ++round) {
      SweepProcess process(command, fake(kStepsPerKill * kills_, kStepMs), output);
      while (done_ < kills_ && !process.has_ended()) {
        strike(process, sweep);
      }
      code = process.wait(120);
      INFO("round " << round << ", code " << code);
      CHECK(process.left_behind().empty());
    }
    CHECK(code == 0);
  }

  int done() const { return done_; }

 private:
  /// Waits for a random while, then kills one process, if a checkpoint has been published since the last time.
  void strike(SweepProcess& process, const fs::path& sweep) {
    const auto draw = static_cast<std::uint64_t>(draws_++);
    const double wait_s = 0.1 + 1.2 * rng_.uniform(draw, 0);
    for (double waited = 0; waited < wait_s && !process.has_ended(); waited += 0.02) {
      sleep_s(0.02);
    }
    std::vector<std::int64_t> before;
    for (int trial = 0; trial < kTrials; ++trial) {
      before.push_back(newest_checkpoint(sweep, trial));
    }
    const std::int64_t progress = std::accumulate(before.begin(), before.end(), std::int64_t{0});
    if (progress <= progress_at_kill_) {
      return;  // at least one checkpoint before each kill: a trial whose worker dies three times without one is
               // quarantined
    }
    const Victim victim = victims_[static_cast<std::size_t>(done_) % victims_.size()];
    const pid_t pid = find_victim(process, victim, rng_.bits(draw, 1));
    if (pid == 0 || ::kill(pid, SIGKILL) != 0) {
      return;
    }
    ++done_;
    progress_at_kill_ = progress;
    if (victim != Victim::kWorker) {
      process.wait(30);
    }
  }

  int ranks_;
  std::vector<Victim> victims_;
  int kills_;
  CounterRng rng_;
  int done_ = 0;
  int draws_ = 0;
  std::int64_t progress_at_kill_ = 0;  ///< sum of the newest checkpoints' steps
};

/// Each start goes on from at least the step that the one before had saved.
void check_starts(const fs::path& sweep) {
  for (int trial = 0; trial < kTrials; ++trial) {
    const auto list = starts(sweep, trial);
    for (std::size_t i = 1; i < list.size(); ++i) {
      INFO("trial " << trial << ", start " << i << ": attempt " << list[i].first << " from step " << list[i].second);
      CHECK(list[i].first > list[i - 1].first);
      CHECK(list[i].second >= list[i - 1].second);
      const auto files = SweepFiles{sweep}.trial(trial);
      std::int64_t saved = 0;
      for (const CheckpointFile& file : list_checkpoints(files)) {
        saved = file.attempt < list[i].first ? std::max(saved, file.step) : saved;
      }
      CHECK(list[i].second >= saved);
    }
  }
}

void check_kills(int ranks, const std::vector<Victim>& victims, int kills) {
  const TemporaryFolder folder;
  const fs::path job = write_job(folder.path());
  const fs::path calm = folder / "calm";
  REQUIRE(SweepProcess({"sweep", job.string(), "-o", calm.string(), "--ranks", "4"}, fake(kStepsPerKill * kills, 1),
                       folder / "calm.txt")
              .wait() == 0);

  const fs::path sweep = folder / "sweep";
  Killing killing(ranks, victims, kills);
  killing.run(job, sweep, folder / "output.txt");
  INFO(text_of(folder / "output.txt"));
  CHECK(killing.done() == kills);
  std::cout << killing.done() << " kills\n";
  CHECK(results(sweep, kTrials) == results(calm, kTrials));
  CHECK_FALSE(has_violation(sweep, kTrials));
  check_starts(sweep);
}

TEST_CASE(
    "4 ranks: worker, rank, mpirun, its parent and a spawner are killed in turn; the same command finishes the sweep") {
  check_kills(4, {Victim::kWorker, Victim::kRank, Victim::kMpirun, Victim::kParent, Victim::kSpawner},
              static_cast<int>(number_from_environment("REGATTA_E2E_KILLS", 10)));
}

TEST_CASE(
    "1 rank without MPI: worker, the program itself and its spawner are killed in turn; the same command finishes") {
  check_kills(1, {Victim::kWorker, Victim::kParent, Victim::kSpawner},
              static_cast<int>(number_from_environment("REGATTA_E2E_KILLS", 6)));
}

}  // namespace
}  // namespace regatta::test
