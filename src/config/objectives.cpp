#include "regatta/config/objectives.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

#include "regatta/base/error.hpp"
#include "regatta/base/text.hpp"

namespace regatta {
namespace {

/// A member that is a finite number; nothing where there is none.
std::optional<double> finite_member(const Json& object, const char* name, const std::string& at) {
  const auto member = object.find(name);
  if (member == object.end() || member->is_null()) {
    return std::nullopt;
  }
  REGATTA_REQUIRE(member->is_number() && std::isfinite(member->get<double>()), ConfigError, at, "/", name,
                  ": expected a finite number, got ", one_line(dump_line(*member), 60));
  return member->get<double>();
}

void require_known(const Json& object, const std::set<std::string>& known, const std::string& at) {
  for (const auto& member : object.items()) {
    REGATTA_REQUIRE(known.contains(member.key()), ConfigError, pointer_to(at, member.key()),
                    ": unknown key, have: ", join(known, ", "));
  }
}

RankedObjective read_objective(const Json& item, const std::string& at, bool several) {
  require_object(item, at);
  require_known(item, {"metric", "direction", "reference"}, at);
  ObjectiveOptions read;
  read.metric.clear();
  Json named = item;
  named.erase("reference");
  read_options(named, read, at);
  REGATTA_REQUIRE(!read.metric.empty(), ConfigError, at, "/metric: is missing");
  RankedObjective objective{read.metric, read.direction, finite_member(item, "reference", at)};
  REGATTA_REQUIRE(!several || objective.reference, ConfigError, at,
                  "/reference: is missing: of several objectives each "
                  "needs the worst value that is worth anything, from which the hypervolume is measured");
  return objective;
}

}  // namespace

double Constraint::violation(const std::optional<double>& value) const {
  if (!value || !std::isfinite(*value)) {
    return std::numeric_limits<double>::infinity();
  }
  return std::max({0.0, at_most ? *value - *at_most : 0.0, at_least ? *at_least - *value : 0.0});
}

std::vector<RankedObjective> objectives_of(const JobOptions& job) {
  REGATTA_REQUIRE(job.objectives.is_array(), ConfigError, "/objectives: expected a list, got ",
                  type_name(job.objectives));
  if (job.objectives.empty()) {
    return {{job.objective.metric, job.objective.direction, std::nullopt}};
  }
  REGATTA_REQUIRE(job.objectives.size() <= kMostObjectives, ConfigError, "/objectives: ", job.objectives.size(),
                  " of them, at most ", kMostObjectives);
  std::vector<RankedObjective> objectives;
  std::set<std::string> metrics;
  for (std::size_t i = 0; i < job.objectives.size(); ++i) {
    const std::string at = str("/objectives/", i);
    objectives.push_back(read_objective(job.objectives[i], at, job.objectives.size() > 1));
    REGATTA_REQUIRE(metrics.insert(objectives.back().metric).second, ConfigError, at, "/metric: '",
                    one_line(objectives.back().metric, 60), "' stands twice");
  }
  const std::string& one = job.objective.metric;
  REGATTA_REQUIRE(one == ObjectiveOptions().metric || one == objectives.front().metric, ConfigError,
                  "/objective/metric: '", one_line(one, 60), "', but /objectives begins with '",
                  one_line(objectives.front().metric, 60), "': leave /objective out");
  return objectives;
}

std::vector<Constraint> constraints_of(const JobOptions& job) {
  REGATTA_REQUIRE(job.constraints.is_object(), ConfigError,
                  "/constraints: expected an object such as "
                  "{\"folding\": {\"at_most\": 0.5}}, got ",
                  type_name(job.constraints));
  std::vector<Constraint> constraints;
  for (const auto& member : job.constraints.items()) {
    const std::string at = pointer_to("/constraints", member.key());
    require_object(member.value(), at);
    require_known(member.value(), {"at_most", "at_least"}, at);
    Constraint constraint{member.key(), finite_member(member.value(), "at_most", at),
                          finite_member(member.value(), "at_least", at)};
    REGATTA_REQUIRE(constraint.at_most || constraint.at_least, ConfigError, at, ": give at_most, at_least, or both");
    REGATTA_REQUIRE(!constraint.at_most || !constraint.at_least || *constraint.at_least <= *constraint.at_most,
                    ConfigError, at, ": at_least ", *constraint.at_least, " is above at_most ", *constraint.at_most,
                    ": no value can keep to both");
    constraints.push_back(std::move(constraint));
  }
  return constraints;
}

void resolve_objectives(JobOptions& job) {
  const std::vector<RankedObjective> objectives = objectives_of(job);
  constraints_of(job);
  job.objective.metric = objectives.front().metric;
  job.objective.direction = objectives.front().direction;
}

Json objectives_json(const std::vector<RankedObjective>& objectives) {
  Json list = Json::array();
  if (objectives.size() < 2) {
    return list;
  }
  for (const RankedObjective& objective : objectives) {
    list.push_back({{"metric", objective.metric},
                    {"direction", objective.direction},
                    {"reference", objective.reference ? Json(*objective.reference) : Json()}});
  }
  return list;
}

std::string objectives_text(const std::vector<RankedObjective>& objectives) {
  std::vector<std::string> texts;
  for (const RankedObjective& objective : objectives) {
    const std::string reference = objective.reference ? str(", reference ", *objective.reference) : std::string();
    texts.push_back(str(objective.metric, " (", objective.direction, objectives.size() > 1 ? reference : "", ")"));
  }
  return join(texts, ", ");
}

std::string constraints_text(const std::vector<Constraint>& constraints) {
  std::vector<std::string> texts;
  for (const Constraint& constraint : constraints) {
    if (constraint.at_most) {
      texts.push_back(str(constraint.metric, " <= ", *constraint.at_most));
    }
    if (constraint.at_least) {
      texts.push_back(str(constraint.metric, " >= ", *constraint.at_least));
    }
  }
  return join(texts, ", ");
}

}  // namespace regatta
