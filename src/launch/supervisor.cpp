// A trial's child from its start order to its end.
#include "launch/supervisor.hpp"

#include <cerrno>
#include <csignal>
#include <cstring>
#include <filesystem>

#include <sys/socket.h>

#include "launch/ranks.hpp"
#include "regatta/base/error.hpp"
#include "regatta/base/files.hpp"
#include "regatta/base/host_memory.hpp"
#include "regatta/base/log.hpp"
#include "regatta/base/process.hpp"
#include "regatta/base/version.hpp"

namespace regatta {

/// The trial that runs now.
struct Supervisor::Attempt {
  Attempt(int fd, const HangRule& rule, double now_s) : channel(fd), watch(rule, now_s) {}

  std::int64_t trial = 0;
  int number = 1;
  pid_t pid = 0;
  LineChannel channel;
  HangWatch watch;
  AttemptEvidence evidence;
  StartOrder order;
  bool greeted = false;
  bool exited = false;
  bool told_to_leave = false;
  bool told_to_pause = false;
  double leave_s = 0.0;
  double leave_sent_s = -1e9;
  double end_s = 0.0;       ///< when "end" came, 0 before
  double abort_s = 0.0;     ///< when SIGABRT was sent, 0 before
  double progress_s = 0.0;  ///< when progress was last passed on
  bool killed = false;
  std::int64_t memory_kills_before = memory_kills();
  std::int64_t checkpoint_step = 0;  ///< newest that it has told of
};

Supervisor::Supervisor(Spawner& spawner, WorkerSeat seat, Send send, SupervisorTimes times, const Clock& clock)
    : spawner_(spawner),
      seat_(std::move(seat)),
      send_(std::move(send)),
      times_(times),
      clock_(clock),
      last_durable_s_(clock.monotonic_s()) {}

Supervisor::~Supervisor() = default;

void Supervisor::take(const Json& letter) {
  const std::string type = letter.at("type");
  if (type == "assign") {
    begin(letter);
  } else if (type == "leave") {
    leave();
  } else if (type == "pause") {
    pause();
  } else if (type == "alive") {
    last_durable_s_ = clock_.monotonic_s() - letter.at("durable_age_s").get<double>();
  } else if (type == "finish") {
    finish_code_ = letter.at("code").get<int>();
  }
}

void Supervisor::request_leave(int signal) {
  if (!leave_requested_) {
    leave_requested_ = true;
    send_(make_letter("leaving", {{"signal", signal}}));
  }
}

void Supervisor::leave() {
  leaving_ = true;
  if (attempt_ && !attempt_->told_to_leave) {
    attempt_->told_to_leave = true;
    attempt_->leave_s = clock_.monotonic_s();
    repeat_leave();
  }
}

/// The child ends after its next validation. One that has not greeted yet is told when it does.
void Supervisor::pause() {
  if (attempt_) {
    attempt_->told_to_pause = true;
    if (attempt_->greeted) {
      attempt_->channel.send("pause", Json::object());
    }
  }
}

/// Said again and again: a child that reads "start" and "leave" at once may take the first and drop the second.
void Supervisor::repeat_leave() {
  const double now_s = clock_.monotonic_s();
  if (attempt_->greeted && now_s - attempt_->leave_sent_s >= times_.repeat_leave_s) {
    attempt_->leave_sent_s = now_s;
    attempt_->channel.send("leave", Json::object());
  }
}

void Supervisor::begin(const Json& letter) {
  REGATTA_REQUIRE(!attempt_, BugError, "supervisor: a second trial while one runs");
  asked_ = false;
  int ends[2] = {-1, -1};
  REGATTA_REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0, CommError,
                  "supervisor: socketpair: ", std::strerror(errno));
  LineChannel childs_end(ends[1]);
  auto attempt = std::make_unique<Attempt>(ends[0], times_.hang, clock_.monotonic_s());
  attempt->trial = letter.at("trial").get<std::int64_t>();
  attempt->number = letter.at("attempt").get<int>();
  attempt->order = {letter.at("root").get<std::string>(), attempt->number, seat_.gpu.device,
                    letter.at("threads").get<int>(), letter.value("until", std::int64_t{0})};

  const TrialFiles files{attempt->order.root};
  make_directories(files.attempt(attempt->number));
  SpawnOrder order;
  order.argv = {seat_.worker, "worker", "--fd", str(kChildChannel)};
  order.environment = {{"CUDA_VISIBLE_DEVICES", seat_.gpu.visible},
                       {"CUDA_DEVICE_ORDER", "PCI_BUS_ID"},
                       {"OMP_NUM_THREADS", str(attempt->order.threads)}};
  order.log = files.log(attempt->number).string();
  const bool fits = attempt->order.threads <= static_cast<int>(seat_.cpus.size());
  order.cpus = fits ? seat_.cpus : seat_.all_cpus;
  attempt->pid = spawner_.start(order, childs_end.fd());
  log_debug("trial ", attempt->trial, " attempt ", attempt->number, ": process ",
            static_cast<std::int64_t>(attempt->pid));
  attempt_ = std::move(attempt);
  if (leaving_) {
    leave();
  }
}

void Supervisor::step() {
  for (const ChildExit& exit : spawner_.exits()) {
    if (attempt_ && attempt_->pid == exit.pid) {
      attempt_->exited = true;
      attempt_->evidence.exit = exit;
    }
  }
  if (attempt_) {
    listen();
    watch();
    if (attempt_->exited) {
      end();
    }
  }
  if (leaving_ && !attempt_ && !left_) {
    left_ = true;
    send_(make_letter("left"));
  }
  if (!attempt_ && !leaving_ && !asked_ && !finish_code_) {
    asked_ = true;
    send_(make_letter("ask"));
  }
  const double silent_s = clock_.monotonic_s() - last_durable_s_;
  REGATTA_REQUIRE(silent_s <= times_.coordinator_silent_s, CommError,
                  "supervisor: nothing could be made durable in the journal for ", duration_text(silent_s),
                  ": this machine may be cut off, so its trial stops");
}

