#include "decisions.hpp"

#include <algorithm>
#include <set>

#include "regatta/base/text.hpp"

namespace regatta::simulation {
namespace {

constexpr std::size_t kMostJudged = 400;  ///< of promotions and of prunes, spread evenly: each goes over all records

std::size_t stride(std::size_t decisions) {
  return std::max<std::size_t>(1, decisions / kMostJudged);
}

}  // namespace

void Decisions::note(const Json& json) {
  const std::string type = json.at("type");
  if (type != "rung" && type != "end" && type != "promote" && type != "prune") {
    return;
  }
  Record record{json.at("shard").get<std::string>(), json.at("seq").get<std::int64_t>(),
                json.at("trial").get<std::int64_t>(), json.value("rung", 0), std::nullopt};
  if (type == "rung") {
    record.value = json.at("value").get<double>();
    rungs_.push_back(record);
  } else if (type == "end") {
    if (json.at("status") == "diverged") {
      diverged_.push_back(record);
    } else if (json.at("status") != "ok" && json.at("status") != "paused") {
      lost_.push_back(record);
    }
  } else {
    Cut& cut = newest_cut_[record.shard];
    for (const auto& item : json.at("cut").items()) {
      cut[item.key()] = item.value().get<std::int64_t>();
    }
    (type == "promote" ? promotions_ : prunes_).push_back({record, cut});
  }
}

Decisions::Rung Decisions::rung_of(const Decision& decision, int number, const SimulationOptions& options) const {
  const Cut& cut = decision.cut;
  Rung rung;
  std::map<std::int64_t, int> level;
  for (const Decision& each : promotions_) {
    if (each.record.is_in(cut)) {
      level[each.record.trial] = std::max(level[each.record.trial], each.record.rung + 1);
    }
  }
  for (const Record& each : rungs_) {
    if (each.rung == number && each.is_in(cut)) {
      rung.results.emplace(each.trial, *each.value);
    }
  }
  std::set<std::int64_t> without_value;
  for (const Record& each : diverged_) {
    if (each.is_in(cut) && !rung.results.contains(each.trial) && level[each.trial] == number) {
      without_value.insert(each.trial);
    }
  }
  std::set<std::int64_t> lost;
  for (const Record& each : lost_) {
    if (each.is_in(cut) && !rung.results.contains(each.trial)) {
      lost.insert(each.trial);
    }
  }
  if (const auto own = rung.results.find(decision.record.trial); own != rung.results.end()) {
    rung.better = std::count_if(rung.results.begin(), rung.results.end(), [&](const auto& each) {
      return each.second > own->second || (each.second == own->second && each.first < own->first);
    });
  }
  rung.count = static_cast<std::int64_t>(rung.results.size() + without_value.size());
  rung.lost = static_cast<std::int64_t>(lost.size());
  rung.sent = number == 0 ? options.trials / options.replicates
                          : std::count_if(level.begin(), level.end(),
                                          [number](const auto& each) { return each.second >= number; });
  rung.own_level = level[decision.record.trial];
  return rung;
}

std::string Decisions::fault_of(const Decision& promotion, const SimulationOptions& options) const {
  const Record& decided = promotion.record;
  const Rung rung = rung_of(promotion, decided.rung, options);
  const std::string name = str("trial ", decided.trial, " was promoted from rung ", decided.rung);
  if (!rung.results.contains(decided.trial)) {
    return str(name, ", which it had not reached in its cut");
  }
  if (rung.own_level > decided.rung) {
    return str(name, " twice in its own cut");
  }
  if (rung.better < rung.count / options.eta) {
    return "";
  }
  const std::string rank = str(name, " with rank ", rung.better + 1, " of ", rung.count);
  if (rung.better > 0 || rung.count >= options.eta) {
    return rank;
  }
  const bool is_last_chance = options.form == "stop" || rung.count + rung.lost >= rung.sent;
  return is_last_chance ? "" : str(rank, " although ", rung.sent, " were to come");
}

/// A failed, diverged or pruned trial.
bool Decisions::has_ended_early(std::int64_t trial) const {
  const auto is_its = [trial](const Record& each) { return each.trial == trial; };
  return std::any_of(prunes_.begin(), prunes_.end(), [&](const Decision& each) { return is_its(each.record); }) ||
         std::any_of(diverged_.begin(), diverged_.end(), is_its) || std::any_of(lost_.begin(), lost_.end(), is_its);
}

/// Its checkpoint is deleted: it must not be among as many of the best as the rung can promote at most.
std::string Decisions::prune_fault_of(const Decision& prune, const SimulationOptions& options) const {
  const Record& decided = prune.record;
  const std::string name = str("trial ", decided.trial, " was pruned at rung ", decided.rung);
  if (const std::int64_t first = decided.trial - decided.trial % options.replicates; first != decided.trial) {
    return has_ended_early(first) ? "" : str(name, ", a replicate of a point that has not ended early");
  }
  std::int64_t most = options.trials / options.replicates;
  bool is_closed = true;
  Rung rung;
  for (int number = 0; number <= decided.rung; ++number) {
    most = number == 0 ? most : std::max<std::int64_t>(1, most / options.eta);
    rung = rung_of(prune, number, options);
    is_closed = is_closed && rung.count + rung.lost >= rung.sent;
  }
  if (!rung.results.contains(decided.trial)) {
    return str(name, ", which it had not reached in its cut");
  }
  const std::int64_t size = is_closed || options.form == "stop" ? rung.count : std::max(most, rung.sent);
  const std::int64_t entitled = std::max<std::int64_t>(1, size / options.eta);
  return rung.better >= entitled
             ? ""
             : str(name, " with rank ", rung.better + 1, ", although the best ", entitled, " may be promoted");
}

std::vector<std::string> Decisions::faults(const SimulationOptions& options) const {
  std::vector<std::string> found;
  const auto note_fault = [&found](std::string fault) {
    if (!fault.empty()) {
      found.push_back(std::move(fault));
    }
  };
  for (std::size_t i = 0; i < promotions_.size(); i += stride(promotions_.size())) {
    note_fault(fault_of(promotions_[i], options));
  }
  for (std::size_t i = 0; i < prunes_.size(); i += stride(prunes_.size())) {
    note_fault(prune_fault_of(prunes_[i], options));
  }
  std::set<std::pair<std::int64_t, int>> promoted;
  for (const Decision& each : promotions_) {
    promoted.emplace(each.record.trial, each.record.rung);
  }
  for (const Decision& each : prunes_) {
    if (promoted.contains({each.record.trial, each.record.rung})) {
      found.push_back(
          str("trial ", each.record.trial, " was both pruned at rung ", each.record.rung, " and promoted from it"));
    }
  }
  return found;
}

std::int64_t Decisions::judged() const {
  std::int64_t count = 0;
  for (const std::size_t all : {promotions_.size(), prunes_.size()}) {
    count += static_cast<std::int64_t>((all + stride(all) - 1) / stride(all));
  }
  return count;
}

std::vector<std::pair<std::int64_t, int>> Decisions::promotions() const {
  std::vector<std::pair<std::int64_t, int>> all;
  for (const Decision& each : promotions_) {
    all.emplace_back(each.record.trial, each.record.rung);
  }
  return all;
}

}  // namespace regatta::simulation
