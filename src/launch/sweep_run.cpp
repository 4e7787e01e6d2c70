// One rank of a sweep from its start to its end: spawner, preparation, MPI, seat, event loop.
#include "regatta/launch/sweep_run.hpp"

#include <algorithm>
#include <csignal>
#include <exception>
#include <iostream>
#include <optional>

#include <sys/prctl.h>
#include <unistd.h>

#include "launch/again_words.hpp"
#include "launch/coordinator.hpp"
#include "launch/cpu_share.hpp"
#include "launch/launcher_place.hpp"
#include "launch/slurm_probe.hpp"
#include "launch/supervisor.hpp"
#include "launch/time_left.hpp"
#include "regatta/base/log.hpp"
#include "regatta/base/process.hpp"
#include "regatta/base/signals.hpp"
#include "regatta/base/version.hpp"
#include "regatta/sweep/next_command.hpp"

namespace regatta {
namespace {

constexpr int kPauseMs = 10;
constexpr int kShortPauseMs = 1;
constexpr double kPartTimeout_s = 120.0;

/// What the ranks tell each other before the event loop.
struct Roster {
  std::vector<std::string> hosts;
  std::string wanted_device;  ///< rank 0's word
  bool finished = false;      ///< rank 0's: nothing is left to do
  std::vector<int> all_cpus;  ///< of the job on this machine
  std::vector<int> cpus;      ///< this rank's share
  int cpu_sharers = 1;        ///< ranks that share all of them, this one included
  int threads = 1;            ///< of this rank's share
  int local_rank = 0;
  int local_size = 1;
};

/// A rank whose mpirun has been killed must not continue: MPI alone notices only after seconds.
void die_with_launcher(const LauncherPlace& place) {
  if (place.launcher == Launcher::kMpirun) {
    const pid_t parent = ::getppid();
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    REGATTA_REQUIRE(::getppid() == parent && parent != 1, CommError, "mpirun has ended before its ranks began");
  }
}

Roster call_the_roll(Ranks& ranks, const LauncherPlace& place, const SweepStart* start, const SweepRun& run) {
  const std::vector<int> cpus = job_cpus(place.launcher == Launcher::kMpirun);
  Json own;
  own["host"] = environment_variable("SLURMD_NODENAME").value_or(host_name());
  own["cpus"] = cpus;
  if (start != nullptr) {
    const Json* device = find_pointer(start->definition.job.recipe, "/run/device");
    own["device"] = run.device.empty() && device != nullptr ? *device : Json(run.device);
    own["finished"] = start->is_finished() || !start->sweep->state().spent_text().empty();
  }
  std::vector<Json> all;
  for (const std::string& text : ranks.gather(dump_line(own))) {
    all.push_back(parse_json(text, "roll"));
  }
  Roster roster;
  roster.cpu_sharers = 0;
  int cpu_index = 0;
  for (int rank = 0; rank < ranks.size(); ++rank) {
    const Json& other = all[static_cast<std::size_t>(rank)];
    roster.hosts.push_back(other.at("host").get<std::string>());
    if (other.at("host") != own["host"]) {
      continue;
    }
    roster.local_rank += rank < ranks.rank() ? 1 : 0;
    roster.local_size += rank != ranks.rank() ? 1 : 0;
    const bool shares = other.at("cpus") == own["cpus"];
    roster.cpu_sharers += shares ? 1 : 0;
    cpu_index += shares && rank < ranks.rank() ? 1 : 0;
  }
  roster.wanted_device = all.front().at("device").get<std::string>();
  roster.finished = all.front().at("finished").get<bool>();
  roster.all_cpus = cpus;
  roster.cpus = cpu_slice(cpus, cpu_index, roster.cpu_sharers);
  roster.threads = threads_of_share(cpus, roster.cpu_sharers);
  return roster;
}

GpuChoice take_gpu(Ranks& ranks, const Roster& roster) {
  GpuSituation situation;
  situation.wanted = roster.wanted_device.starts_with("cuda") ? "cuda" : roster.wanted_device;
  situation.visible = environment_variable("CUDA_VISIBLE_DEVICES");
  situation.present = situation.wanted == "cpu" || situation.visible ? 0 : count_gpus();
  situation.local_rank = roster.local_rank;
  situation.local_size = roster.local_size;
  GpuChoice choice = choose_gpu(situation);
  std::vector<std::pair<std::string, std::string>> identities;
  std::size_t rank = 0;
  for (const std::string& identity : ranks.gather(gpu_identity(choice))) {
    identities.emplace_back(roster.hosts[rank++], identity);
  }
  check_gpu_is_own(identities, ranks.rank());
  return choice;
}

/// Whether people watch rank 0's output on a terminal. mpirun gives its ranks pseudo-terminals that lead to a pipe:
/// there only its parent knows (`run_under_mpirun`).
bool is_on_terminal(const LauncherPlace& place) {
  return place.launcher == Launcher::kMpirun ? environment_variable("REGATTA_TERMINAL").has_value()
                                             : ::isatty(STDOUT_FILENO) != 0;
}

/// When this job has to save and leave.
std::unique_ptr<TimeLeft> find_time_left(const SweepRun& run) {
  if (run.leave_after_s > 0) {
    return std::make_unique<FixedTimeLeft>(run.leave_after_s);
  }
  const JobPlace place = this_job();
  if (!place.slurm) {
    return std::make_unique<NoTimeLimit>();
  }
  return std::make_unique<SlurmTimeLeft>(place, signal_lead_s());
}

CoordinatorTimes coordinator_times(const SweepRun& run) {
  CoordinatorTimes times;
  times.look_again_s = run.times.look_again_s;
  times.look_busy_s = run.times.look_busy_s;
  times.heartbeat_s = run.times.heartbeat_s;
  times.stop_s = run.times.stop_s;
  times.alive_every_s = std::min(times.alive_every_s, times.stop_s / 4);
  times.idle_leave_s = run.times.idle_leave_s;
  times.signal_early_s = run.leave_after_s > 0 ? 0.0 : run.times.signal_early_s;
  times.slice = {run.times.load_s, run.times.save_s, run.times.least_work_s};
  return times;
}

SupervisorTimes supervisor_times(const SweepRun& run) {
  SupervisorTimes times;
  times.hang.first_step_s = run.times.hang_first_s;
  times.hang.least_s = run.times.hang_s;
  times.coordinator_silent_s = run.times.stop_s;
  return times;
}

/// What only rank 0 has while the sweep runs.
struct Lead {
  Lead(Ranks& ranks, SweepStart& start, const Roster& roster, const SweepRun& run, const LauncherPlace& place)
      : writer(start.sweep->files().journal(), this_job()),
        journal(writer),
        owner{this_process(), this_job(), writer.shard()},
        progress(std::cout, is_on_terminal(place), system_clock()),
        time_left(find_time_left(run)),
        again(again_words(run, {place, ranks.size(), start.as_born, time_left->limit_s()})) {
    Json join = join_fields(owner, ranks.size());
    join["again"] = again;
    journal.append("join", std::move(join));
    const int asked = run.threads > 0 ? run.threads : start.job.threads_per_trial;
    coordinator.emplace(ranks, start, journal, owner, roster.hosts, asked > 0 ? asked : roster.threads, progress,
                        *time_left, coordinator_times(run));
  }

