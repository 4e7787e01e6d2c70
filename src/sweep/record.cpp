// From a record's JSON to its typed form.
#include "regatta/sweep/record.hpp"

#include <array>
#include <optional>
#include <utility>

#include <nlohmann/json.hpp>

#include "regatta/base/error.hpp"
#include "regatta/sweep/extension.hpp"
#include "sweep/members.hpp"

namespace regatta {
namespace {

constexpr std::int64_t kMostTrials = 10000000;
constexpr std::int64_t kMostAttempts = 1000000;
constexpr std::int64_t kMostRungs = 100;

constexpr std::array<std::pair<const char*, RecordType>, 18> kTypes = {{{"join", RecordType::kJoin},
                                                                        {"extend", RecordType::kExtend},
                                                                        {"extension", RecordType::kExtension},
                                                                        {"proposal", RecordType::kProposal},
                                                                        {"history", RecordType::kHistory},
                                                                        {"start", RecordType::kStart},
                                                                        {"checkpoint", RecordType::kCheckpoint},
                                                                        {"report", RecordType::kReport},
                                                                        {"end", RecordType::kEnd},
                                                                        {"retry", RecordType::kRetry},
                                                                        {"rung", RecordType::kRung},
                                                                        {"promote", RecordType::kPromote},
                                                                        {"prune", RecordType::kPrune},
                                                                        {"budget", RecordType::kBudget},
                                                                        {"submit", RecordType::kSubmit},
                                                                        {"stop", RecordType::kStop},
                                                                        {"heartbeat", RecordType::kHeartbeat},
                                                                        {"leave", RecordType::kLeave}}};

std::int64_t step_in(const Json& record, const char* name) {
  return integer_in(record, name, 0, std::int64_t{1} << 53).value_or(0);
}

Json value_in(const Json& record, const char* name) {
  const auto found = record.find(name);
  return found == record.end() ? Json() : *found;
}

std::shared_ptr<const RecordDetails> details_of(Json values) {
  RecordDetails details;
  details.values = std::move(values);
  return std::make_shared<const RecordDetails>(std::move(details));
}

RecordType type_in(const Json& record) {
  const std::string name = text_in(record, "type");
  for (const auto& [known, type] : kTypes) {
    if (name == known) {
      return type;
    }
  }
  return RecordType::kUnknown;
}

/// @return false if a member is missing
bool decode_trial_record(const Json& json, JournalRecord& record) {
  const bool is_retry = record.type == RecordType::kRetry;
  const auto trial = integer_in(json, "trial", 0, kMostTrials);
  const auto attempt = integer_in(json, "attempt", is_retry ? 0 : 1, kMostAttempts);
  if (!trial || !attempt) {
    return false;
  }
  record.trial = *trial;
  record.attempt = static_cast<std::int32_t>(*attempt);
  record.step = step_in(json, record.type == RecordType::kStart ? "resume_step" : "step");
  if (const auto seconds = json.find("gpu_s"); seconds != json.end() && seconds->is_number()) {
    record.gpu_s = seconds->get<float>();
  }
  RecordDetails details;
  if (record.type == RecordType::kStart) {
    details.rank = static_cast<int>(integer_in(json, "rank", -1, 1 << 30).value_or(-1));
    details.host = text_in(json, "host");
    details.recipe_hash = text_in(json, "recipe_hash");
    details.seen = text_in(json, "seen");
    details.length = integer_in(json, "length", 0, kMostTrials).value_or(0);
    details.time = text_in(json, "time");
  } else if (record.type == RecordType::kReport) {
    record.epoch = step_in(json, "epoch");
    details.values = value_in(json, "metrics");
  } else if (record.type == RecordType::kEnd) {
    const auto status = attempt_status_from(text_in(json, "status"));
    if (!status) {
      return false;
    }
    record.status = *status;
    details.message = text_in(json, "message");
    details.values = value_in(json, "result");
  } else if (record.type == RecordType::kRung || record.type == RecordType::kPromote ||
             record.type == RecordType::kPrune) {
    const auto rung = integer_in(json, "rung", 0, kMostRungs);
    if (!rung) {
      return false;
    }
    record.epoch = *rung;
    if (record.type != RecordType::kRung) {
      return true;
    }
    details.values = value_in(json, "value");
  } else {
    return true;
  }
  record.details = std::make_shared<const RecordDetails>(std::move(details));
  return true;
}

bool decode(const Json& json, JournalRecord& record) {
  switch (record.type) {
    case RecordType::kJoin:
      try {
        RecordDetails details;
        details.owner = owner_from_json(json, text_in(json, "shard"));
        record.details = std::make_shared<const RecordDetails>(std::move(details));
        return true;
      } catch (const DataError&) {
        return false;  // written by another version; its shard is then judged by its growth alone
      }
    case RecordType::kExtend: {
      const auto trials = integer_in(json, "trials", 1, kMostTrials);
      record.trial = trials.value_or(0);
      return trials.has_value();
    }
    case RecordType::kExtension: record.details = details_of(json); return extension_from_json(json).has_value();
    case RecordType::kProposal: record.details = details_of(json); return proposal_from_json(json).has_value();
    case RecordType::kHistory: record.details = details_of(json); return history_from_json(json).has_value();
    case RecordType::kStart:
    case RecordType::kCheckpoint:
    case RecordType::kReport:
    case RecordType::kEnd:
    case RecordType::kRetry:
    case RecordType::kRung:
    case RecordType::kPromote:
    case RecordType::kPrune: return decode_trial_record(json, record);
    case RecordType::kBudget:
    case RecordType::kSubmit:
    case RecordType::kStop: record.details = details_of(json); return true;
    case RecordType::kLeave: record.details = details_of(value_in(json, "gained")); return true;
    case RecordType::kHeartbeat:
    case RecordType::kUnknown: return true;
  }
  return false;
}

}  // namespace

RecordStore::Id RecordStore::add(const Json& json) {
  JournalRecord record;
  if (json.is_object()) {
    record.type = type_in(json);
    record.shard = shard_number(text_in(json, "shard"));
    record.seq = static_cast<std::uint32_t>(integer_in(json, "seq", 0, (std::int64_t{1} << 32) - 1).value_or(0));
    if (!decode(json, record)) {
      record.type = RecordType::kUnknown;
    }
  }
  if (record.type ==
      RecordType::kHeartbeat) {  // it says nothing that is kept, and there are more of them than of all else
    if (!heartbeat_) {
      heartbeat_ = static_cast<Id>(records_.size());
      records_.push_back(record);
    }
    return *heartbeat_;
  }
  records_.push_back(std::move(record));
  return static_cast<Id>(records_.size() - 1);
}

std::uint32_t RecordStore::shard_number(const std::string& name) {
  const auto [entry, is_new] = numbers_.try_emplace(name, static_cast<std::uint32_t>(shards_.size()));
  if (is_new) {
    shards_.push_back(name);
  }
  return entry->second;
}

std::optional<std::uint32_t> RecordStore::find_shard(const std::string& name) const {
  const auto found = numbers_.find(name);
  return found == numbers_.end() ? std::nullopt : std::optional(found->second);
}

}  // namespace regatta
