// The spawner's own loop, and what happens between fork and exec of a child.
#include "launch/spawner_process.hpp"

#include <cerrno>
#include <csignal>
#include <cstring>
#include <exception>
#include <set>

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "launch/spawner.hpp"
#include "launch/spawner_socket.hpp"
#include "regatta/base/signals.hpp"
#include "regatta/base/text.hpp"
#include "regatta/config/options.hpp"

namespace regatta {
namespace {

constexpr int kExecFailed = 127;

/// Closes every descriptor from `first` on. Kernels before 5.9 have no close_range.
void close_from(int first) {
#ifdef SYS_close_range
  if (::syscall(SYS_close_range, static_cast<unsigned>(first), ~0U, 0U) == 0) {
    return;
  }
#endif
  const long most = ::sysconf(_SC_OPEN_MAX);
  for (int fd = first; fd < (most > 0 ? most : 65536); ++fd) {
    ::close(fd);
  }
}

/// stdin, stdout and stderr onto /dev/null: a launcher that waits for the end of its ranks' output must not wait for
/// us.
void detach_standard_streams() {
  const int null = ::open("/dev/null", O_RDWR);
  for (int fd = 0; fd < 3; ++fd) {
    ::dup2(null, fd);
  }
  if (null > 2) {
    ::close(null);
  }
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> list;
  for (std::string& text : texts) {
    list.push_back(text.data());
  }
  list.push_back(nullptr);
  return list;
}

void set_affinity(const std::vector<int>& cpus) {
  if (cpus.empty()) {
    return;
  }
  cpu_set_t set;
  CPU_ZERO(&set);
  for (const int cpu : cpus) {
    if (cpu >= 0 && cpu < CPU_SETSIZE) {
      CPU_SET(static_cast<std::size_t>(cpu), &set);
    }
  }
  ::sched_setaffinity(0, sizeof set, &set);
}

class SpawnerProcess {
 public:
  SpawnerProcess(int socket, int signals) : socket_(socket), signals_(signals), pid_(::getpid()) {}

  void serve() {
    while (true) {
      pollfd waits[2] = {{socket_, POLLIN, 0}, {signals_, POLLIN, 0}};
      if (::poll(waits, 2, -1) < 0) {
        continue;
      }
      if (waits[1].revents != 0) {
        signalfd_siginfo ignored{};
        while (::read(signals_, &ignored, sizeof ignored) > 0) {
        }
        reap();
      }
      if (waits[0].revents != 0 && !take_request()) {
        return;
      }
    }
  }

 private:
  void reap() {
    int status = 0;
    for (pid_t pid = ::waitpid(-1, &status, WNOHANG); pid > 0; pid = ::waitpid(-1, &status, WNOHANG)) {
      if (children_.erase(pid) == 0) {
        continue;  // it never became the program that was asked for; `start` has said so
      }
      Json reply;
      reply["type"] = "exit";
      reply["pid"] = pid;
      reply["code"] = WIFEXITED(status) ? WEXITSTATUS(status) : 0;
      reply["signal"] = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
      send_packet(socket_, dump_line(reply));
    }
  }

  bool take_request() {
    const Packet packet = receive_packet(socket_);
    if (packet.text.empty()) {
      return false;
    }
    const Json request = parse_json(packet.text, "spawner");
    if (request.at("type") == "start") {
      start(request, packet.passed);
    } else if (children_.contains(request.at("pid").get<pid_t>())) {
      ::kill(request.at("pid").get<pid_t>(), request.at("signal").get<int>());
    }
    if (packet.passed >= 0) {
      ::close(packet.passed);
    }
    return true;
  }

