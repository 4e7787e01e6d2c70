// Rank 0's decisions: hand-out, records, leaving, the end.
#include "launch/coordinator.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include "regatta/base/error.hpp"
#include "regatta/base/log.hpp"
#include "regatta/base/signals.hpp"

namespace regatta {
namespace {

constexpr int kBarWidth = 24;
constexpr double kSayEvery_s = 60.0;
constexpr int kPrunedAtOnce = 20;  ///< then ranks get their trials first

/// These members of a letter, where it has them: a child cannot put others into the journal.
Json members(const Json& letter, std::initializer_list<const char*> names) {
  Json fields;
  for (const char* name : names) {
    if (letter.contains(name)) {
      fields[name] = letter.at(name);
    }
  }
  return fields;
}

}  // namespace

bool is_for_coordinator(const std::string& type) {
  constexpr std::array<const char*, 7> kTypes = {"ask", "progress", "report", "checkpoint", "end", "leaving", "left"};
  return std::find(kTypes.begin(), kTypes.end(), type) != kTypes.end();
}

ExitCode exit_code_of(const SweepState& state) {
  for (const auto& [status, count] : state.counts().by_status) {
    if (status != status_name(TrialStatus::kOk) && status != status_name(TrialStatus::kPruned)) {
      return ExitCode::kFailure;
    }
  }
  return ExitCode::kOk;
}

Coordinator::Coordinator(Ranks& ranks, SweepStart& start, DurableJournal& journal, Owner owner,
                         std::vector<std::string> hosts, int threads, SweepProgress& progress, TimeLeft& time_left,
                         CoordinatorTimes times, const Clock& clock)
    : ranks_(ranks),
      start_(start),
      sweep_(*start.sweep),
      journal_(journal),
      owner_(std::move(owner)),
      hosts_(std::move(hosts)),
      threads_(threads),
      progress_(progress),
      times_(times),
      clock_(clock),
      seats_(static_cast<std::size_t>(ranks.size())),
      time_left_(time_left),
      forecast_(times.slice),
      beat_s_(clock.monotonic_s()),
      worked_s_(clock.monotonic_s()) {}

void Coordinator::record(const std::string& type, const Json& fields, std::function<void()> then) {
  pending_.push_back({journal_.append(type, fields), std::move(then)});
}

void Coordinator::release_durable() {
  bool fresh = false;
  while (!pending_.empty() && journal_.is_durable(pending_.front().record)) {
    if (!fresh) {
      sweep_.refresh_shard(owner_.shard);
      fresh = true;
      changed_ = true;
    }
    const auto then = std::move(pending_.front().then);
    pending_.pop_front();
    if (then) {
      then();
    }
  }
}

void Coordinator::take(const Letter& letter) {
  const std::string type = letter.body.at("type");
  Seat& seat = seats_.at(static_cast<std::size_t>(letter.from));
  if (type == "ask") {
    seat.idle = true;
    changed_ = true;
  } else if (type == "leaving") {
    begin_leave(leave_signal_text(letter.body.at("signal").get<int>()), ExitCode::kRequeue);
  } else if (type == "left") {
    seat.left = true;
  } else if (!seat.attempt || seat.attempt->first != letter.body.at("trial").get<std::int64_t>()) {
    throw BugError(str("coordinator: '", type, "' from rank ", letter.from, ", which has no such trial"));
  } else if (type == "progress") {
    note_progress(seat, letter.body);
  } else if (type == "report") {
    record(type, members(letter.body, {"trial", "attempt", "step", "epoch", "metrics"}));
    note_rung(seat, letter.body);
  } else if (type == "checkpoint") {
    gained_ = true;
    if (const Json* save_s = find_pointer(letter.body, "/save_s"); save_s != nullptr && save_s->is_number()) {
      forecast_.saved(save_s->get<double>());
    }
    Json fields = members(letter.body, {"trial", "attempt", "step"});
    count_gpu_time(seat, fields);
    record(type, fields);
  } else {
    take_end(letter.from, letter.body);
  }
}

/// The validation at which the slice ends says what the trial is worth at its rung.
void Coordinator::note_rung(const Seat& seat, const Json& letter) {
  if (seat.until == 0 || letter.at("step") != seat.until) {
    return;
  }
  const Json* value = find_pointer(letter, "/metrics/" + start_.definition.job.objective.metric);
  record("rung", {{"trial", seat.attempt->first},
                  {"attempt", seat.attempt->second},
                  {"rung", seat.rung},
                  {"step", seat.until},
                  {"value", value == nullptr ? Json("nan") : *value}});
}

/// Of all GPUs of the trial, since it was last counted.
void Coordinator::count_gpu_time(Seat& seat, Json& fields) {
  const double now_s = clock_.monotonic_s();
  if (seat.counted_s > 0) {
    const double spent_s = (now_s - seat.counted_s) * start_.definition.job.gpus_per_trial;
    fields["gpu_s"] = std::round(1000.0 * spent_s) / 1000.0;
  }
  seat.counted_s = now_s;
}

void Coordinator::note_progress(Seat& seat, const Json& letter) {
  if (seat.assigned_s > 0) {
    forecast_.loaded(clock_.monotonic_s() - seat.assigned_s);
    seat.assigned_s = 0.0;
  }
  const Json* ms = find_pointer(letter, "/ms_per_step");
  const double ms_per_step = ms != nullptr && ms->is_number() ? ms->get<double>() : 0.0;
  if (ms_per_step > 0) {
    forecast_.stepped(ms_per_step);
  }
  running_[seat.attempt->first] = {letter.value("step", std::int64_t{0}), ms_per_step};
}

void Coordinator::take_end(int rank, const Json& letter) {
  Seat& seat = seats_[static_cast<std::size_t>(rank)];
  const std::int64_t trial = seat.attempt->first;
  const auto status = attempt_status_from(letter.at("status").get<std::string>());
  const bool expected = status == AttemptStatus::kOk || status == AttemptStatus::kPaused;
  gained_ = gained_ || (status != AttemptStatus::kPaused && status != AttemptStatus::kTimeout);
  if (!expected) {
    log_warning(trial_name(trial), " attempt ", seat.attempt->second, " on rank ", rank, " ",
                hosts_[static_cast<std::size_t>(rank)], ": ", letter.at("status").get<std::string>(), " at step ",
                letter.at("step").get<std::int64_t>(), ": ", letter.at("message").get<std::string>(), " (",
                sweep_.files().trial(trial).log(seat.attempt->second).string(), ")");
  }
  seat.attempt.reset();
  running_.erase(trial);
  worked_s_ = clock_.monotonic_s();
  Json fields = members(letter, {"trial", "attempt", "status", "step", "message", "result"});
  count_gpu_time(seat, fields);
  seat.counted_s = 0.0;
  record("end", fields);
}

void Coordinator::begin_leave(const std::string& reason, ExitCode code) {
  if (leaving_) {
    return;
  }
  leaving_ = true;
  leave_code_ = code;
  leave_s_ = clock_.monotonic_s();
  progress_.finish();
  log_info(reason, running_.empty() ? ": all ranks leave" : ": all trials save, then all ranks leave");
  for (int rank = 0; rank < ranks_.size(); ++rank) {
    ranks_.send(rank, make_letter("leave"));
  }
}

void Coordinator::beat() {
  const double now_s = clock_.monotonic_s();
  if (now_s - beat_s_ >= times_.heartbeat_s) {
    beat_s_ = now_s;
    record("heartbeat", Json::object());
  }
  const double age_s = journal_.durable_age_s(clock_);
  REGATTA_REQUIRE(age_s <= times_.stop_s, DataError, "journal: nothing could be made durable for ",
                  duration_text(age_s), ": ",
                  journal_.error().empty() ? "the file system does not answer" : journal_.error());
  if (now_s - alive_s_ >= times_.alive_every_s) {
    alive_s_ = now_s;
    const Json alive = make_letter("alive", {{"durable_age_s", age_s}});
    for (int rank = 0; rank < ranks_.size(); ++rank) {
      ranks_.send(rank, alive);
    }
  }
}

void Coordinator::step() {
  release_durable();
  beat();
  if (closed_) {
    return;
  }
  look_at_journal();
  look_at_budget();
  hand_out();
  close_when_over();
  show_progress();
}

/// Sees to it that new records are known, and that the job leaves when somebody or the clock says so.
void Coordinator::look_at_journal() {
  const double now_s = clock_.monotonic_s();
  const bool idle = std::any_of(seats_.begin(), seats_.end(), [](const Seat& seat) { return seat.idle; });
  const double pause_s = std::max(idle ? times_.look_again_s : times_.look_busy_s, sweep_.look_pause_s());
  if (leaving_ || is_waiting() || now_s - looked_s_ < pause_s) {
    return;
  }
  looked_s_ = now_s;
  sweep_.refresh();
  changed_ = true;
  const StopRequest stop = sweep_.state().stop_request(owner_);
  if (stop == StopRequest::kSave) {
    begin_leave("`regatta stop`", ExitCode::kOk);
  } else if (stop == StopRequest::kDrain && !draining_) {
    draining_ = true;
    log_info("`regatta stop --drain`: running trials end, no new ones begin");
  }
  if (const auto left_s = time_left_.seconds(); left_s && *left_s <= 0) {
    begin_leave("the time limit is near", ExitCode::kRequeue);
  }
}

/// Running trials pause at their next validation once a budget is used up: no GPU time is lost.
void Coordinator::look_at_budget() {
  if (leaving_ || !spent_.empty() || is_waiting() || !changed_) {
    return;
  }
  spent_ = sweep_.state().spent_text();
  if (spent_.empty()) {
    return;
  }
  log_info("budget reached, ", spent_, ": running trials pause at their next validation, no new ones begin");
  for (int rank = 0; rank < ranks_.size(); ++rank) {
    if (seats_[static_cast<std::size_t>(rank)].attempt) {
      ranks_.send(rank, make_letter("pause"));
    }
  }
}

void Coordinator::prune_hopeless() {
  const bool is_idle = std::any_of(seats_.begin(), seats_.end(), [](const Seat& seat) { return seat.idle; });
  for (int count = 0; count < kPrunedAtOnce; ++count) {
    const auto prune = sweep_.prune_next(owner_, is_idle);
    if (!prune) {
      return;
    }
    const TrialFiles files = sweep_.files().trial(prune->trial);
    record("prune", prune_fields(*prune), [this, files] { start_.book.drop_checkpoints(files); });
  }
}

/// The step at which a trial's next slice ends; 0: at its end.
std::int64_t Coordinator::slice_end(const NextTrial& next) {
  const SweepState& state = sweep_.state();
  const auto rung = next.promotion ? std::optional(next.promotion->rung + 1) : state.next_rung(next.trial);
  return rung && *rung < state.standings().rungs() ? start_.book.rung_step(next.trial, *rung) : 0;
}

void Coordinator::hand_out() {
  if (leaving_ || draining_ || !spent_.empty() || is_waiting() || !changed_) {
    return;
  }
  changed_ = false;
  prune_hopeless();
  for (int rank = 0; rank < ranks_.size(); ++rank) {
    if (seats_[static_cast<std::size_t>(rank)].idle && !hand_out_to(rank)) {
      return;
    }
  }
}

/// The next trial of which a useful part can still be done before the job has to leave.
std::optional<NextTrial> Coordinator::claim_in_time() {
  const auto left_s = time_left_.seconds();
  if (!left_s || forecast_.fits_a_part(*left_s - times_.signal_early_s)) {
    return sweep_.claim_next(owner_);
  }
  return sweep_.claim_next(owner_, [&](const NextTrial& next) {
    start_.book.follow(sweep_.state());
    const std::int64_t until = slice_end(next);
    const std::int64_t steps_left = (until > 0 ? until : start_.book.steps(next.trial)) - next.resume_step;
    return forecast_.fits_whole(*left_s - times_.signal_early_s, steps_left);
  });
}

bool Coordinator::hand_out_to(int rank) {
  const auto next = claim_in_time();
  if (!next) {
    return false;
  }
  start_.book.follow(sweep_.state());
  if (note_refusal(*next)) {
    return true;
  }
  const TrialFiles files = sweep_.files().trial(next->trial);
  const int threads = start_.book.bear(next->trial, files, threads_);
  const std::string recipe_hash = start_.book.recipe_hash(next->trial);
  const Json fields =
      start_fields(*next, rank, hosts_[static_cast<std::size_t>(rank)], recipe_hash, start_.book.length());
  if (adopt_result(*next, files, recipe_hash)) {
    return true;
  }
  Seat& seat = seats_[static_cast<std::size_t>(rank)];
  seat.until = slice_end(*next);
  seat.rung = next->promotion ? next->promotion->rung + 1 : sweep_.state().next_rung(next->trial).value_or(0);
  if (next->promotion) {
    record("promote", promote_fields(*next, seat.until > 0 ? seat.until : start_.book.steps(next->trial)));
  }
  seat.idle = false;
  seat.attempt = {next->trial, next->attempt};
  started_ = true;
  running_[next->trial] = {};
  const Json letter = make_letter("assign", {{"trial", next->trial},
                                             {"attempt", next->attempt},
                                             {"root", files.root.string()},
                                             {"threads", threads},
                                             {"until", seat.until}});
  record("start", fields, [this, rank, letter] {
    if (!leaving_) {
      Seat& at_work = seats_[static_cast<std::size_t>(rank)];
      at_work.assigned_s = at_work.counted_s = clock_.monotonic_s();
      ranks_.send(rank, letter);
      return;
    }
    take_end(rank, make_letter("end", {{"trial", letter.at("trial")},
                                       {"attempt", letter.at("attempt")},
                                       {"status", status_name(AttemptStatus::kPaused)},
                                       {"step", 0},
                                       {"message", "the job left before it began"}}));
  });
  return true;
}

/// A proposal that the models refuse has failed: it is bad input, and comes again as such once.
bool Coordinator::note_refusal(const NextTrial& next) {
  const auto refusal = start_.book.refusal(next.trial);
  if (!refusal) {
    return false;
  }
  log_warning(*refusal);
  record("start", start_fields(next, 0, hosts_.front(), "", start_.book.length()));
  record("end", {{"trial", next.trial},
                 {"attempt", next.attempt},
                 {"status", status_name(AttemptStatus::kBadInput)},
                 {"step", 0},
                 {"message", *refusal}});
  return true;
}

/// A trial whose result stands, but whose end never reached the journal (all were killed in between), has ended.
bool Coordinator::adopt_result(const NextTrial& next, const TrialFiles& files, const std::string& recipe_hash) {
  const auto result = start_.book.standing_result(files);
  if (!result || result->recipe_hash != recipe_hash || result->status != status_name(TrialStatus::kOk) ||
      result->steps < start_.book.steps(next.trial)) {
    return false;
  }
  record("start", start_fields(next, 0, hosts_.front(), recipe_hash, start_.book.length()));
  record("end", {{"trial", next.trial},
                 {"attempt", next.attempt},
                 {"status", status_name(AttemptStatus::kOk)},
                 {"step", result->steps},
                 {"message", "its result stood already"},
                 {"result", to_json(*result)}});
  return true;
}

void Coordinator::close_when_over() {
  const bool busy =
      std::any_of(seats_.begin(), seats_.end(), [](const Seat& seat) { return seat.attempt.has_value(); });
  if (!busy && !is_waiting() && sweep_.state().finished()) {
    close(exit_code_of(sweep_.state()));
    return;
  }
  if (leaving_) {
    const bool all_left = std::all_of(seats_.begin(), seats_.end(), [](const Seat& seat) { return seat.left; });
    const double waited_s = clock_.monotonic_s() - leave_s_;
    if (all_left && !busy && !is_waiting()) {
      close(code_of_leave());
    } else if (waited_s > times_.leave_deadline_s) {
      log_warning("not all ranks have saved within ", duration_text(waited_s), ": leaving without them");
      close(code_of_leave());
    }
  } else if (busy) {
    worked_s_ = clock_.monotonic_s();
  } else if (!is_waiting()) {
    leave_if_idle();
    say_who_has_the_rest();
  }
}

/// A Slurm job that comes back again and again without a new checkpoint is to stop: its next start would not differ.
ExitCode Coordinator::code_of_leave() const {
  if (leave_code_ != ExitCode::kRequeue || gained_ || !owner_.place.slurm) {
    return leave_code_;
  }
  const SweepState& state = sweep_.state();
  for (const auto& [shard, owner] : state.owners()) {
    const JobPlace& place = owner.place;
    const bool is_start_before = place.slurm && place.cluster == owner_.place.cluster &&
                                 place.job == owner_.place.job && place.restart + 1 == owner_.place.restart;
    if (is_start_before && state.gained(shard) == false) {
      log_error("neither this start of job ", place.job, " nor the one before gained a checkpoint: is its time limit ",
                "too short for loading, some steps and a save? Not requeued again");
      return ExitCode::kNoGain;
    }
  }
  return leave_code_;
}

/// No rank has work: nothing fits into what is left of the job, or others have had the rest for a long time.
void Coordinator::leave_if_idle() {
  const bool all_idle = std::all_of(seats_.begin(), seats_.end(), [](const Seat& seat) { return seat.idle; });
  if (all_idle && draining_) {
    begin_leave("`regatta stop --drain`: nothing runs any more", ExitCode::kOk);
  }
  if (all_idle && !spent_.empty()) {
    begin_leave(str("budget reached, ", spent_), ExitCode::kOk);
  }
  if (!all_idle || changed_ || leaving_) {
    return;
  }
  const auto left_s = time_left_.seconds();
  if (left_s && !forecast_.fits_a_part(*left_s - times_.signal_early_s)) {
    leave_for_lack_of_time(*left_s);
  } else if (clock_.monotonic_s() - worked_s_ > times_.idle_leave_s) {
    begin_leave(str("other jobs have had the rest of the trials for ", duration_text(times_.idle_leave_s)),
                ExitCode::kOk);
  }
}

/// The same job again has more time, unless its whole limit is too short.
void Coordinator::leave_for_lack_of_time(double left_s) {
  const std::string need =
      str("loading (", duration_text(forecast_.load_s()), "), some work (", duration_text(forecast_.work_s()),
          ") and saving (", duration_text(forecast_.save_s()), ")",
          times_.signal_early_s > 0 ? str("; Slurm may signal ", duration_text(times_.signal_early_s), " early")
                                    : std::string());
  const auto whole_s = time_left_.whole_s();
  if (!started_ && whole_s && !forecast_.fits_a_part(*whole_s - times_.signal_early_s)) {
    log_error("the time limit leaves ", duration_text(std::max(*whole_s, 0.0)),
              " until the signal to save, too short for any trial: ", need,
              ". Give a longer time limit, or signal later; not requeued");
    begin_leave("no trial can start in this job", ExitCode::kNoGain);
    return;
  }
  begin_leave(str(duration_text(std::max(left_s, 0.0)), " left, too short for ", need), ExitCode::kRequeue);
}

void Coordinator::close(ExitCode code) {
  closed_ = true;
  progress_.finish();
  record("leave", {{"gained", gained_}}, [this, code] {
    for (int rank = 0; rank < ranks_.size(); ++rank) {
      ranks_.send(rank, make_letter("finish", {{"code", static_cast<int>(code)}}));
    }
  });
}

void Coordinator::say_who_has_the_rest() {
  const bool all_idle = std::all_of(seats_.begin(), seats_.end(), [](const Seat& seat) { return seat.idle; });
  if (!all_idle || clock_.monotonic_s() - said_s_ < kSayEvery_s) {
    return;
  }
  const SweepState& state = sweep_.state();
  for (const auto& [shard, trial] : state.running()) {
    if (const Owner* owner = state.owner(state.shard_name(shard))) {
      said_s_ = clock_.monotonic_s();
      log_info("waiting: ", trial_name(trial), " is with job ", owner->place.job, " on ", state.trial(trial).host,
               "; it is taken over once that job is gone");
      return;
    }
  }
}

void Coordinator::show_progress() {
  if (!leaving_ && progress_.is_due()) {
    sweep_.look();
    progress_.show(sweep_progress_bar(sweep_.state(), start_.book, running_, kBarWidth),
                   sweep_progress_text(sweep_.state(), start_.book, start_.definition.job.objective.metric, running_));
  }
}

}  // namespace regatta
