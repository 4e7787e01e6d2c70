// How far a sweep is: what `regatta status` shows. From the journal and, for trials that run, their metric lines.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "regatta/base/clock.hpp"
#include "regatta/config/json.hpp"

namespace regatta {

/// A trial that has begun and is not done.
struct ActiveTrial {
  std::string name;    ///< "t00042"
  std::string status;  ///< running, paused (also: its process is gone), or held at a rung
  std::string point;   ///< axis values, "lr 0.001  weight 2"
  std::string host;
  int attempt = 1;
  std::int64_t step = 0;
  std::int64_t steps = 0;  ///< 0: not known
  std::optional<double> ms_per_step;
  std::optional<double> best;  ///< objective so far
  std::optional<double> left_s;
};

/// A rank of a job that is at work on the sweep: one GPU, or several where its trials take more.
struct RankStatus {
  std::string host;  ///< where its newest trial was; before its first the job's own
  std::string job;   ///< "cluster/4711"; tells ranks of the same number on one host apart
  int rank = 0;
  std::optional<std::size_t> active;  ///< index into SweepStatus::active; nothing: idle
};

/// A trial that ended without weights worth ranking.
struct LostTrial {
  std::string name;
  std::string status;  ///< diverged, infeasible, failed, quarantined
  int attempts = 1;
  std::int64_t step = 0;
  std::string point;  ///< axis values
  std::string message;
  std::filesystem::path log;
};

struct SweepStatus {
  std::string name;
  std::string directory;
  std::string metric;
  std::int64_t total = 0;
  std::int64_t waiting = 0;
  std::int64_t ok = 0;
  std::int64_t pruned = 0;
  std::vector<ActiveTrial> active;
  std::vector<LostTrial> lost;
  std::vector<RankStatus> ranks;  ///< of the jobs that are alive, by host, job and rank
  std::optional<double> best;  ///< objective of the best point: the mean over its finished trials, as the report ranks
  std::string best_trial;      ///< the best trial of that point; empty: none yet
  std::string best_text;       ///< which number `best` is, or why there is none, for people
  std::optional<double> left_s;    ///< of the whole sweep with as many trials at a time as now; not known: empty
  std::string last_record_utc;     ///< the journal's newest line
  std::optional<double> silent_s;  ///< since then, by this machine's clock
  std::int64_t skipped_lines = 0;  ///< torn or foreign lines of the journal
  bool finished = false;
  std::string resume;  ///< the command that continues; empty if the sweep is finished
};

/// @throws DataError if the directory is not a sweep
SweepStatus read_status(const std::filesystem::path& sweep, const Clock& clock = system_clock());

std::string status_text(const SweepStatus& status);

/// Room for `watch_text`; 0: as much as it needs.
struct WatchSize {
  int columns = 0;
  int rows = 0;
};

/// What `regatta status --watch` shows: how much is done with the time left, the best so far, a line for each rank,
/// what failed last. Lines are cut to the room; ranks that have none are counted. @param bars  as on a terminal
std::string watch_text(const SweepStatus& status, bool bars, const WatchSize& size = {});
Json to_json(const SweepStatus& status);

}  // namespace regatta
