// Proposals and lent results as records.
#include "regatta/sweep/proposal.hpp"

#include <array>
#include <cmath>

#include <nlohmann/json.hpp>

#include "regatta/base/checksum.hpp"
#include "regatta/base/error.hpp"
#include "sweep/members.hpp"

namespace regatta {
namespace {

constexpr std::int64_t kMostSettings = 1000000000;
constexpr std::array<std::pair<const char*, ObservationState>, 4> kStates = {
    {{"complete", ObservationState::kComplete},
     {"pruned", ObservationState::kPruned},
     {"infeasible", ObservationState::kInfeasible},
     {"running", ObservationState::kRunning}}};

Json point_json(const Point& point) {
  Json axes = Json::object();
  for (const auto& [pointer, value] : point) {
    axes[pointer] = value;
  }
  return axes;
}

std::optional<Point> point_in(const Json& record) {
  const auto axes = record.is_object() ? record.find("axes") : record.end();
  if (!record.is_object() || axes == record.end() || !axes->is_object()) {
    return std::nullopt;
  }
  Point point;
  for (const auto& axis : axes->items()) {
    point[axis.key()] = axis.value();
  }
  return point;
}

std::string numbered(const char* prefix, std::int64_t number) {
  constexpr std::size_t kDigits = 5;
  const std::string digits = str(number);
  return str(prefix, std::string(digits.size() < kDigits ? kDigits - digits.size() : 0, '0'), digits, ".jsonl");
}

std::optional<Observation> observation_from_json(const Json& value) {
  const auto point = point_in(value);
  if (!point) {
    return std::nullopt;
  }
  const std::string name = text_in(value, "status");
  for (const auto& [known, state] : kStates) {
    if (name == known) {
      const auto number = value.find("value");
      const bool has_value = number != value.end() && number->is_number() && std::isfinite(number->get<double>());
      if (!has_value && (state == ObservationState::kComplete || state == ObservationState::kPruned)) {
        return std::nullopt;
      }
      return Observation{*point, state, has_value ? number->get<double>() : 0.0,
                         integer_in(value, "step", 0, std::int64_t{1} << 53).value_or(0)};
    }
  }
  return std::nullopt;
}

}  // namespace

std::string proposal_shard(std::int64_t setting) {
  return numbered("proposal-", setting);
}

Json to_json(const Proposal& proposal) {
  Json cut = Json::object();
  for (const auto& [shard, seq] : proposal.cut) {
    cut[shard] = seq;
  }
  return {{"setting", proposal.setting}, {"axes", point_json(proposal.point)}, {"ended", proposal.ended}, {"cut", cut}};
}

std::optional<Proposal> proposal_from_json(const Json& record) {
  const auto point = point_in(record);
  const auto setting = point ? integer_in(record, "setting", 0, kMostSettings) : std::nullopt;
  const auto cut = setting ? record.find("cut") : record.end();
  if (!setting || cut == record.end() || !cut->is_object()) {
    return std::nullopt;
  }
  Proposal proposal{*setting, *point, integer_in(record, "ended", 0, kMostSettings).value_or(0), {}};
  for (const auto& shard : cut->items()) {
    const auto seq = integer_in(*cut, shard.key().c_str(), 0, kMostSettings);
    if (!seq) {
      return std::nullopt;
    }
    proposal.cut[shard.key()] = *seq;
  }
  return proposal;
}

std::string history_shard(const std::string& hash) {
  return str("history-", hash, ".jsonl");
}

Json to_json(const LentHistory& history) {
  Json list = Json::array();
  for (const Observation& observation : history.observations) {
    Json value;
    for (const auto& [name, state] : kStates) {
      if (state == observation.state) {
        value["status"] = name;
      }
    }
    if (observation.state == ObservationState::kComplete || observation.state == ObservationState::kPruned) {
      value["value"] = observation.value;
      value["step"] = observation.step;
    }
    value["axes"] = point_json(observation.point);
    list.push_back(std::move(value));
  }
  return {{"from", history.from}, {"hash", history.hash}, {"points", list}};
}

std::optional<LentHistory> history_from_json(const Json& record) {
  const auto list = record.is_object() ? record.find("points") : record.end();
  if (!record.is_object() || list == record.end() || !list->is_array()) {
    return std::nullopt;
  }
  LentHistory history{text_in(record, "from"), text_in(record, "hash"), {}};
  for (const Json& value : *list) {
    auto observation = observation_from_json(value);
    if (!observation) {
      return std::nullopt;
    }
    history.observations.push_back(std::move(*observation));
  }
  return history;
}

std::string whole_shard_text(const std::string& shard, const std::string& type, const Json& fields,
                             const std::string& utc) {
  Json record = {{"type", type}, {"time", utc}, {"shard", shard}, {"seq", 1}};
  record.update(fields);
  const Json leave = {{"type", "leave"}, {"time", utc}, {"shard", shard}, {"seq", 2}};
  return str(seal_line(dump_line(record)), '\n', seal_line(dump_line(leave)), '\n');
}

}  // namespace regatta
