// Proposals of a sampler that reads the history, and results that other sweeps lend. Each stands in a journal shard of
// its own that is made whole by link(2), so that exactly one process decides on a setting and all others read it.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "regatta/sweep/history.hpp"

namespace regatta {

/// What a reader of the journal had seen: of each shard with records of trials, extensions or lent results the number
/// of the newest one.
using JournalCut = std::map<std::string, std::int64_t>;

/// The record "proposal".
struct Proposal {
  std::int64_t setting = 0;
  Point point;             ///< without the fold
  std::int64_t ended = 0;  ///< observations that had ended; informative
  JournalCut cut;          ///< what it was decided from, besides the proposals of earlier settings
};

/// Settings by their index, as far as they are decided.
using ProposedSettings = std::map<std::int64_t, Point>;

/// "proposal-00012.jsonl"
std::string proposal_shard(std::int64_t setting);

/// The record's own members.
Json to_json(const Proposal& proposal);

/// Nothing if a member is missing or of another type (a later version may have written it).
std::optional<Proposal> proposal_from_json(const Json& record);

/// The record "history": what another sweep lends.
struct LentHistory {
  std::string from;  ///< the sweep's folder; informative
  std::string hash;  ///< its identity: each is lent once
  std::vector<Observation> observations;
};

/// "history-0123456789abcdef.jsonl"
std::string history_shard(const std::string& hash);

Json to_json(const LentHistory& history);
std::optional<LentHistory> history_from_json(const Json& record);

/// A whole shard of one record: the record sealed, and the writer's leave. @param utc  time for people
std::string whole_shard_text(const std::string& shard, const std::string& type, const Json& fields,
                             const std::string& utc);

}  // namespace regatta
