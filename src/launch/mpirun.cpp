// Ranks on this machine through mpirun, with this process as mpirun's parent.
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <thread>

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "launch/launcher_place.hpp"
#include "regatta/base/log.hpp"
#include "regatta/base/run_program.hpp"
#include "regatta/base/signals.hpp"
#include "regatta/launch/sweep_run.hpp"

namespace regatta {
namespace {

constexpr auto kLook = std::chrono::milliseconds(50);
constexpr int kMpirunExecFailed = 127;

std::vector<std::string> mpirun_arguments(const std::string& mpirun, int ranks,
                                          const std::vector<std::string>& arguments) {
  std::vector<std::string> all = {mpirun, "-n", str(ranks), "--oversubscribe", "--bind-to", "none", "--quiet"};
  if (environment_variable("SLURM_JOB_ID")) {
    // "Here" is this machine, not the other nodes of an allocation that this shell may be in.
    all.insert(all.end(), {"--mca", "ras", "^slurm", "--mca", "plm", "^slurm"});
  }
  all.insert(all.end(), arguments.begin(), arguments.end());
  return all;
}

void set_mpirun_environment() {
  if (::geteuid() == 0) {
    ::setenv("OMPI_ALLOW_RUN_AS_ROOT", "1", 1);
    ::setenv("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1", 1);
  }
  if (::isatty(STDOUT_FILENO) != 0) {
    ::setenv("REGATTA_TERMINAL", "1", 1);  // the ranks write into a pipe of mpirun's
  }
}

/// mpirun in a process group of its own, so that Ctrl-C reaches us alone; it ends if we are killed.
pid_t start_mpirun(std::vector<std::string> texts) {
  std::vector<char*> argv;
  for (std::string& text : texts) {
    argv.push_back(text.data());
  }
  argv.push_back(nullptr);
  const pid_t self = ::getpid();
  const pid_t pid = ::fork();
  if (pid != 0) {
    REGATTA_REQUIRE(pid > 0, CommError, "mpirun: fork: ", std::strerror(errno));
    return pid;
  }
  ::prctl(PR_SET_PDEATHSIG, SIGTERM);
  ::setpgid(0, 0);
  const int null = ::open("/dev/null", O_RDONLY);  // a background group must not read the terminal
  ::dup2(null, STDIN_FILENO);
  if (::getppid() == self) {
    ::execv(argv[0], argv.data());
  }
  ::_exit(kMpirunExecFailed);
}

ExitCode wait_for_mpirun(pid_t pid) {
  bool told = false;
  while (true) {
    int status = 0;
    const pid_t ended = ::waitpid(pid, &status, WNOHANG);
    if (ended == pid) {
      if (WIFEXITED(status)) {
        return static_cast<ExitCode>(WEXITSTATUS(status));
      }
      log_error("mpirun was ended by signal ", WTERMSIG(status));
      return ExitCode::kComm;
    }
    REGATTA_REQUIRE(ended == 0 || errno == EINTR, CommError, "mpirun: waitpid: ", std::strerror(errno));
    if (leave_requested() && !told) {
      told = true;
      log_info(leave_signal_text(leave_signal()), ": asking all ranks to save and leave");
      ::kill(pid, SIGUSR2);
    }
    std::this_thread::sleep_for(kLook);
  }
}

}  // namespace

bool is_under_launcher() {
  return find_launcher().launcher != Launcher::kNone;
}

ExitCode run_under_mpirun(int ranks, const std::vector<std::string>& arguments) {
  const auto mpirun = find_program("mpirun");
  REGATTA_REQUIRE(mpirun, CommError, "mpirun: not in PATH; install Open MPI or load its module, or leave --ranks out");
  catch_leave_signals();
  set_mpirun_environment();
  return wait_for_mpirun(start_mpirun(mpirun_arguments(*mpirun, ranks, arguments)));
}

}  // namespace regatta
