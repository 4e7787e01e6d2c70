// Results of other sweeps, for samplers that learn from results.
#include <algorithm>

#include <nlohmann/json.hpp>

#include "regatta/base/clock.hpp"
#include "regatta/base/error.hpp"
#include "regatta/base/files.hpp"
#include "regatta/config/settings.hpp"
#include "regatta/sweep/definition.hpp"
#include "regatta/sweep/effect.hpp"
#include "regatta/sweep/journal.hpp"

namespace regatta {
namespace {

/// What must agree for a result to say anything here.
void require_comparable(const SweepDefinition& own, const SweepDefinition& other, const std::string& source) {
  Json before = Json::object();
  Json now = Json::object();
  for (const char* name : {"data", "objective", "steps"}) {
    before[name] = other.identity.value(name, Json());
    now[name] = own.identity.value(name, Json());
  }
  const std::vector<std::string> differences = json_differences(before, now);
  REGATTA_REQUIRE(differences.empty(), ConfigError, "/warm_start: ", source,
                  ": its results do not compare with this sweep's: ", join(differences, "; "));
  const auto pointers = [](const SweepDefinition& definition) {
    std::vector<std::string> all = axis_pointers(definition.job);
    std::erase(all, kFoldAxis);
    return all;
  };
  REGATTA_REQUIRE(pointers(own) == pointers(other), ConfigError, "/warm_start: ", source, ": its axes are ",
                  join(pointers(other), ", "), ", this sweep's are ", join(pointers(own), ", "));
}

/// Every axis that counts there has the value, and no other is given.
bool fits(const Space& space, const Point& point) {
  std::size_t counted = 0;
  for (const std::size_t i : space.order()) {
    const Axis& axis = space.drawn()[i];
    const auto value = point.find(axis.pointer());
    if (!is_active(axis, space.drawn(), point)) {
      continue;
    }
    if (value == point.end() || !axis.number_of(value->second)) {
      return false;
    }
    ++counted;
  }
  return counted == point.size();
}

LentHistory read_history(const std::string& folder, const SweepDefinition& own, std::int64_t& left_out) {
  const SweepFiles files{folder};
  SweepDefinition other = read_definition(files);
  require_comparable(own, other, folder);
  SweepState state(rules_of(other));
  JournalReader reader(files.journal());
  state.apply(reader.poll());
  other.extensions = state.extensions();
  other.proposals = state.proposals();
  const Space space(own.job);
  LentHistory history{folder, other.hash, {}};
  for (Observation& observation : search_history(state, trials_of(other)).observations) {
    observation.point.erase(kFoldAxis);
    if (observation.state == ObservationState::kRunning) {
      continue;
    }
    if (fits(space, observation.point)) {
      history.observations.push_back(std::move(observation));
    } else {
      ++left_out;
    }
  }
  return history;
}

}  // namespace

std::vector<std::string> lend_histories(const SweepFiles& files, const SweepDefinition& definition,
                                        const SweepState& state) {
  std::vector<std::string> said;
  for (const std::string& folder : definition.job.warm_start) {
    const auto& lent = state.lent();
    if (std::any_of(lent.begin(), lent.end(), [&](const auto& each) { return each.second.from == folder; })) {
      continue;
    }
    std::int64_t left_out = 0;
    const LentHistory history = read_history(folder, definition, left_out);
    const std::string shard = history_shard(history.hash);
    if (claim_file(files.journal() / shard,
                   whole_shard_text(shard, "history", to_json(history), system_clock().utc_text()))) {
      said.push_back(str("warm start: ", history.observations.size(), " points of ", folder,
                         left_out > 0 ? str(" (", left_out, " more are outside this job's axes)") : std::string()));
    }
  }
  return said;
}

}  // namespace regatta
