// A job's children: trials that train, save, fail and end, without training.
#include <algorithm>
#include <array>
#include <cmath>

#include "job_life.hpp"

namespace regatta::simulation {

void Job::begin_child(int rank, const Json& letter) {
  Rank& seat = life_->seats[static_cast<std::size_t>(rank)];
  Child child;
  child.trial = letter.at("trial").get<std::int64_t>();
  child.attempt = letter.at("attempt").get<int>();
  child.until = letter.at("until").get<std::int64_t>();
  child.step_s = step_seconds(world_, child.trial);
  const double now_s = world_.clock.now_s;
  const auto trial = static_cast<std::uint64_t>(child.trial);
  TrialTruth& truth = world_.truth[static_cast<std::size_t>(child.trial)];
  if (truth.living > 0) {
    ++world_.measures.overlaps;
  }
  if (truth.dropped) {
    world_.faults.push_back(str("trial ", child.trial, " goes on without the checkpoints that it was entitled to"));
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
  if (child.until > 0) {
    consider(Child::Next::kRung, std::max(child.until, child.step));
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
    case Child::Next::kReport:
      ++child.reported;
      report(rank);
      break;
    case Child::Next::kRung:  // a validation, a checkpoint, and the GPU is free
      report(rank);
      save(rank);
      end_child(rank, status_name(AttemptStatus::kPaused));
      return;
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

/// The objective is better the longer a trial trains, and noisy.
void Job::report(int rank) {
  const Child& child = life_->seats[static_cast<std::size_t>(rank)].child;
  const auto trial = static_cast<std::uint64_t>(child.trial);
  const double share = static_cast<double>(child.step) / static_cast<double>(kSteps);
  const double dice = 0.6 + 0.2 * world_.draw(kDice, trial) - 0.1 / std::sqrt(1.0 + 100.0 * share) +
                      0.02 * world_.draw(kDice, trial, static_cast<std::uint64_t>(child.step));
  tell(rank, "report",
       {{"trial", child.trial},
        {"attempt", child.attempt},
        {"step", child.step},
        {"epoch", child.step / kStepsPerEpoch},
        {"metrics", {{"dice", dice}, {"folding", 0.001}, {"ncc", -0.3}}}});
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

}  // namespace regatta::simulation
