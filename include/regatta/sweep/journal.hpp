// The journal of a sweep: append-only shards, one writer each, one sealed JSON line a record. All state is the replay
// over all shards (sweep/state.hpp). Here: records, writing with group commit, incremental reading that survives torn
// lines.
//
// Every record has "type", "time" (UTC, informative only), "shard" and "seq" (1, 2, ... per shard), and by type:
//   join        host, pid, boot, start_ticks, cluster, job, restart, nodes, ranks, build, again   first of a shard
//   submit      cluster, jobs[, collect], again          job numbers in Slurm's queue; the only record of its shard
//   extend      trials                                   larger total, as earlier versions wrote it
//   extension   extension, first, trials[, added, length]   see sweep/extension.hpp; alone in a shard of its number
//   proposal    setting, axes, ended, cut                see sweep/proposal.hpp; alone in a shard of its number
//   history     from, hash, points                       what another sweep lends; alone in a shard of its hash
//   start       trial, attempt, rank, host, recipe_hash, resume_step, seen[, length]   before the trial is handed out
//   checkpoint  trial, attempt, step[, gpu_s]            GPU time since the attempt's last record that has it
//   report      trial, attempt, step, epoch, metrics     a validation; numbers as number_to_json gives them
//   end         trial, attempt, status, step, message[, result, gpu_s]   status: an AttemptStatus name; result with
//   "ok" rung        trial, attempt, rung, step, value        what a trial is worth where it pauses promote     trial,
//   attempt, rung, until, rank, results, cut   its point leaves the rung; before its "start" prune       trial,
//   attempt, rung, cut                it never goes on; before its checkpoints are deleted budget      gpu_hours,
//   target                        totals that only grow retry       trial, attempt                           attempts
//   up to this one no longer count submit      cluster, jobs                            Slurm jobs that will work here,
//   by `regatta submit` stop        shards, jobs, drain                      `regatta stop`: these writers and jobs
//   leave, also at later
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
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "regatta/base/clock.hpp"
#include "regatta/config/options.hpp"
#include "regatta/sweep/owner.hpp"
#include "regatta/sweep/record.hpp"
#include "regatta/sweep/storage.hpp"

namespace regatta {

/// Appends to one shard of its own. `append` only queues; `commit` makes everything queued durable in one write and one
/// fsync. Both may be called from different threads.
class JournalWriter {
 public:
  /// Creates journal/<cluster>-<job>-r<restart>-<nonce>.jsonl exclusively. @throws DataError
  JournalWriter(const std::filesystem::path& directory, const JobPlace& place, const Clock& clock = system_clock());

  /// The same in another storage. @param nonce  a text that no other writer of this job and restart has
  JournalWriter(SweepStorage& storage, const JobPlace& place, const std::string& nonce, const Clock& clock);
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
  void create(SweepStorage& storage, const JobPlace& place, const std::function<std::string()>& nonce);

  const Clock& clock_;
  std::string shard_;
  std::unique_ptr<ShardFile> file_;
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

/// Cuts the text of one shard into records as it grows. Torn and foreign lines are skipped to the next newline and
/// counted; lines written again after a failed commit count once.
class ShardLines {
 public:
  explicit ShardLines(std::string shard) : shard_(std::move(shard)) {}

  /// Takes the shard's text from `offset()` on. @param each  gets every record and the offset behind its line
  void take(const std::string& text, const std::function<void(Json&& record, std::int64_t end)>& each);

  std::int64_t offset() const { return offset_; }
  const ShardProgress& progress() const { return progress_; }

 private:
  std::string shard_;
  std::int64_t offset_ = 0;
  std::int64_t last_seq_ = 0;
  ShardProgress progress_;
};

/// Reads all shards of a directory, incrementally, as JSON: for reports and tests. A sweep at work follows its journal
/// with `JournalFollower`.
class JournalReader {
 public:
  explicit JournalReader(std::filesystem::path directory)
      : storage_(DirectoryStorage::journal_only(std::move(directory))) {}

  /// Records that became whole since the last call, ordered by shard name and sequence number. A torn last line is read
  /// once it is complete. No directory: no records.
  /// @throws DataError if a shard cannot be read
  std::vector<Json> poll();

  /// By shard file name.
  const std::map<std::string, ShardProgress>& shards() const { return progress_; }

  /// Sum of `skipped` over all shards.
  std::int64_t skipped() const;

 private:
  DirectoryStorage storage_;
  std::map<std::string, std::pair<std::size_t, ShardLines>> lines_;  ///< by name: number in the storage
  std::map<std::string, ShardProgress> progress_;
};

/// All shards decoded, each line once, for any number of followers in one process.
class DecodedJournal {
 public:
  /// Decodes the shard up to what `storage` shows now.
  void extend(SweepStorage& storage, std::size_t shard);

  struct Line {
    std::int64_t end = 0;  ///< offset behind it
    RecordStore::Id id = 0;
  };
  const std::vector<Line>& lines(std::size_t shard) const { return shards_[shard].lines; }

  bool has(std::size_t shard) const { return shard < shards_.size() && shards_[shard].cut; }

  /// Up to where the shard has been looked at.
  std::int64_t seen_bytes(std::size_t shard) const { return shard < shards_.size() ? shards_[shard].seen : 0; }

  /// The storage's number of a shard, by its number in the store of records; nothing if it has not been looked at.
  std::optional<std::size_t> number_of(std::uint32_t shard) const;

  const std::shared_ptr<RecordStore>& records() const { return records_; }

 private:
  struct Shard {
    std::unique_ptr<ShardLines> cut;
    std::vector<Line> lines;
    std::int64_t seen = 0;
  };
  std::shared_ptr<RecordStore> records_ = std::make_shared<RecordStore>();
  std::vector<Shard> shards_;             ///< by the storage's number
  std::vector<std::int64_t> by_records_;  ///< the storage's number by the store's; -1: not looked at
};

/// One process's way through the journal: which records are new to it, and since when each shard has not grown.
class JournalFollower {
 public:
  JournalFollower(std::shared_ptr<SweepStorage> storage, std::shared_ptr<DecodedJournal> decoded, const Clock& clock)
      : storage_(std::move(storage)),
        decoded_(std::move(decoded)),
        records_(decoded_->records().get()),
        clock_(clock) {}

  /// New records of all shards, by shard and then in their order. Shards whose writers have left are looked at only
  /// every 16th time.
  void poll(std::vector<RecordStore::Id>& records);

  /// New records of one shard alone.
  void poll_shard(const std::string& name, std::vector<RecordStore::Id>& records);

  /// Seconds since this process saw the shard grow; nothing if it has not seen the shard.
  /// @param shard  number in the store of records
  std::optional<double> quiet_s(std::uint32_t shard) const;

  /// Shards whose writers have not left.
  std::size_t open_shards() const { return open_; }

  const std::shared_ptr<RecordStore>& records() const { return decoded_->records(); }

 private:
  struct Place {
    std::int64_t bytes = -1;  ///< size last seen
    std::uint32_t line = 0;   ///< next line to take
    bool has_left = false;
    double grown_s = 0.0;
  };
  void poll_place(std::size_t shard, double now_s, std::vector<RecordStore::Id>& records);

  std::shared_ptr<SweepStorage> storage_;
  std::shared_ptr<DecodedJournal> decoded_;
  const RecordStore* records_;
  const Clock& clock_;
  std::vector<Place> places_;  ///< by the storage's number
  std::size_t open_ = 0;
  std::uint64_t polls_ = 0;
};

}  // namespace regatta
