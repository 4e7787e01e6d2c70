// Extensions as records, and the trials that follow from them.
#include "regatta/sweep/extension.hpp"

#include <algorithm>

#include <nlohmann/json.hpp>

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
  if (extension.enqueued) {
    value["enqueued"] = true;
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
  const auto enqueued = record.find("enqueued");
  Extension extension{*number, *first, *trials, {}, {}, enqueued != record.end() && *enqueued == true};
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
  return claim_file(files.journal() / shard,
                    whole_shard_text(shard, "extension", to_json(extension), system_clock().utc_text()));
}

TrialList::TrialList(const JobOptions& born, const std::vector<Extension>& extensions,
                     const ProposedSettings& proposals)
    : space_(born), extensions_(extensions), proposals_(proposals), replicates_(space_.replicates()) {
  for (const Extension& extension : extensions) {
    for (const TrialPoint& trial : extension.added) {
      replicates_ = std::max(replicates_, trial.replicate + 1);
    }
  }
}

const TrialPoint* TrialList::listed(std::int64_t number) const {
  for (const Extension& extension : extensions_) {
    if (extension.is_listed() && number >= extension.first && number < extension.trials) {
      return &extension.added[static_cast<std::size_t>(number - extension.first)];
    }
  }
  return nullptr;
}

/// Trials before this number that extensions list.
std::int64_t TrialList::listed_before(std::int64_t number) const {
  std::int64_t count = 0;
  for (const Extension& extension : extensions_) {
    count += extension.is_listed() && extension.first < number ? extension.trials - extension.first : 0;
  }
  return count;
}

/// Of a trial that no extension lists: its place in the space, and the index that follows from what is listed before
/// its setting.
TrialPoint TrialList::own_place(std::int64_t number) const {
  TrialPoint trial = space_.place(number - listed_before(number));
  trial.number = number;
  return trial;
}

TrialPoint TrialList::trial(std::int64_t number) const {
  if (const TrialPoint* trial = listed(number)) {
    return *trial;
  }
  TrialPoint trial = own_place(number);
  const std::int64_t setting = trial.index / space_.folds();
  const auto decided = proposals_.find(setting);
  trial.open = space_.reads_history() && setting >= space_.enqueued() && decided == proposals_.end();
  if (!trial.open) {
    space_.put_setting(trial, decided == proposals_.end() ? space_.setting(setting) : decided->second);
  }
  const std::int64_t size = space_.trials_per_setting();
  for (const Extension& extension : extensions_) {
    if (extension.enqueued && extension.first - listed_before(extension.first) <= setting * size) {
      trial.index += (extension.trials - extension.first) / size * space_.folds();
    }
  }
  return trial;
}

TrialPoint TrialList::likely_trial(std::int64_t number) const {
  TrialPoint likely = trial(number);
  if (likely.open) {
    space_.put_setting(likely, space_.setting(own_place(number).index / space_.folds()));
  }
  return likely;
}

std::int64_t TrialList::first_open_setting() const {
  std::int64_t setting = space_.enqueued();
  while (proposals_.contains(setting)) {
    ++setting;
  }
  return setting;
}

TrialPoint TrialList::place_behind(std::int64_t total) const {
  const std::int64_t size = space_.trials_per_setting();
  const std::int64_t own = total - listed_before(total);
  std::int64_t settings = (own + size - 1) / size;
  for (const Extension& extension : extensions_) {
    settings += extension.enqueued ? (extension.trials - extension.first) / size : 0;
  }
  std::int64_t index = settings * space_.folds();
  for (const Extension& extension : extensions_) {
    for (const TrialPoint& trial : extension.added) {
      index = std::max(index, (trial.index / space_.folds() + 1) * space_.folds());
    }
  }
  TrialPoint place;
  place.number = total;
  place.index = index;
  return place;
}

}  // namespace regatta
