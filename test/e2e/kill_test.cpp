// Kills processes of a sweep at random moments and gives the same command again, until all is done: every trial must
// end with the value of an undisturbed run, none may start again after a checkpoint, none may run twice at once, and
// nothing may be left behind; the reports must agree but for what the schema calls volatile.
// REGATTA_E2E_KILLS sets the number of kills, REGATTA_E2E_SEED their moments. REGATTA_E2E_JOB, a job file, and
// REGATTA_E2E_WORKER, the path of regatta-engine, put real trainings in the place of the pretended ones.
#include <algorithm>
#include <cstdlib>
#include <numeric>

#include "e2e/sweep_process.hpp"
#include "regatta/base/files.hpp"
#include "regatta/base/random.hpp"
#include "regatta/base/text.hpp"
#include "regatta/report/collect.hpp"
#include "regatta/sweep/journal.hpp"
#include "regatta/sweep/layout.hpp"
#include "regatta/sweep/space.hpp"
#include "simulation/decisions.hpp"
#include "support/catch.hpp"
#include "support/temporary_folder.hpp"

namespace regatta::test {
namespace {

constexpr int kStepsPerKill = 24;  // so that the sweep is still busy at the last kill
constexpr int kStepMs = 20;
constexpr double kRunTimeout_s = 1200.0;

std::int64_t number_from_environment(const char* name, std::int64_t otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : std::stoll(text);
}

/// The sweep that is run, calmly and under kills.
struct Subject {
  fs::path job;
  int trials = 8;
  std::string worker = "fake_worker";  ///< name of its process
  std::map<std::string, std::string> calm;
  std::map<std::string, std::string> killed;
};

Subject make_subject(const fs::path& folder, int kills) {
  const char* job = std::getenv("REGATTA_E2E_JOB");
  const char* worker = std::getenv("REGATTA_E2E_WORKER");
  if (job == nullptr || worker == nullptr) {
    const int steps = kStepsPerKill * kills;
    return {write_job(folder), 8, "fake_worker", fake(steps, 1), fake(steps, kStepMs)};
  }
  const std::map<std::string, std::string> environment = {{"REGATTA_WORKER", worker}};
  const auto trials = static_cast<int>(Space(read_job(job)).total_trials());
  return {job, trials, fs::path(worker).filename().string(), environment, environment};
}

enum class Victim { kWorker, kRank, kCoordinator, kMpirun, kParent, kSpawner, kAll };

/// mpirun's number of a rank, from the environment that it was started with; -1 for other processes.
int rank_of(pid_t process) {
  const std::string environment = text_of(str("/proc/", static_cast<std::int64_t>(process), "/environ"));
  constexpr std::string_view kName = "OMPI_COMM_WORLD_RANK=";
  for (const std::string& entry : split(environment, '\0')) {
    if (entry.starts_with(kName)) {
      return std::stoi(entry.substr(kName.size()));
    }
  }
  return -1;
}

/// A worker whose attempt has published a checkpoint: three deaths without a new one would quarantine its trial, as
/// they should. Its log, which is its stdout, says which attempt it is at.
bool has_checkpoint(pid_t worker) {
  std::error_code error;
  const fs::path log = fs::read_symlink(str("/proc/", static_cast<std::int64_t>(worker), "/fd/1"), error);
  return !error && fs::exists(log.parent_path() / "checkpoints" / "manifest.json");
}

/// The process to kill, 0 if there is none now.
pid_t find_victim(const SweepProcess& run, Victim victim, const std::string& worker, std::uint64_t draw) {
  std::vector<pid_t> candidates;
  for (const FoundProcess& process : run.processes()) {
    const bool fits =
        (victim == Victim::kWorker && process.name == worker && has_checkpoint(process.pid)) ||
        (victim == Victim::kRank && process.name == "regatta-launch" && rank_of(process.pid) > 0) ||
        (victim == Victim::kCoordinator && process.name == "regatta-launch" && rank_of(process.pid) == 0) ||
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
  Killing(const Subject& subject, int ranks, std::vector<Victim> victims, int kills)
      : subject_(subject),
        ranks_(ranks),
        victims_(std::move(victims)),
        kills_(kills),
        rng_(static_cast<std::uint64_t>(number_from_environment("REGATTA_E2E_SEED", 1)), RandomPurpose::kSynthetic),
        saved_(static_cast<std::size_t>(subject.trials), 0) {}

  /// Kills until the number is reached or the sweep is done, then lets it finish.
  void run(const fs::path& sweep, const fs::path& output) {
    std::vector<std::string> command = {"sweep", subject_.job.string(), "-o", sweep.string()};
    if (ranks_ > 1) {
      command.insert(command.end(), {"--ranks", str(ranks_)});
    }
    int code = -1;
    for (int round = 0; round < 200 && code != 0 && code != 1; ++round) {  // 1: done, but a trial has failed
      SweepProcess process(command, subject_.killed, output);
      while (done_ < kills_ && !process.has_ended()) {
        strike(process, sweep);
      }
      code = process.wait(kRunTimeout_s);
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
    for (int trial = 0; trial < subject_.trials; ++trial) {
      std::int64_t& saved = saved_[static_cast<std::size_t>(trial)];
      saved = std::max(saved, newest_checkpoint(sweep, trial));
    }
    const std::int64_t progress = std::accumulate(saved_.begin(), saved_.end(), std::int64_t{0});
    if (progress <= progress_at_kill_) {
      return;  // nothing would be lost that the last kill has not cost already
    }
    const Victim victim = victims_[static_cast<std::size_t>(done_) % victims_.size()];
    if (victim == Victim::kAll) {
      for (const FoundProcess& each : process.processes()) {
        ::kill(each.pid, SIGKILL);
      }
    } else {
      const pid_t pid = find_victim(process, victim, subject_.worker, rng_.bits(draw, 1));
      if (pid == 0 || ::kill(pid, SIGKILL) != 0) {
        return;
      }
    }
    ++done_;
    progress_at_kill_ = progress;
    if (victim != Victim::kWorker) {
      process.wait(30);
    }
  }

  const Subject& subject_;
  int ranks_;
  std::vector<Victim> victims_;
  int kills_;
  CounterRng rng_;
  int done_ = 0;
  int draws_ = 0;
  std::vector<std::int64_t> saved_;    ///< newest checkpoint ever seen, by trial
  std::int64_t progress_at_kill_ = 0;  ///< their sum
};

/// Each start continues from at least the step that the one before had saved.
void check_starts(const fs::path& sweep, int trials) {
  for (int trial = 0; trial < trials; ++trial) {
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

Json masked_report(const fs::path& sweep) {
  return mask_volatile(to_json(read_report({sweep})));
}

void check_kills(int ranks, const std::vector<Victim>& victims, int kills) {
  const TemporaryFolder folder;
  const Subject subject = make_subject(folder.path(), kills);
  const fs::path calm = folder / "calm";
  REQUIRE(SweepProcess({"sweep", subject.job.string(), "-o", calm.string(), "--ranks", "4"}, subject.calm,
                       folder / "calm.txt")
              .wait(kRunTimeout_s) == 0);

  const fs::path sweep = folder / "sweep";
  Killing killing(subject, ranks, victims, kills);
  killing.run(sweep, folder / "output.txt");
  INFO(text_of(folder / "output.txt"));
  CHECK(killing.done() == kills);
  std::cout << killing.done() << " kills\n";
  for (int trial = 0; trial < subject.trials; ++trial) {
    INFO("trial " << trial);
    CHECK(text_of(SweepFiles{sweep}.trial(trial).best_weights()) ==
          text_of(SweepFiles{calm}.trial(trial).best_weights()));
  }
  CHECK(results(sweep, subject.trials) == results(calm, subject.trials));
  CHECK(dump_line(masked_report(sweep)) == dump_line(masked_report(calm)));
  CHECK_FALSE(has_violation(sweep, subject.trials));
  check_starts(sweep, subject.trials);
}

/// 16 points, of which the best half continues from an eighth, a quarter and a half of the training.
Subject make_halving(const fs::path& folder, int ranks, int kills) {
  if (std::getenv("REGATTA_E2E_JOB") != nullptr) {
    return make_subject(folder, kills);
  }
  constexpr int kEpochs = 500;  // of the recipe
  const int steps = 8 * std::max(6, kStepsPerKill * kills * ranks / 16);
  const int least = steps / std::max(1, steps / kEpochs) / 8;
  const std::string scheduler = str(R"(, "scheduler": {"name": "asha", "eta": 2, "least": )", least, "}");
  return {write_job(folder, 4, scheduler), 16, "fake_worker", fake(steps, 1), fake(steps, kStepMs)};
}

/// The same job, all trials to their end.
fs::path without_scheduler(const fs::path& job) {
  Json whole = read_json(job);
  whole.erase("scheduler");
  fs::path path = job.parent_path() / (job.stem().string() + "-whole.json");
  write_file_atomically(path, dump_pretty(whole));
  return path;
}

/// Each promotion and each prune from the records of its own cut, by a judge that shares no code with the program.
std::vector<std::string> unfounded_decisions(const fs::path& sweep, const Subject& subject) {
  const JobOptions job = read_job(subject.job);
  simulation::SimulationOptions options;
  options.trials = subject.trials;
  options.eta = job.scheduler.eta;
  options.form = job.scheduler.form;
  options.replicates = job.replicates;
  simulation::Decisions decisions;
  for (const Json& record : JournalReader(SweepFiles{sweep}.journal()).poll()) {
    decisions.note(record);
  }
  std::cout << decisions.judged() << " decisions judged from their cuts\n";
  return decisions.faults(options);
}

/// Trial and rung of each promotion, in the order in which they were made (by one writer at a time).
std::vector<std::pair<std::int64_t, std::int64_t>> promotions(const fs::path& sweep) {
  std::vector<Json> records = JournalReader(SweepFiles{sweep}.journal()).poll();
  std::erase_if(records, [](const Json& record) { return record.at("type") != "promote"; });
  const auto place = [&](const Json& record) {  // "time" has whole seconds, and a killed sweep is soon back
    const fs::path shard = SweepFiles{sweep}.journal() / record.at("shard").get<std::string>();
    return std::pair(fs::last_write_time(shard), record.at("seq").get<int>());
  };
  std::sort(records.begin(), records.end(), [&](const Json& a, const Json& b) { return place(a) < place(b); });
  std::vector<std::pair<std::int64_t, std::int64_t>> made;
  for (const Json& record : records) {
    made.emplace_back(record.at("trial").get<std::int64_t>(), record.at("rung").get<std::int64_t>());
  }
  return made;
}

/// @param ranks  with one the decisions of the killed sweep must be those of the calm one
void check_halving(int ranks, const std::vector<Victim>& victims, int kills) {
  const TemporaryFolder folder;
  const Subject subject = make_halving(folder.path(), ranks, kills);
  const fs::path calm = folder / "calm";
  REQUIRE(SweepProcess({"sweep", subject.job.string(), "-o", calm.string()}, subject.calm, folder / "calm.txt")
              .wait(kRunTimeout_s) == 0);
  REQUIRE(promotions(calm).size() >= 4);
  const fs::path whole = folder / "whole";  // what any of them comes to
  REQUIRE(SweepProcess({"sweep", without_scheduler(subject.job).string(), "-o", whole.string(), "--ranks", "4"},
                       subject.calm, folder / "whole.txt")
              .wait(kRunTimeout_s) == 0);

  const fs::path sweep = folder / "sweep";
  Killing killing(subject, ranks, victims, kills);
  killing.run(sweep, folder / "output.txt");
  INFO(text_of(folder / "output.txt"));
  std::cout << killing.done() << " kills\n";
  CHECK(killing.done() == kills);
  if (ranks == 1) {
    CHECK(promotions(sweep) == promotions(calm));
    CHECK(results(sweep, subject.trials) == results(calm, subject.trials));
    CHECK(dump_line(masked_report(sweep)) == dump_line(masked_report(calm)));
    for (int trial = 0; trial < subject.trials; ++trial) {  // of pruned ones too
      INFO("trial " << trial);
      CHECK(text_of(SweepFiles{sweep}.trial(trial).best_weights()) ==
            text_of(SweepFiles{calm}.trial(trial).best_weights()));
    }
  }
  CHECK(unfounded_decisions(sweep, subject).empty());
  const auto expected = results(whole, subject.trials);
  const auto reached = results(sweep, subject.trials);
  int finished = 0;
  for (std::size_t trial = 0; trial < reached.size(); ++trial) {
    finished += reached[trial].empty() ? 0 : 1;
    CHECK((reached[trial].empty() || reached[trial] == expected[trial]));
  }
  CHECK(finished >= 1);
  CHECK(finished < subject.trials);
  CHECK_FALSE(has_violation(sweep, subject.trials));
  check_starts(sweep, subject.trials);
}

TEST_CASE("asynchronous halving on 1 rank is killed again and again: decisions and bytes of the undisturbed sweep",
          "[kill]") {
  check_halving(1, {Victim::kWorker, Victim::kParent, Victim::kSpawner, Victim::kAll},
                static_cast<int>(number_from_environment("REGATTA_E2E_KILLS", 8)));
}

TEST_CASE(
    "asynchronous halving on 4 ranks is killed again and again: decisions follow from their cuts, trials have the "
    "bytes "
    "of those that ran through",
    "[kill]") {
  check_halving(4,
                {Victim::kWorker, Victim::kRank, Victim::kCoordinator, Victim::kMpirun, Victim::kParent,
                 Victim::kSpawner, Victim::kAll},
                static_cast<int>(number_from_environment("REGATTA_E2E_KILLS", 6)));
}

TEST_CASE(
    "4 ranks: worker, rank, coordinator, mpirun, its parent, a spawner and all at once are killed in turn; the same "
    "command finishes the sweep",
    "[kill]") {
  check_kills(4,
              {Victim::kWorker, Victim::kRank, Victim::kCoordinator, Victim::kMpirun, Victim::kParent, Victim::kSpawner,
               Victim::kAll},
              static_cast<int>(number_from_environment("REGATTA_E2E_KILLS", 14)));
}

TEST_CASE(
    "1 rank without MPI: worker, the program itself and its spawner are killed in turn; the same command finishes",
    "[kill]") {
  check_kills(1, {Victim::kWorker, Victim::kParent, Victim::kSpawner},
              static_cast<int>(number_from_environment("REGATTA_E2E_KILLS", 6)));
}

}  // namespace
}  // namespace regatta::test