  JournalWriter writer;
  JournalThread journal;
  Owner owner;
  SweepProgress progress;
  std::unique_ptr<TimeLeft> time_left;
  std::vector<std::string> again;  ///< words of the command that starts a job like this one
  std::optional<Coordinator> coordinator;
};

ExitCode run_event_loop(Ranks& ranks, Supervisor& supervisor, Coordinator* coordinator) {
  while (!supervisor.finish_code()) {
    if (leave_requested()) {
      supervisor.request_leave(leave_signal());
    }
    for (const Letter& letter : ranks.receive()) {
      if (is_for_coordinator(letter.body.at("type").get<std::string>())) {
        REGATTA_REQUIRE(coordinator != nullptr, BugError, "rank ", ranks.rank(), ": a letter for the coordinator");
        coordinator->take(letter);
      } else {
        supervisor.take(letter.body);
      }
    }
    supervisor.step();
    if (coordinator != nullptr) {
      coordinator->step();
    }
    std::vector<pollfd> news = supervisor.descriptors();
    ::poll(news.data(), news.size(), coordinator != nullptr && coordinator->is_waiting() ? kShortPauseMs : kPauseMs);
  }
  return static_cast<ExitCode>(*supervisor.finish_code());
}

/// What the ranks of a job have done together; all but the code is known on rank 0 alone.
struct Work {
  ExitCode code = ExitCode::kOk;
  bool started = false;            ///< a trial was begun or continued
  std::vector<std::string> again;  ///< words of the command that continues
};

Work train_all(Ranks& ranks, Spawner& spawner, SweepStart* start, const Roster& roster, const SweepRun& run,
               const LauncherPlace& place) {
  const GpuChoice gpu = take_gpu(ranks, roster);
  set_log_place(str("rank ", ranks.rank(), " ", roster.hosts[static_cast<std::size_t>(ranks.rank())],
                    gpu.is_gpu() ? str(" gpu ", gpu.visible) : std::string(" cpu")));
  Supervisor supervisor(
      spawner, {run.worker, gpu, roster.cpus, roster.all_cpus}, [&ranks](const Json& letter) { ranks.send(0, letter); },
      supervisor_times(run));
  std::optional<Lead> lead;
  if (start != nullptr) {
    lead.emplace(ranks, *start, roster, run, place);
    log_info(ranks.size(), ranks.size() == 1 ? " rank" : " ranks",
             !gpu.is_gpu()       ? " on the CPU"
             : ranks.size() == 1 ? ", one GPU"
                                 : ", one GPU each",
             ", ", share_text(roster.all_cpus, roster.cpu_sharers), ", build ", build_id());
  }
  const ExitCode code = run_event_loop(ranks, supervisor, lead ? &*lead->coordinator : nullptr);
  return lead ? Work{code, lead->coordinator->has_started(), lead->again} : Work{code, false, {}};
}

}  // namespace

ExitCode run_sweep(const SweepRun& run, const std::function<void(const SweepEnd&)>& at_end) {
  const LauncherPlace place = find_launcher();
  die_with_launcher(place);
  Spawner spawner;
  catch_leave_signals();
  set_log_place(str("rank ", place.rank, " ", host_name()));

  ProgramDescriber describer(run.worker);
  SlurmProbe probe;
  std::unique_ptr<SweepStart> start;
  std::exception_ptr refused;
  if (place.rank == 0) {
    try {
      start = std::make_unique<SweepStart>(run, describer, probe);
      std::cout << start->sweep->files().root.string() << std::endl;
    } catch (const Error&) {
      refused = std::current_exception();  // raised again once MPI can end the other ranks
    }
  }
  const auto ranks = place.launcher == Launcher::kNone ? solo_rank() : connect_ranks();
  if (refused) {
    std::rethrow_exception(refused);
  }
  check_world(place, ranks->size());
  REGATTA_REQUIRE(run.ranks == 0 || run.ranks == ranks->size(), ConfigError, "--ranks ", run.ranks, ", but ",
                  ranks->size(), " ranks were started already; leave it out under mpirun or srun");
  REGATTA_REQUIRE((ranks->rank() == 0) == (start != nullptr), CommError, "sweep: MPI's rank ", ranks->rank(),
                  " is the launcher's rank ", place.rank);

  const Roster roster = call_the_roll(*ranks, place, start.get(), run);
  Work work;
  if (!roster.finished) {
    work = train_all(*ranks, spawner, start.get(), roster, run, place);
  }
  if (start) {
    start->sweep->refresh();
    const bool finished = start->sweep->state().finished();
    if (finished) {
      work.code = exit_code_of(start->sweep->state());
    }
    const std::filesystem::path& root = start->sweep->files().root;
    at_end({root, finished, start->sweep->state().spent_text(), work.started, command_text(work.again, root)});
  }
  ranks->leave(kPartTimeout_s);
  return work.code;
}

}  // namespace regatta
