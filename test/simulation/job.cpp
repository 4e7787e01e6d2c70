// A job's life, its supervisors and children.
#include "job.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <ostream>

#include <time.h>

#include "launch/supervisor.hpp"
#include "regatta/base/error.hpp"

namespace regatta::simulation {
namespace {

constexpr double kTick_s = 2.5;
constexpr double kLetter_s = 0.01;
constexpr double kRetryCommit_s = 2.0;
constexpr double kForever = std::numeric_limits<double>::infinity();
constexpr const char* kRecipeHash = "00000000cafe0000";

/// Streams of random numbers.
enum Stream : std::uint64_t {
  kStartTime = 20,
  kRequeue,
  kJobKill,
  kKillKind,
  kCut,
  kCutLength,
  kCommit,
  kTrialTime,
  kChildStart,
  kChildKill,
  kFails,
  kFailsWhere,
  kFailsHow,
  kDiverges,
  kDivergesWhere,
  kInfeasible,
  kSave,
  kSqueue,
  kDice
};

/// Of this thread: the machine may be busy with other things.
double cpu_s() {
  timespec time{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

double step_seconds(const World& world, std::int64_t trial) {
  const SimulationOptions& options = world.options;
  return world.log_normal(options.trial_s, options.trial_sigma, kTrialTime, static_cast<std::uint64_t>(trial)) /
         static_cast<double>(kSteps);
}

/// What a trial's process would have left.
TrialResult result_of(const World& world, std::int64_t trial) {
  TrialResult result;
  result.recipe_hash = kRecipeHash;
  result.steps = kSteps;
  result.epochs = 100;
  result.parameters = 327000;
  result.best_metric = "dice";
  result.best_step = kSteps;
  const double dice = 0.6 + 0.2 * world.draw(kDice, static_cast<std::uint64_t>(trial));
  result.best = {{"dice", dice}, {"folding", 0.001}, {"ncc", -0.4}};
  result.initial = {{"dice", 0.5}, {"folding", 0.0}, {"ncc", -0.2}};
  result.last = result.best;
  result.ms_per_step = 1000.0 * step_seconds(world, trial);
  result.weights_xxh3 = "0123456789abcdef";
  return result;
}

/// Letters that wait for their ranks.
class SimulatedRanks final : public Ranks {
 public:
  explicit SimulatedRanks(int size) : size_(size) {}

  int rank() const override { return 0; }
  int size() const override { return size_; }
  std::vector<std::string> gather(const std::string& text) override {
    return std::vector<std::string>(static_cast<std::size_t>(size_), text);
  }
  void leave(double) override {}

  std::vector<Letter> take_sent() {
    for (Letter& own : receive()) {
      sent_.push_back({0, std::move(own.body)});
    }
    return std::exchange(sent_, {});
  }

 protected:
  void send_away(int to, std::string text) override {
    if (text != last_text_) {  // the same to all ranks, mostly
      last_ = parse_json(text, "letter");
      last_text_ = std::move(text);
    }
    sent_.push_back({to, last_});
  }
  void receive_arrived(std::vector<Letter>&) override {}

 private:
  int size_;
  std::vector<Letter> sent_;
  std::string last_text_;
  Json last_;
};

/// Group commit whose disk answers when the simulation says so.
class SimulatedJournal final : public DurableJournal {
 public:
  SimulatedJournal(JournalWriter& writer, std::function<void()> wake) : writer_(writer), wake_(std::move(wake)) {}

  std::int64_t append(const std::string& type, const Json& fields) override {
    const std::int64_t number = writer_.append(type, fields);
    wake_();
    return number;
  }
  bool is_durable(std::int64_t number) const override { return writer_.durable() >= number; }
  double durable_age_s(const Clock& clock) const override { return clock.monotonic_s() - writer_.last_commit_s(); }
  std::string error() const override { return error_; }

  bool commit() {
    try {
      writer_.commit();
      error_.clear();
    } catch (const DataError& failure) {
      error_ = failure.what();
    }
    return error_.empty();
  }

 private:
  JournalWriter& writer_;
  std::function<void()> wake_;
  std::string error_;
};

/// Trials without folders: what stands there is the simulation's truth, seen as late as anything else.
class SimulatedBook final : public TrialBook {
 public:
  SimulatedBook(const World& world, std::uint64_t view) : world_(world), view_(view) {}

  std::string recipe_hash(std::int64_t) override { return kRecipeHash; }
  std::int64_t steps(std::int64_t) const override { return kSteps; }
  double mean_steps() const override { return static_cast<double>(kSteps); }
  int bear(std::int64_t, const TrialFiles&, int threads) override { return threads; }

  std::optional<TrialResult> standing_result(const TrialFiles& files) const override {
    const std::int64_t trial = std::stoll(files.root.filename().string().substr(1));
    const TrialTruth::Saved& result = world_.truth[static_cast<std::size_t>(trial)].result;
    const bool seen =
        result.step > 0 && (result.by == view_ || result.time_s + world_.options.view_lag_s <= world_.clock.now_s);
    return seen ? std::optional(result_of(world_, trial)) : std::nullopt;
  }

 private:
  const World& world_;
  std::uint64_t view_;
};

class SimulatedProbe final : public JobProbe {
 public:
  explicit SimulatedProbe(const World& world) : world_(world) {}

  JobListing look_up(const JobPlace& place) override {
    const auto hour = static_cast<std::uint64_t>(world_.clock.now_s / 3600.0);
    const auto found = world_.queue.find(place.job);
    if (found == world_.queue.end() || world_.draw(kSqueue, hour) < world_.options.squeue_silent) {
      return JobListing::kUnknown;
    }
    const bool listed =
        found->second.present || world_.clock.now_s < found->second.ended_s + world_.options.squeue_lag_s;
    return listed ? JobListing::kListed : JobListing::kNotListed;
  }

 private:
  const World& world_;
};

SweepDefinition definition_of(const SimulationOptions& options) {
  SweepDefinition definition;
  definition.trials = options.trials;
  definition.job.name = "simulated";
  definition.job.objective.metric = "dice";
  definition.job.objective.direction = "maximise";
  return definition;
}

}  // namespace

/// What ends with the job's processes.
struct Job::Life {
  Life(World& world, int job, std::uint64_t view_number, const JobPlace& place, double leave_s,
       std::function<void()> wake)
      : files(std::make_shared<FileView>(world.files, view_number)),
        probe(world),
        start(definition_of(world.options).job, definition_of(world.options),
              std::make_unique<Sweep>(SweepFiles{}, files, world.journal, rules_of(definition_of(world.options)), place,
                                      probe, world.clock),
              std::make_unique<SimulatedBook>(world, view_number)),
        ranks(world.options.ranks),
        writer(*files, place, str(view_number), world.clock),
        journal(writer, std::move(wake)),
        owner{{str("node", job), "boot", 100, view_number}, place, writer.shard()},
        time_left(leave_s, world.clock),
        progress(nowhere, false, world.clock, world.options.progress_every_s),
        coordinator(ranks, start, journal, owner,
                    std::vector<std::string>(static_cast<std::size_t>(world.options.ranks), owner.process.host), 1,
                    progress, time_left, CoordinatorTimes{}, world.clock),
        seats(static_cast<std::size_t>(world.options.ranks)),
        durable_s(world.clock.now_s) {
    journal.append("join", join_fields(owner, world.options.ranks));
  }

  std::shared_ptr<FileView> files;
  SimulatedProbe probe;
  SweepStart start;
  SimulatedRanks ranks;
  JournalWriter writer;
  SimulatedJournal journal;
  Owner owner;
  std::ostream nowhere{nullptr};
  FixedTimeLeft time_left;
  SweepProgress progress;
  Coordinator coordinator;
  std::vector<Rank> seats;
  std::vector<Letter> inbox;
  double durable_s;           ///< by the coordinator's newest word to its supervisors
  double busy_until_s = 0.0;  ///< the coordinator waits for the file system
  double step_due_s = kForever;
  double cut_until_s = 0.0;
  bool committing = false;
  std::optional<int> finish_code;
};

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
      die(world_.draw(kKillKind, id(), lives_) < 0.5);
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
      --world_.unclaimed;
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

void Job::begin_child(int rank, const Json& letter) {
  Rank& seat = life_->seats[static_cast<std::size_t>(rank)];
  Child child;
  child.trial = letter.at("trial").get<std::int64_t>();
  child.attempt = letter.at("attempt").get<int>();
  child.step_s = step_seconds(world_, child.trial);
  const double now_s = world_.clock.now_s;
  const auto trial = static_cast<std::uint64_t>(child.trial);
  TrialTruth& truth = world_.truth[static_cast<std::size_t>(child.trial)];
  if (truth.living > 0) {
    ++world_.measures.overlaps;
  }
  world_.account();
  ++truth.living;
  ++world_.ranks_living;
  ++world_.measures.children;
  for (const TrialTruth::Saved& saved : truth.saved) {
    if (saved.by == view() || saved.time_s + world_.options.view_lag_s <= now_s) {
      child.step = std::max(child.step, saved.step);
    }
  }
  child.saved = child.step;
  child.reported = static_cast<int>(child.step * world_.options.reports / kSteps);
  const auto attempt = static_cast<std::uint64_t>(child.attempt);
  child.killed_s = now_s + 3600.0 * world_.exponential(world_.options.child_killed_h, kChildKill, trial, attempt);
  if (world_.draw(kFails, trial, attempt) < world_.options.attempt_fails) {
    const double left = static_cast<double>(kSteps - child.step);
    child.fails_at = child.step + 1 + static_cast<std::int64_t>(left * world_.draw(kFailsWhere, trial, attempt));
  }
  seat.child = child;
  plan_child(rank, Child::Next::kFirstStep, child.step,
             now_s + kLetter_s + world_.log_normal(world_.options.child_start_s, 0.4, kChildStart, trial, attempt));
  if (seat.leaving) {
    leave(rank);
  }
}

/// The next thing that happens to a training child: whatever comes first.
void Job::plan_child(int rank) {
  const Child& child = life_->seats[static_cast<std::size_t>(rank)].child;
  const SimulationOptions& options = world_.options;
  const auto trial = static_cast<std::uint64_t>(child.trial);
  Child::Next next = Child::Next::kEnd;
  std::int64_t at = kSteps;
  const auto consider = [&](Child::Next what, std::int64_t step) {
    if (step < at || (step == at && what < next)) {
      at = step;
      next = what;
    }
  };
  if (child.reported < options.reports) {
    consider(Child::Next::kReport, kSteps * (child.reported + 1) / options.reports);
  }
  const auto every = std::max<std::int64_t>(1, std::llround(options.checkpoint_every_s / child.step_s));
  if (const std::int64_t save = (child.saved / every + 1) * every; save < kSteps) {
    consider(Child::Next::kCheckpoint, save);
  }
  if (child.fails_at > 0) {
    consider(Child::Next::kFail, child.fails_at);
  }
  if (world_.draw(kDiverges, trial) < options.trial_diverges) {
    const auto where = static_cast<std::int64_t>(static_cast<double>(kSteps) * world_.draw(kDivergesWhere, trial));
    consider(Child::Next::kDiverge, std::max(child.step, where));
  }
  plan_child(rank, next, at, child.since_s + static_cast<double>(at - child.step) * child.step_s);
}

void Job::plan_child(int rank, Child::Next next, std::int64_t step, double time_s) {
  Child& child = life_->seats[static_cast<std::size_t>(rank)].child;
  const bool is_killed = next != Child::Next::kSaved && child.killed_s < time_s;
  child.next = is_killed ? Child::Next::kKilled : next;
  child.next_step = is_killed ? child.step : step;
  child.ticket = ++tickets_;
  world_.schedule(is_killed ? std::max(child.killed_s, world_.clock.now_s) : time_s, Event::Kind::kChild, number_, rank,
                  child.ticket);
}

void Job::child_event(int rank) {
  Child& child = life_->seats[static_cast<std::size_t>(rank)].child;
  const auto trial = static_cast<std::uint64_t>(child.trial);
  TrialTruth& truth = world_.truth[static_cast<std::size_t>(child.trial)];
  const double now_s = world_.clock.now_s;
  constexpr std::array<AttemptStatus, 4> kFailures = {AttemptStatus::kFailed, AttemptStatus::kSignal,
                                                      AttemptStatus::kDevice, AttemptStatus::kHang};
  const Json place = {{"trial", child.trial}, {"attempt", child.attempt}, {"step", child.next_step}};
  child.step = child.next_step;
  child.since_s = now_s;
  switch (child.next) {
    case Child::Next::kFirstStep:
      child.training = true;
      if (world_.draw(kInfeasible, trial) < world_.options.trial_infeasible) {
        end_child(rank, status_name(AttemptStatus::kOom));
        return;
      }
      break;
    case Child::Next::kReport: {
      ++child.reported;
      Json report = place;
      report["epoch"] = child.step / 10;
      report["metrics"] = {{"dice", 0.5 + 0.2 * world_.draw(kDice, trial, static_cast<std::uint64_t>(child.step))},
                           {"folding", 0.001},
                           {"ncc", -0.3}};
      tell(rank, "report", report);
      break;
    }
    case Child::Next::kCheckpoint: save(rank); break;
    case Child::Next::kFail:
      end_child(rank, status_name(kFailures.at(static_cast<std::size_t>(
                          4.0 * world_.draw(kFailsHow, trial, static_cast<std::uint64_t>(child.attempt))))));
      return;
    case Child::Next::kDiverge: end_child(rank, status_name(AttemptStatus::kDiverged)); return;
    case Child::Next::kKilled:
      ++world_.measures.child_kills;
      end_child(rank, status_name(AttemptStatus::kSignal));
      return;
    case Child::Next::kSaved:
      if (child.training && child.step > child.saved) {
        save(rank);
      }
      end_child(rank, status_name(AttemptStatus::kPaused));
      return;
    case Child::Next::kEnd:
      if (++truth.completed > 1) {
        world_.faults.push_back(str("trial ", child.trial, " was run to completion ", truth.completed, " times"));
      }
      truth.result = {kSteps, now_s, view()};
      end_child(rank, status_name(AttemptStatus::kOk), to_json(result_of(world_, child.trial)));
      return;
  }
  plan_child(rank);
}

void Job::save(int rank) {
  Child& child = life_->seats[static_cast<std::size_t>(rank)].child;
  child.saved = child.step;
  world_.truth[static_cast<std::size_t>(child.trial)].saved.push_back({child.step, world_.clock.now_s, view()});
  tell(rank, "checkpoint", {{"trial", child.trial}, {"attempt", child.attempt}, {"step", child.step}});
}

void Job::end_child(int rank, const std::string& status, const Json& result) {
  Rank& seat = life_->seats[static_cast<std::size_t>(rank)];
  Json end = {{"trial", seat.child.trial},
              {"attempt", seat.child.attempt},
              {"status", status},
              {"step", seat.child.step},
              {"message", ""}};
  if (!result.is_null()) {
    end["result"] = result;
  }
  world_.account();
  --world_.truth[static_cast<std::size_t>(seat.child.trial)].living;
  --world_.ranks_living;
  seat.child = Child{};
  tell(rank, "end", end);
  tell(rank, seat.leaving ? "left" : "ask", Json::object());
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
