#include "decisions.hpp"

#include <algorithm>
#include <set>

#include "regatta/base/text.hpp"

namespace regatta::simulation {
namespace {

constexpr std::size_t kMostJudged = 400;  ///< promotions, spread evenly: each goes over all records

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
    if (type == "promote") {
      promotions_.push_back({record, cut});
    } else {
      prunes_.push_back(record);
    }
  }
}

std::string Decisions::fault_of(const Promotion& promotion, const SimulationOptions& options) const {
  const Record& decided = promotion.record;
  const Cut& cut = promotion.cut;
  std::map<std::int64_t, double> results;
  std::map<std::int64_t, int> level;
  for (const Promotion& each : promotions_) {
    if (each.record.is_in(cut)) {
      level[each.record.trial] = std::max(level[each.record.trial], each.record.rung + 1);
    }
  }
  for (const Record& each : rungs_) {
    if (each.rung == decided.rung && each.is_in(cut)) {
      results.emplace(each.trial, *each.value);
    }
  }
  std::set<std::int64_t> without_value;
  for (const Record& each : diverged_) {
    if (each.is_in(cut) && !results.contains(each.trial) && level[each.trial] == decided.rung) {
      without_value.insert(each.trial);
    }
  }
  const std::string name = str("trial ", decided.trial, " was promoted from rung ", decided.rung);
  if (!results.contains(decided.trial)) {
    return str(name, ", which it had not reached in its cut");
  }
  if (level[decided.trial] > decided.rung) {
    return str(name, " twice in its own cut");
  }
  const double own = results.at(decided.trial);
  const auto better = std::count_if(results.begin(), results.end(), [&](const auto& each) {
    return each.second > own || (each.second == own && each.first < decided.trial);
  });
  const auto count = static_cast<std::int64_t>(results.size() + without_value.size());
  if (better < count / options.eta) {
    return "";
  }
  const std::string rank = str(name, " with rank ", better + 1, " of ", count);
  if (better > 0 || count >= options.eta) {
    return rank;
  }
  if (options.form == "stop") {
    return "";
  }
  const auto sent = decided.rung == 0 ? options.trials / options.replicates
                                      : std::count_if(level.begin(), level.end(),
                                                      [&](const auto& each) { return each.second >= decided.rung; });
  std::set<std::int64_t> lost;
  for (const Record& each : lost_) {
    if (each.is_in(cut) && !results.contains(each.trial)) {
      lost.insert(each.trial);
    }
  }
  return count + static_cast<std::int64_t>(lost.size()) >= sent ? "" : str(rank, " although ", sent, " were to come");
}

std::vector<std::string> Decisions::faults(const SimulationOptions& options) const {
  std::vector<std::string> found;
  const std::size_t step = std::max<std::size_t>(1, promotions_.size() / kMostJudged);
  for (std::size_t i = 0; i < promotions_.size(); i += step) {
    if (std::string fault = fault_of(promotions_[i], options); !fault.empty()) {
      found.push_back(std::move(fault));
    }
  }
  std::set<std::pair<std::int64_t, int>> promoted;
  for (const Promotion& each : promotions_) {
    promoted.emplace(each.record.trial, each.record.rung);
  }
  for (const Record& each : prunes_) {
    if (promoted.contains({each.trial, each.rung})) {
      found.push_back(str("trial ", each.trial, " was both pruned at rung ", each.rung, " and promoted from it"));
    }
  }
  return found;
}

std::vector<std::pair<std::int64_t, int>> Decisions::promotions() const {
  std::vector<std::pair<std::int64_t, int>> all;
  for (const Promotion& each : promotions_) {
    all.emplace_back(each.record.trial, each.record.rung);
  }
  return all;
}

}  // namespace regatta::simulation