void Supervisor::listen() {
  attempt_->channel.flush(0.0);
  const auto refuse = [this](const std::string& text) {
    attempt_->evidence.protocol_error = text;
    kill_child(SIGKILL);
  };
  std::vector<Json> messages;
  try {
    messages = attempt_->channel.receive();
  } catch (const CommError& error) {
    refuse(error.what());
  }
  try {
    for (Json& message : messages) {
      attempt_->watch.heard(clock_.monotonic_s());
      handle(std::move(message));
    }
  } catch (const Json::exception& error) {
    refuse(str("protocol: ", one_line(error.what())));
  }
}

void Supervisor::handle(Json message) {
  const std::string type = message.at("type");
  if (type == "hello") {
    const std::string build = message.value("build", std::string());
    REGATTA_REQUIRE(message.value("protocol", 0) == kProtocolVersion && build == build_id(), CommError, seat_.worker,
                    ": is build '", one_line(build, 60), "', protocol ", message.value("protocol", 0),
                    "; this is build '", build_id(), "', protocol ", kProtocolVersion);
    attempt_->greeted = true;
    attempt_->channel.send("start", to_json(attempt_->order));
    if (attempt_->told_to_pause) {
      attempt_->channel.send("pause", Json::object());
    }
    return;
  }
  attempt_->evidence.last_step = std::max(attempt_->evidence.last_step, message.value("step", std::int64_t{0}));
  if (type == "end") {
    attempt_->end_s = clock_.monotonic_s();
    attempt_->evidence.end_message = std::move(message);
  } else if (type == "progress") {
    if (message.contains("ms_per_step") && message["ms_per_step"].is_number() &&
        message.value("step", std::int64_t{0}) > 0) {
      attempt_->watch.stepped(message["ms_per_step"].get<double>());
    }
    if (clock_.monotonic_s() - attempt_->progress_s >= times_.progress_every_s) {
      attempt_->progress_s = clock_.monotonic_s();
      pass_on(type, message);
    }
  } else if (type == "report" || type == "checkpoint") {
    if (type == "checkpoint") {
      attempt_->checkpoint_step = std::max(attempt_->checkpoint_step, message.value("step", std::int64_t{0}));
    }
    pass_on(type, message);
  }
}

void Supervisor::pass_on(const std::string& type, const Json& message) {
  Json letter = make_letter(type, message);
  letter["trial"] = attempt_->trial;
  letter["attempt"] = attempt_->number;
  send_(letter);
}

void Supervisor::kill_child(int signal) {
  if (!attempt_->exited) {
    spawner_.kill(attempt_->pid, signal);
    attempt_->killed = attempt_->killed || signal == SIGKILL;
  }
}

void Supervisor::watch() {
  Attempt& attempt = *attempt_;
  const double now_s = clock_.monotonic_s();
  if (attempt.exited || attempt.killed) {
    return;
  }
  if (attempt.told_to_leave && attempt.end_s == 0) {
    repeat_leave();
  }
  if (attempt.abort_s > 0) {
    if (now_s - attempt.abort_s > times_.after_abort_s) {
      kill_child(SIGKILL);
    }
  } else if (attempt.end_s > 0) {
    if (now_s - attempt.end_s > times_.after_end_s) {
      kill_child(SIGKILL);  // it has said how it ended, but cannot die
    }
  } else if (attempt.told_to_leave && now_s - attempt.leave_s > times_.leave_deadline_s) {
    attempt.evidence.interference = Interference::kDeadline;
    kill_child(SIGKILL);
  } else if (attempt.watch.is_hung(now_s)) {
    attempt.evidence.interference = Interference::kHang;
    attempt.evidence.silent_s = attempt.watch.silent_s(now_s);
    attempt.evidence.state = process_state(attempt.pid);
    attempt.abort_s = now_s;
    kill_child(SIGABRT);
    kill_child(SIGCONT);  // one that was stopped could not write its stack
  }
}

/// A child may die between a checkpoint's publication and its word about it: whether an attempt has gained something is
/// told by its manifest.
void Supervisor::report_unheard_checkpoint() {
  try {
    for (const CheckpointFile& file : list_checkpoints(TrialFiles{attempt_->order.root})) {
      if (file.attempt == attempt_->number && file.step > attempt_->checkpoint_step) {
        pass_on("checkpoint", {{"step", file.step}});
        return;
      }
    }
  } catch (const Error& error) {
    log_warning(error.what());  // the next attempt decides what can be read
  }
}

void Supervisor::end() {
  listen();  // what it wrote before it ended
  attempt_->evidence.memory_kill = memory_kills() > attempt_->memory_kills_before;
  const AttemptEnd end = classify_end(attempt_->evidence);
  if (end.status != AttemptStatus::kOk) {
    report_unheard_checkpoint();
  }
  Json letter = make_letter("end", {{"trial", attempt_->trial},
                                    {"attempt", attempt_->number},
                                    {"status", status_name(end.status)},
                                    {"step", end.step},
                                    {"message", end.message}});
  if (!end.result.is_null()) {
    letter["result"] = end.result;
  }
  attempt_.reset();
  send_(letter);
}

std::vector<pollfd> Supervisor::descriptors() const {
  std::vector<pollfd> list = {{spawner_.fd(), POLLIN, 0}};
  if (attempt_ && !attempt_->channel.closed()) {
    list.push_back({attempt_->channel.fd(), POLLIN, 0});
  }
  return list;
}

}  // namespace regatta
