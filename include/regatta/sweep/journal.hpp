// The journal of a sweep: append-only shards, one writer each, one sealed JSON line a record. All state is the fold
// over all shards (sweep/state.hpp). Here: records, writing with group commit, incremental reading that survives torn
// lines.
//
// Every record has "type", "time" (UTC, informative only), "shard" and "seq" (1, 2, ... per shard), and by type:
//   join        host, pid, boot, start_ticks, cluster, job, restart, nodes, ranks, build, command   first of a shard
//   submit      cluster, jobs[, collect]                 job numbers in Slurm's queue; the only record of its shard
//   extend      trials                                   larger total
//   start       trial, attempt, rank, host, recipe_hash, resume_step, seen    before the trial is handed out
//   checkpoint  trial, attempt, step
//   report      trial, attempt, step, epoch, metrics     a validation; numbers as number_to_json gives them
//   end         trial, attempt, status, step, message[, result]   status: an AttemptStatus name; result with "ok"
//   retry       trial, attempt                           attempts up to this one no longer count
//   submit      cluster, jobs                            Slurm jobs that will work here, by `regatta submit`
//   stop        shards, jobs, drain                      `regatta stop`: these writers and jobs leave, also at later
//                                                        starts; jobs as "<cluster>/<id>"
//   heartbeat                                            shows that the writer lives
//   leave       gained                                   last record of an orderly end; whether there is a checkpoint
//                                                        or a finished trial more than before
// "start" carries what its writer saw when it decided: `seen`, the status of the previous attempt ("" for the first,
// "lost" if it had not ended), and `resume_step`, the newest checkpoint. Whether an attempt is charged follows from
// these.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "regatta/base/clock.hpp"
#include "regatta/base/process.hpp"
#include "regatta/config/options.hpp"

namespace regatta {

/// Which submission a process belongs to. Without Slurm: cluster "local", job = "<host>-<pid>", restart 0.
struct JobPlace {
  std::string cluster = "local";
  std::string job;
  int restart = 0;
  bool slurm = false;
  std::string array = {};  ///< of an array's element: the array's own job number
  std::string nodes = {};  ///< of this start of the job, as Slurm lists them

  bool operator==(const JobPlace&) const = default;
};

/// From SLURM_CLUSTER_NAME, SLURM_JOB_ID, SLURM_ARRAY_JOB_ID, SLURM_RESTART_COUNT and SLURM_JOB_NODELIST.
JobPlace this_job();

/// Who writes a shard and owns claims.
struct Owner {
  ProcessIdentity process;
  JobPlace place;
  std::string shard;  ///< name of its journal file

  bool operator==(const Owner&) const = default;
};

Json to_json(const Owner& owner);

/// @throws DataError naming `source` if a member is missing
Owner owner_from_json(const Json& value, const std::string& source);

/// Appends to one shard of its own. `append` only queues; `commit` makes everything queued durable in one write and one
/// fsync. Both may be called from different threads.
class JournalWriter {
 public:
  /// Creates journal/<cluster>-<job>-r<restart>-<nonce>.jsonl exclusively. @throws DataError
  JournalWriter(const std::filesystem::path& directory, const JobPlace& place, const Clock& clock = system_clock());
  ~JournalWriter();
  JournalWriter(const JournalWriter&) = delete;
  JournalWriter& operator=(const JournalWriter&) = delete;

  /// The shard's file name.
  const std::string& shard() const { return shard_; }

  /// Queues a record. @return its sequence number; it is durable once `durable() >= ` that number
  std::int64_t append(const std::string& type, Json fields = Json::object());

  /// Writes what is queued and fsyncs. After an error the records stay queued, and the next commit writes them again
  /// behind a fresh newline; the reader drops what it then sees twice. @throws DataError
  void commit();

  /// The newest durable record's number.
  std::int64_t durable() const;

  /// Monotonic time of the last successful commit (or of creation): a supervisor that sees this grow old by 2 minutes
  /// must stop its trial.
  double last_commit_s() const;

 private:
  const Clock& clock_;
  std::string shard_;
  std::filesystem::path path_;
  int fd_ = -1;
  mutable std::mutex queue_mutex_;  ///< of the four members below
  std::string queued_;
  std::int64_t last_queued_ = 0;
  std::int64_t durable_ = 0;
  double last_commit_s_ = 0.0;
  std::mutex write_mutex_;  ///< one commit at a time
  bool torn_ = false;       ///< a write failed half-way: begin the next with a newline
};

/// The fields of "join".
Json join_fields(const Owner& owner, int ranks);

/// What a reader knows about one shard.
struct ShardProgress {
  std::int64_t bytes = 0;          ///< size last seen: growth shows that its writer lives
  std::int64_t records = 0;        ///< valid records read
  std::int64_t skipped = 0;        ///< whole lines that were torn or foreign
  std::int64_t pending_bytes = 0;  ///< a last line without its newline yet
};

/// Reads all shards of a directory, incrementally.
class JournalReader {
 public:
  explicit JournalReader(std::filesystem::path directory) : directory_(std::move(directory)) {}

  /// Records that became whole since the last call, ordered by shard name and sequence number. Torn and foreign lines
  /// are skipped to the next newline and counted; a torn last line is read once it is complete. No directory: no
  /// records.
  /// @throws DataError if a shard cannot be read
  std::vector<Json> poll();

  /// By shard file name.
  const std::map<std::string, ShardProgress>& shards() const { return progress_; }

  /// Sum of `skipped` over all shards.
  std::int64_t skipped() const;

 private:
  struct Position {
    std::int64_t offset = 0;
    std::int64_t last_seq = 0;
  };
  void read_shard(const std::string& name, std::vector<Json>& records);

  std::filesystem::path directory_;
  std::map<std::string, Position> positions_;
  std::map<std::string, ShardProgress> progress_;
};

}  // namespace regatta
