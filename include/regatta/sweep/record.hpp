// Journal records, decoded once: the members that the replay reads are typed, everything rare is behind one pointer. A
// store of records may be shared by many readers, each of which replays its own view.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "regatta/config/options.hpp"
#include "regatta/config/trial_files.hpp"
#include "regatta/sweep/owner.hpp"

namespace regatta {

enum class RecordType : std::uint8_t {
  kJoin,
  kExtend,
  kExtension,
  kProposal,
  kHistory,
  kStart,
  kCheckpoint,
  kReport,
  kEnd,
  kRetry,
  kRung,
  kPromote,
  kPrune,
  kBudget,
  kSubmit,
  kStop,
  kHeartbeat,
  kLeave,
  kUnknown  ///< another type, or without the members that its type needs: counted by the replay, not fatal
};

/// What only a few records have, or only people read.
struct RecordDetails {
  int rank = -1;            ///< start
  std::string host;         ///< start
  std::string recipe_hash;  ///< start
  std::string seen;         ///< start: how the previous attempt had ended, as its writer saw it
  std::int64_t length = 0;  ///< start: number of the extension to whose length it trains; 0: the length at birth
  std::string time;         ///< start
  std::string message;      ///< end
  Json values;  ///< report: metrics; end: result; leave: gained; rung: value; extension, proposal, history, submit,
                ///< stop, budget: all of it; else null
  Owner owner;  ///< join
};

struct JournalRecord {
  std::int64_t trial = 0;  ///< extend: the total
  std::int64_t step = 0;   ///< start: resume_step
  std::int64_t epoch = 0;  ///< report; rung, promote, prune: the rung
  std::shared_ptr<const RecordDetails> details;
  std::uint32_t seq = 0;    ///< in its shard
  float gpu_s = 0.0F;       ///< checkpoint, end: GPU time since the attempt's last record that has some
  std::uint32_t shard = 0;  ///< number in the store, see `RecordStore::shard_name`
  std::int32_t attempt = 0;
  RecordType type = RecordType::kUnknown;
  AttemptStatus status = AttemptStatus::kFailed;  ///< end
};

/// Decoded records of a sweep's journal, and the names of its shards. Only grows.
class RecordStore {
 public:
  using Id = std::uint32_t;

  /// Decodes a record; unknown types and missing members give kUnknown. All heartbeats are one record, of the first's
  /// shard.
  Id add(const Json& record);

  const JournalRecord& operator[](Id id) const { return records_[id]; }

  /// The number of a shard's name; a new one for a new name.
  std::uint32_t shard_number(const std::string& name);

  /// Nothing for a name that no record has.
  std::optional<std::uint32_t> find_shard(const std::string& name) const;

  const std::string& shard_name(std::uint32_t shard) const { return shards_[shard]; }

  std::size_t size() const { return records_.size(); }

 private:
  std::deque<JournalRecord> records_;
  std::optional<Id> heartbeat_;
  std::deque<std::string> shards_;
  std::map<std::string, std::uint32_t> numbers_;
};

}  // namespace regatta
