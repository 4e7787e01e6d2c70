#include "train/member_process.hpp"

#include <cerrno>
#include <csignal>
#include <cstring>
#include <map>
#include <string_view>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "regatta/base/clock.hpp"
#include "regatta/base/error.hpp"
#include "regatta/base/files.hpp"
#include "regatta/base/process.hpp"

namespace regatta {
namespace {

constexpr int kChannel = 3;  ///< the descriptor of a member's end of the socket pair
constexpr int kExecFailed = 127;

struct SocketPair {
  int own = -1;
  int childs = -1;
};

SocketPair new_pair() {
  int ends[2] = {-1, -1};
  REGATTA_REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0, CommError,
                  "group: socketpair: ", std::strerror(errno));
  return {ends[0], ends[1]};
}

/// This process's environment with some variables set.
std::vector<std::string> environment_with(const std::map<std::string, std::string>& changes) {
  std::vector<std::string> all;
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    const std::string_view text(*entry);
    if (!changes.contains(std::string(text.substr(0, text.find('='))))) {
      all.emplace_back(text);
    }
  }
  for (const auto& [name, value] : changes) {
    all.push_back(name + "=" + value);
  }
  return all;
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> list;
  for (std::string& text : texts) {
    list.push_back(text.data());
  }
  list.push_back(nullptr);
  return list;
}

/// Between fork and exec: nothing here takes memory or a lock.
[[noreturn]] void become_member(pid_t parent, int channel, int log, char* const* argv, char* const* environment) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) {
    ::_exit(kExecFailed);
  }
  for (const int number : {SIGINT, SIGTERM, SIGUSR2}) {  // who started it decides when it saves
    ::signal(number, SIG_IGN);
  }
  ::dup2(log, STDOUT_FILENO);
  ::dup2(log, STDERR_FILENO);
  ::dup2(channel, kChannel);
  ::execve(argv[0], argv, environment);
  ::_exit(kExecFailed);
}

/// A descriptor above those that a member gets.
int moved_up(int fd) {
  const int high = ::fcntl(fd, F_DUPFD_CLOEXEC, 10);
  ::close(fd);
  return high;
}

pid_t start(const GroupOrder& order, int rank, int childs_end, const std::filesystem::path& log_path) {
  std::vector<std::string> argv = order.program;
  argv.insert(argv.end(), {"--fd", str(kChannel)});
  std::map<std::string, std::string> changes = {{"OMP_NUM_THREADS", str(order.threads)}};
  if (!order.gpus.empty()) {
    changes["CUDA_VISIBLE_DEVICES"] = order.gpus.at(static_cast<std::size_t>(rank));
    changes["CUDA_DEVICE_ORDER"] = "PCI_BUS_ID";
  }
  std::vector<std::string> environment = environment_with(changes);
  const std::vector<char*> argument_list = pointers(argv);
  const std::vector<char*> environment_list = pointers(environment);
  const int channel = moved_up(childs_end);
  const int log = moved_up(::open(log_path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666));
  const int error = errno;
  const pid_t parent = ::getpid();
  const pid_t pid = log < 0 ? -1 : ::fork();
  if (pid == 0) {
    become_member(parent, channel, log, argument_list.data(), environment_list.data());
  }
  const int fork_error = errno;
  ::close(channel);
  ::close(log);
  REGATTA_REQUIRE(log >= 0, DataError, log_path.string(), ": cannot open: ", std::strerror(error));
  REGATTA_REQUIRE(pid > 0, CommError, "group: member ", rank, " cannot be started: ", std::strerror(fork_error));
  return pid;
}

std::filesystem::path log_of(const GroupOrder& order, int rank) {
  make_directories(order.files.attempt(order.attempt));
  const std::filesystem::path first = order.files.log(order.attempt);
  return rank == 0 ? first : first.parent_path() / str("log-", rank, ".txt");
}

}  // namespace

MemberProcess::MemberProcess(const GroupOrder& order, int rank)
    : heard_s(system_clock().monotonic_s()), rank_(rank), log_(log_of(order, rank)), channel_([&] {
        const SocketPair pair = new_pair();
        pid_ = start(order, rank, pair.childs, log_);
        return pair.own;
      }()) {}

MemberProcess::~MemberProcess() {
  kill();
  if (!status_) {
    int status = 0;
    ::waitpid(pid_, &status, 0);
  }
}

bool MemberProcess::has_ended() {
  int status = 0;
  if (!status_ && ::waitpid(pid_, &status, WNOHANG) == pid_) {
    status_ = status;
  }
  return status_.has_value();
}

void MemberProcess::kill() {
  if (!status_) {
    killed = true;
    ::kill(pid_, SIGKILL);
  }
}

void MemberProcess::hung(double silent_s) {
  const std::string state = process_state(pid_);
  hang_ = str("no sign of life for ", duration_text(silent_s), state.empty() ? "" : str("; its process: ", state));
  kill();
}

TrainOutcome MemberProcess::outcome() const {
  if (!hang_.empty()) {
    return {AttemptStatus::kHang, 0, hang_, std::nullopt};
  }
  if (end_) {
    TrainOutcome outcome;
    outcome.status = attempt_status_from(end_->value("status", std::string())).value_or(AttemptStatus::kFailed);
    outcome.step = end_->value("step", std::int64_t{0});
    outcome.message = one_line(end_->value("message", std::string()), 2000);
    if (end_->contains("result")) {
      outcome.result = result_from_json(end_->at("result"), "a member's result");
    }
    return outcome;
  }
  const int status = status_.value_or(0);
  if (WIFSIGNALED(status)) {
    const char* name = ::sigabbrev_np(WTERMSIG(status));
    return {AttemptStatus::kSignal, 0,
            str("ended by signal ", WTERMSIG(status), name == nullptr ? "" : str(" (SIG", name, ")")), std::nullopt};
  }
  return {AttemptStatus::kFailed, 0, str("ended with exit code ", WEXITSTATUS(status), " without saying why"),
          std::nullopt};
}

bool MemberProcess::ended_well() const {
  const AttemptStatus status = outcome().status;
  return end_ &&
         (status == AttemptStatus::kOk || status == AttemptStatus::kPaused || status == AttemptStatus::kDiverged);
}

ExitCode MemberProcess::code() const {
  const int status = status_.value_or(0);
  return WIFEXITED(status) && WEXITSTATUS(status) != 0 && WEXITSTATUS(status) != kExecFailed
             ? static_cast<ExitCode>(WEXITSTATUS(status))
             : ExitCode::kComm;
}

}  // namespace regatta
