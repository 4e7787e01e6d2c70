// One member of a group as the process that started it sees it: its socket, its last words, how it ended.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include <sys/types.h>

#include "regatta/base/error.hpp"
#include "regatta/config/protocol.hpp"
#include "regatta/config/trial_files.hpp"
#include "regatta/train/group_run.hpp"

namespace regatta {

class MemberProcess {
 public:
  /// Starts it. It dies with this process. @throws CommError if it cannot be started
  MemberProcess(const GroupOrder& order, int rank);

  /// Kills it if it still lives.
  ~MemberProcess();
  MemberProcess(const MemberProcess&) = delete;
  MemberProcess& operator=(const MemberProcess&) = delete;

  LineChannel& channel() { return channel_; }
  int rank() const { return rank_; }
  pid_t pid() const { return pid_; }
  const std::filesystem::path& log() const { return log_; }

  /// Looks whether it has ended.
  bool has_ended();
  void kill();

  /// Takes its last message in.
  void said(Json end) { end_ = std::move(end); }

  /// Kept silent for too long and was killed for it.
  void hung(double silent_s);

  /// Whether it ended as it should: done, left or diverged, as its last message says.
  bool ended_well() const;

  /// How it ended; that of a member that waited for another one is kHang or kLost, as it saw it.
  TrainOutcome outcome() const;

  /// The exit code that says the same.
  ExitCode code() const;

  double heard_s = 0.0;  ///< when a message last came
  double step_s = 0.0;   ///< seconds per step, as last said; 0: no step is done
  bool greeted = false;
  bool killed = false;  ///< by this process

 private:
  int rank_;
  std::filesystem::path log_;
  pid_t pid_ = 0;  ///< before the channel, whose making sets it
  LineChannel channel_;
  std::optional<int> status_;  ///< of waitpid
  std::optional<Json> end_;
  std::string hang_;
};

}  // namespace regatta
