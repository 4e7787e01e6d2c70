// Extensions as records, and the trials that follow from them.
#include "regatta/sweep/extension.hpp"

#include <algorithm>

#include <nlohmann/json.hpp>

#include "regatta/base/checksum.hpp"
#include "regatta/base/clock.hpp"
#include "regatta/base/error.hpp"
#include "regatta/base/files.hpp"
#include "sweep/members.hpp"

namespace regatta {
namespace {

constexpr std::int64_t kMost = 1000000000;

std::optional<TrialPoint> trial_from_json(const Json& value, std::int64_t number) {
  const auto axes = value.is_object() ? value.find("axes") : value.end();
  if (!value.is_object() || axes == value.end() || !axes->is_object()) {
    return std::nullopt;
  }
  const auto index = integer_in(value, "point", 0, kMost);
  const auto replicate = integer_in(value, "replicate", 0, kMost);
  if (!index || !replicate) {
    return std::nullopt;
  }
  TrialPoint trial{number, *index, static_cast<int>(*replicate), {}};
  for (const auto& axis : axes->items()) {
    trial.point[axis.key()] = axis.value();
  }
  return trial;
}

Json trial_to_json(const TrialPoint& trial) {
  Json axes = Json::object();
  for (const auto& [pointer, value] : trial.point) {
    axes[pointer] = value;
  }
  return {{"point", trial.index}, {"replicate", trial.replicate}, {"axes", axes}};
}

}  // namespace

std::string extension_shard(std::int64_t number) {
  constexpr std::size_t kDigits = 5;
  const std::string digits = str(number);
  return str("extension-", std::string(digits.size() < kDigits ? kDigits - digits.size() : 0, '0'), digits, ".jsonl");
}

Json to_json(const Extension& extension) {
  Json value = {{"extension", extension.number}, {"first", extension.first}, {"trials", extension.trials}};
  if (extension.is_listed()) {
    value["added"] = Json::array();
    for (const TrialPoint& trial : extension.added) {
      value["added"].push_back(trial_to_json(trial));
    }
  }
  if (extension.length) {
    value["length"] = {{"epochs", extension.length->epochs},
                       {"steps", extension.length->steps},
                       {"base_steps", extension.length->base_steps}};
  }
  return value;
}

std::optional<Extension> extension_from_json(const Json& record) {
  if (!record.is_object()) {
    return std::nullopt;
  }
  const auto number = integer_in(record, "extension", 1, kMost);
  const auto first = integer_in(record, "first", 0, kMost);
  const auto trials = integer_in(record, "trials", 1, kMost);
  if (!number || !first || !trials || *trials < *first) {
    return std::nullopt;
  }
  Extension extension{*number, *first, *trials, {}, {}};
  if (const auto added = record.find("added"); added != record.end()) {
    if (!added->is_array() || static_cast<std::int64_t>(added->size()) != *trials - *first) {
      return std::nullopt;
    }
    for (const Json& each : *added) {
      auto trial = trial_from_json(each, *first + static_cast<std::int64_t>(extension.added.size()));
      if (!trial) {
        return std::nullopt;
      }
      extension.added.push_back(std::move(*trial));
    }
  }
  if (const auto length = record.find("length"); length != record.end()) {
    const bool is_object = length->is_object();
    const auto epochs = is_object ? integer_in(*length, "epochs", 1, kMost) : std::nullopt;
    const auto steps = is_object ? integer_in(*length, "steps", 0, kMost) : std::nullopt;
    const auto base_steps = is_object ? integer_in(*length, "base_steps", 0, kMost) : std::nullopt;
    if (!epochs || !steps || !base_steps) {
      return std::nullopt;
    }
    extension.length = TrainingLength{*epochs, *steps, *base_steps};
  }
  return extension;
}

bool write_extension(const SweepFiles& files, const Extension& extension) {
  const std::string shard = extension_shard(extension.number);
  Json record = {{"type", "extension"}, {"time", system_clock().utc_text()}, {"shard", shard}, {"seq", 1}};
  record.update(to_json(extension));
  const Json leave = {{"type", "leave"}, {"time", record.at("time")}, {"shard", shard}, {"seq", 2}};
  return claim_file(files.journal() / shard,
                    str(seal_line(dump_line(record)), '\n', seal_line(dump_line(leave)), '\n'));
}

TrialList::TrialList(const JobOptions& born, const std::vector<Extension>& extensions)
    : space_(born), extensions_(extensions), replicates_(space_.replicates()) {
  for (const Extension& extension : extensions) {
    for (const TrialPoint& trial : extension.added) {
      replicates_ = std::max(replicates_, trial.replicate + 1);
    }
  }
}

TrialPoint TrialList::trial(std::int64_t number) const {
  for (const Extension& extension : extensions_) {
    if (extension.is_listed() && number >= extension.first && number < extension.trials) {
      return extension.added[static_cast<std::size_t>(number - extension.first)];
    }
  }
  return space_.trial(number);
}

}  // namespace regatta
