// A job's life and its supervisors; its children are in job_children.cpp.
#include "job.hpp"

#include <algorithm>

#include <time.h>

#include "job_life.hpp"
#include "launch/supervisor.hpp"
#include "regatta/base/error.hpp"

namespace regatta::simulation {
namespace {

constexpr double kTick_s = 2.5;
constexpr double kRetryCommit_s = 2.0;

/// Of this thread: the machine may be busy with other things.
double cpu_s() {
  timespec time{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

}  // namespace

Job::Job(World& world, int number) : world_(world), number_(number) {}

Job::~Job() = default;

std::string Job::queue_name() const {
  return str(number_ + 1, "0", submission_);
}

void Job::handle(const Event& event) {
  using Kind = Event::Kind;
  if (event.kind == Kind::kStart) {
    start();
    return;
  }
  if (event.kind == Kind::kChild) {
    Rank* rank = life_ ? &life_->seats[static_cast<std::size_t>(event.rank)] : nullptr;
    if (rank != nullptr && rank->child.trial >= 0 && rank->child.ticket == event.ticket) {
      child_event(event.rank);
    }
    return;
  }
  if (event.ticket != lives_) {
    return;  // of an earlier life
  }
  if (event.kind == Kind::kReady) {
    ready();
  }
  if (!life_) {
    return;
  }
  switch (event.kind) {
    case Kind::kStep:
      if (event.time_s == life_->step_due_s) {
        step();
      }
      break;
    case Kind::kCommit: commit(); break;
    case Kind::kTimeLimit: time_is_up(); break;
    case Kind::kKill:
      ++world_.measures.job_kills;
      die(world_.draw(kKillKind, id(), lives_) < world_.options.kills_requeued);
      break;
    case Kind::kCutOff:
      ++world_.measures.cut_offs;
      life_->cut_until_s =
          world_.clock.now_s + 2.0 * world_.options.cut_off_s * world_.draw(kCutLength, id(), tickets_);
      world_.schedule(
          world_.clock.now_s + 3600.0 * world_.exponential(world_.options.cut_off_h, kCut, id(), ++tickets_),
          Kind::kCutOff, number_, 0, lives_);
      break;
    case Kind::kEnd: end(); break;
    case Kind::kStart:
    case Kind::kReady:
    case Kind::kChild: break;
  }
}

void Job::start() {
  ++lives_;
  ++world_.measures.job_starts;
  started_s_ = world_.clock.now_s;
  world_.queue[queue_name()].present = true;
  world_.schedule(world_.clock.now_s + world_.options.job_start_s * world_.spread(kStartTime, id(), lives_),
                  Event::Kind::kReady, number_, 0, lives_);
}

void Job::ready() {
  const JobPlace place{"sim", queue_name(), restart_, true};
  const double leave_s = started_s_ + world_.options.time_limit_s - world_.options.leave_before_s;
  life_ = std::make_unique<Life>(world_, number_, view(), place, leave_s - world_.clock.now_s, [this] {
    if (life_ && !life_->committing) {
      life_->committing = true;
      const double from_s = std::max(world_.clock.now_s, life_->busy_until_s);
      world_.schedule(from_s + world_.options.commit_s * world_.spread(kCommit, id(), ++tickets_), Event::Kind::kCommit,
                      number_, 0, lives_);
    }
  });
  if (life_->start.sweep->state().finished()) {
    close_life();
    world_.queue[queue_name()] = {false, world_.clock.now_s};
    return;
  }
  life_->files->on_claim = [this](std::int64_t trial, int) {
    TrialTruth& truth = world_.truth[static_cast<std::size_t>(trial)];
    if (!truth.claimed) {
      truth.claimed = true;
      world_.account();
      world_.unclaimed -= trial % world_.options.replicates == 0 ? 1 : 0;
    }
  };
  life_->committing = true;  // "join" was queued while there was no life to see to it
  world_.schedule(world_.clock.now_s + world_.options.commit_s, Event::Kind::kCommit, number_, 0, lives_);
  world_.account();
  world_.ranks_up += world_.options.ranks;
  const SimulationOptions& options = world_.options;
  const double now_s = world_.clock.now_s;
  world_.schedule(leave_s, Event::Kind::kTimeLimit, number_, 0, lives_);
  world_.schedule(now_s + 3600.0 * world_.exponential(options.job_killed_h, kJobKill, id(), lives_), Event::Kind::kKill,
                  number_, 0, lives_);
  world_.schedule(now_s + 3600.0 * world_.exponential(options.cut_off_h, kCut, id(), ++tickets_), Event::Kind::kCutOff,
                  number_, 0, lives_);
  for (int rank = 0; rank < options.ranks; ++rank) {
    tell(rank, "ask", Json::object());
  }
}

void Job::step_by(double time_s) {
  const double at_s = std::max(time_s, life_->busy_until_s);
  if (at_s < life_->step_due_s) {
    life_->step_due_s = at_s;
    world_.schedule(at_s, Event::Kind::kStep, number_, 0, lives_);
  }
}

void Job::tell(int rank, const std::string& type, const Json& fields) {
  life_->inbox.push_back({rank, make_letter(type, fields)});
  step_by(world_.clock.now_s + kLetter_s);
}

/// One round of the coordinator, then what its letters do.
void Job::step() {
  life_->step_due_s = kForever;
  const double begin_s = cpu_s();
  bool stopped = false;
  try {
    for (const Letter& letter : std::exchange(life_->inbox, {})) {
      life_->coordinator.take(letter);
      ++world_.measures.letters;
    }
    life_->coordinator.step();
    ++world_.measures.steps;
  } catch (const DataError&) {
    stopped = true;
  }
  const double took_s = cpu_s() - begin_s;
  world_.measures.coordinator_cpu_s += took_s;
  world_.measures.slowest_step_s = std::max(world_.measures.slowest_step_s, took_s);
  life_->busy_until_s = std::max(life_->busy_until_s, world_.clock.now_s) + std::exchange(life_->files->busy_s, 0.0);
  if (!stopped) {
    deliver();
  }
  if (stopped || world_.clock.now_s - life_->durable_s > SupervisorTimes{}.coordinator_silent_s) {
    ++world_.measures.self_stops;
    die(false);
    return;
  }
  step_by(world_.clock.now_s + (life_->inbox.empty() ? kTick_s : kLetter_s));
}

void Job::deliver() {
  for (const Letter& letter : life_->ranks.take_sent()) {
    const int rank = letter.from;
    const std::string type = letter.body.at("type");
    if (type == "alive") {
      life_->durable_s = world_.clock.now_s - letter.body.at("durable_age_s").get<double>();
    } else if (type == "assign") {
      begin_child(rank, letter.body);
    } else if (type == "leave") {
      leave(rank);
    } else if (type == "finish" && !life_->finish_code) {
      life_->finish_code = letter.body.at("code").get<int>();
      world_.schedule(world_.clock.now_s + kLetter_s, Event::Kind::kEnd, number_, 0, lives_);
    }
  }
}

void Job::commit() {
  const double now_s = world_.clock.now_s;
  if (now_s < life_->cut_until_s) {
    world_.schedule(life_->cut_until_s, Event::Kind::kCommit, number_, 0, lives_);
  } else if (!life_->journal.commit()) {
    world_.schedule(now_s + kRetryCommit_s, Event::Kind::kCommit, number_, 0, lives_);
  } else {
    life_->committing = false;
    step_by(now_s);
  }
}

void Job::time_is_up() {
  for (int rank = 0; rank < world_.options.ranks; ++rank) {
    tell(rank, "leaving", {{"signal", 12}});
  }
}

/// Told to leave: a child saves first.
void Job::leave(int rank) {
  Rank& seat = life_->seats[static_cast<std::size_t>(rank)];
  Child& child = seat.child;
  seat.leaving = true;
  if (child.trial < 0) {
    tell(rank, "left", Json::object());
    return;
  }
  const double now_s = world_.clock.now_s;
  std::int64_t step = child.step;
  if (child.training) {
    step = std::min(kSteps - 1, step + static_cast<std::int64_t>((now_s - child.since_s) / child.step_s));
  }
  plan_child(rank, Child::Next::kSaved, step,
             now_s + world_.options.save_s * world_.spread(kSave, static_cast<std::uint64_t>(child.trial), tickets_));
}

void Job::die(bool same_job) {
  close_life();
  start_again(same_job);
}

void Job::end() {
  const int code = *life_->finish_code;
  close_life();
  if (code == static_cast<int>(ExitCode::kRequeue)) {
    start_again(true);
  } else if (code == static_cast<int>(ExitCode::kNoGain)) {
    start_again(false);  // its user submits another
  } else {
    world_.queue[queue_name()] = {false, world_.clock.now_s};
  }
}

void Job::close_life() {
  world_.account();
  world_.measures.over_s = world_.clock.now_s;
  const SweepCosts& costs = life_->start.sweep->costs();
  world_.measures.looks += costs.looks;
  world_.measures.shard_looks += costs.shards;
  world_.measures.claims += costs.claims;
  world_.measures.claims_lost += costs.claims_lost;
  if (life_->files->on_claim) {
    world_.ranks_up -= world_.options.ranks;
  }
  for (const Rank& rank : life_->seats) {
    if (rank.child.trial >= 0) {
      --world_.ranks_living;
      --world_.truth[static_cast<std::size_t>(rank.child.trial)].living;
    }
  }
  life_.reset();
}

void Job::start_again(bool same_job) {
  if (same_job) {
    ++restart_;
  } else {
    world_.queue[queue_name()] = {false, world_.clock.now_s};
    ++submission_;
    restart_ = 0;
  }
  const double wait_s = world_.options.requeue_after_s * (0.2 + 1.6 * world_.draw(kRequeue, id(), lives_));
  world_.schedule(world_.clock.now_s + wait_s, Event::Kind::kStart, number_);
}

}  // namespace regatta::simulation