  void start(const Json& request, int channel) {
    SpawnOrder order;
    order.argv = request.at("argv").get<std::vector<std::string>>();
    order.environment = request.at("environment").get<std::map<std::string, std::string>>();
    order.log = request.at("log").get<std::string>();
    order.cpus = request.at("cpus").get<std::vector<int>>();
    Json reply;
    reply["type"] = "started";
    reply["pid"] = -1;
    int report[2] = {-1, -1};
    int error = 0;
    if (::pipe2(report, O_CLOEXEC) != 0) {
      error = errno;
    } else if (const pid_t pid = ::fork(); pid == 0) {
      become_child(order, channel, report[1]);
    } else {
      const int fork_error = errno;
      ::close(report[1]);
      // End of file without a word means that exec has closed the pipe: the program runs.
      if (pid < 0) {
        error = fork_error;
      } else if (::read(report[0], &error, sizeof error) != sizeof error) {
        error = 0;
        children_.insert(pid);
        reply["pid"] = pid;
      }
      ::close(report[0]);
    }
    reply["error"] = error == 0 ? "" : std::strerror(error);
    send_packet(socket_, dump_line(reply));
  }

  [[noreturn]] void become_child(SpawnOrder& order, int channel, int report) const {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != pid_) {
      ::_exit(kExecFailed);  // the spawner died before the line above
    }
    sigset_t none;
    ::sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
    ignore_leave_signals();
    set_affinity(order.cpus);
    const int log = ::open(order.log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    int error = log < 0 ? errno : 0;
    if (error == 0) {
      // Upwards first: the targets 3 and 4 may be in use by one of the two.
      const int high_channel = ::fcntl(channel, F_DUPFD_CLOEXEC, 10);
      const int high_report = ::fcntl(report, F_DUPFD_CLOEXEC, 10);
      ::dup2(log, STDOUT_FILENO);
      ::dup2(log, STDERR_FILENO);
      ::dup2(high_channel, kChildChannel);
      ::dup3(high_report, kChildChannel + 1, O_CLOEXEC);
      report = kChildChannel + 1;
      close_from(kChildChannel + 2);
      std::vector<std::string> environment = child_environment(environ, order.environment);
      ::execve(order.argv.front().c_str(), pointers(order.argv).data(), pointers(environment).data());
      error = errno;
    }
    if (::write(report, &error, sizeof error) < 0) {
      ::_exit(kExecFailed);
    }
    ::_exit(kExecFailed);
  }

  int socket_;
  int signals_;
  pid_t pid_;
  std::set<pid_t> children_;
};

}  // namespace

void run_spawner_process(int socket, pid_t rank) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != rank) {
    ::_exit(1);
  }
  ::prctl(PR_SET_NAME, "regatta-spawner");
  ignore_leave_signals();
  detach_standard_streams();
  const int own = ::dup2(socket, 3);
  close_from(4);
  sigset_t child_ends;
  ::sigemptyset(&child_ends);
  ::sigaddset(&child_ends, SIGCHLD);
  ::sigprocmask(SIG_BLOCK, &child_ends, nullptr);
  const int signals = ::signalfd(-1, &child_ends, SFD_CLOEXEC | SFD_NONBLOCK);
  try {
    SpawnerProcess(own, signals).serve();
  } catch (const std::exception&) {
    ::_exit(1);  // the rank sees the end of file and says so
  }
  ::_exit(0);
}

std::vector<std::string> child_environment(char** own, const std::map<std::string, std::string>& changes) {
  std::vector<std::string> kept;
  for (char** entry = own; entry != nullptr && *entry != nullptr; ++entry) {
    const std::string_view text(*entry);
    const std::string_view name = text.substr(0, text.find('='));
    const bool of_mpi =
        name.starts_with("OMPI_") || name.starts_with("PMIX_") || name.starts_with("PMI_") || name.starts_with("PRTE_");
    if (!of_mpi && !changes.contains(std::string(name))) {
      kept.emplace_back(text);
    }
  }
  for (const auto& [name, value] : changes) {
    kept.push_back(name + "=" + value);
  }
  return kept;
}

}  // namespace regatta
