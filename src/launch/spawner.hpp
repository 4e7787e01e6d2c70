// The spawner: a small process that a rank forks before MPI_Init and that makes all of the rank's children, so that
// nothing forks beside registered InfiniBand memory. It dies with its rank, and its children die with it.
// Which child to start and what its end means is the supervisor's business.
#pragma once

#include <map>
#include <string>
#include <vector>

#include <sys/types.h>

namespace regatta {

/// The child's end of its channel arrives as this descriptor; all others but 0, 1 and 2 are closed.
inline constexpr int kChildChannel = 3;

struct SpawnOrder {
  std::vector<std::string> argv;                   ///< argv[0] is the program's path; there is no PATH search
  std::map<std::string, std::string> environment;  ///< set over the rank's own, from which MPI's variables are removed
  std::string log;                                 ///< stdout and stderr are appended to this file
  std::vector<int> cpus;                           ///< processors the child may run on; empty: the rank's own
};

struct ChildExit {
  pid_t pid = 0;
  int code = 0;    ///< exit code, 0 if a signal ended it
  int signal = 0;  ///< the signal that ended it, or 0
};

class Spawner {
 public:
  /// Forks the spawner. Call while the process has one thread and before MPI_Init.
  /// @throws CommError if the system has no process left
  Spawner();

  /// Ends the spawner, and with it any child that still runs.
  ~Spawner();
  Spawner(const Spawner&) = delete;
  Spawner& operator=(const Spawner&) = delete;

  pid_t pid() const { return pid_; }

  /// Readable when an exit is to be fetched.
  int fd() const { return fd_; }

  /// Starts a child: SIGKILL at the spawner's death, leave signals ignored, MPI's variables gone.
  /// @param channel  becomes descriptor kChildChannel in the child; stays open (and the caller's) here
  /// @throws CommError naming the program and the system's reason if it cannot be started, or if the spawner is gone
  pid_t start(const SpawnOrder& order, int channel);

  /// Sends a signal to a child unless it has already ended. Goes through the spawner, so that a reused pid is never
  /// hit.
  void kill(pid_t child, int signal);

  /// Children that have ended since the last call. @throws CommError if the spawner is gone
  std::vector<ChildExit> exits();

 private:
  std::string receive(int timeout_ms);
  void take(const std::string& message);

  pid_t pid_ = -1;
  int fd_ = -1;
  pid_t started_ = 0;
  std::string start_error_;
  std::vector<ChildExit> exits_;
};

/// The rank's environment without MPI's variables (OMPI_*, PMIX_*, PMI_*, PRTE_*), with `changes` over it.
std::vector<std::string> child_environment(char** own, const std::map<std::string, std::string>& changes);

}  // namespace regatta
