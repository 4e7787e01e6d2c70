// Runs `regatta-launch sweep` with the stand-in worker in a session of its own, finds and kills its processes, and
// reads what it left behind. Shared by the end-to-end tests.
#pragma once

#include <csignal>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include <sys/types.h>

namespace regatta::test {

namespace fs = std::filesystem;

/// A process of a session that is neither gone nor a zombie.
struct FoundProcess {
  pid_t pid = 0;
  pid_t parent = 0;
  std::string name;  ///< as in /proc/PID/comm
};

class SweepProcess {
 public:
  /// @param arguments    after "regatta-launch"
  /// @param environment  set over ours; REGATTA_WORKER is fake_worker unless it says otherwise
  SweepProcess(const std::vector<std::string>& arguments, const std::map<std::string, std::string>& environment,
               const fs::path& output);
  ~SweepProcess();
  SweepProcess(const SweepProcess&) = delete;
  SweepProcess& operator=(const SweepProcess&) = delete;

  pid_t pid() const { return pid_; }

  /// Of its session: itself, mpirun, ranks, spawners, workers.
  std::vector<FoundProcess> processes() const;

  /// Exit code, 128 + N after a signal; -1 (and killed) if it does not end in time.
  int wait(double timeout_s = 60.0);

  bool has_ended();

  /// Processes of its session that still live `grace_s` after its end.
  std::vector<FoundProcess> left_behind(double grace_s = 5.0) const;

 private:
  pid_t pid_ = -1;
  int code_ = -1;
  bool ended_ = false;
};

/// A job file of 4 x `weights` trials in `folder`. @return its path
fs::path write_job(const fs::path& folder, int weights = 2, const std::string& more = "");

/// REGATTA_FAKE, as fake_worker reads it.
std::map<std::string, std::string> fake(int steps, int ms, const std::string& modes = "{}");

/// What a sweep's folder says about each trial: `weights_xxh3` of result.json, "" where there is none.
std::vector<std::string> results(const fs::path& sweep, int trials);

/// Attempt and first step of every start of a trial.
std::vector<std::pair<int, std::int64_t>> starts(const fs::path& sweep, int trial);

/// Two workers were at one trial at once.
bool has_violation(const fs::path& sweep, int trials);

std::string text_of(const fs::path& file);

void sleep_s(double seconds);

}  // namespace regatta::test
