// Who writes a journal shard: from the environment, to JSON and back.
#include <charconv>
#include <cstdlib>

#include <nlohmann/json.hpp>

#include "regatta/base/error.hpp"
#include "regatta/base/version.hpp"
#include "regatta/sweep/journal.hpp"

namespace regatta {
namespace {

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? std::string() : std::string(value);
}

/// The member, or an error naming what was expected.
template <class T>
T member(const Json& value, const char* name, const std::string& source) {
  const auto found = value.find(name);
  bool fits = found != value.end();
  if constexpr (std::is_same_v<T, std::string>) {
    fits = fits && found->is_string();
  } else if constexpr (std::is_same_v<T, bool>) {
    fits = fits && found->is_boolean();
  } else {
    fits = fits && found->is_number_integer();
  }
  REGATTA_REQUIRE(fits, DataError, source, ": owner: '", name, "' is missing or of another type");
  return found->get<T>();
}

}  // namespace

JobPlace this_job() {
  JobPlace place;
  const std::string job = environment("SLURM_JOB_ID");
  if (job.empty()) {
    place.job = str(host_name(), "-", this_process().pid);
    return place;
  }
  place.slurm = true;
  place.job = job;
  const std::string cluster = environment("SLURM_CLUSTER_NAME");
  place.cluster = cluster.empty() ? "slurm" : cluster;
  place.array = environment("SLURM_ARRAY_JOB_ID");
  place.nodes = environment("SLURM_JOB_NODELIST");
  const std::string restart = environment("SLURM_RESTART_COUNT");
  if (!restart.empty()) {
    const auto [end, error] = std::from_chars(restart.data(), restart.data() + restart.size(), place.restart);
    REGATTA_REQUIRE(error == std::errc() && end == restart.data() + restart.size() && place.restart >= 0, ConfigError,
                    "SLURM_RESTART_COUNT: '", one_line(restart, 40), "', expected a number from 0");
  }
  return place;
}

Json to_json(const Owner& owner) {
  Json value = {{"host", owner.process.host},     {"pid", owner.process.pid},
                {"boot", owner.process.boot},     {"start_ticks", owner.process.start_ticks},
                {"cluster", owner.place.cluster}, {"job", owner.place.job},
                {"restart", owner.place.restart}, {"slurm", owner.place.slurm},
                {"nodes", owner.place.nodes},     {"shard", owner.shard}};
  if (!owner.place.array.empty()) {
    value["array"] = owner.place.array;
  }
  return value;
}

Owner owner_from_json(const Json& value, const std::string& source) {
  REGATTA_REQUIRE(value.is_object(), DataError, source, ": owner: expected an object, got ", type_name(value));
  Owner owner;
  owner.process = {member<std::string>(value, "host", source), member<std::string>(value, "boot", source),
                   member<std::int64_t>(value, "pid", source), member<std::uint64_t>(value, "start_ticks", source)};
  owner.place = {member<std::string>(value, "cluster", source),
                 member<std::string>(value, "job", source),
                 member<int>(value, "restart", source),
                 member<bool>(value, "slurm", source),
                 value.contains("array") ? member<std::string>(value, "array", source) : std::string(),
                 value.contains("nodes") ? member<std::string>(value, "nodes", source) : std::string()};
  owner.shard = member<std::string>(value, "shard", source);
  return owner;
}

Json join_fields(const Owner& owner, int ranks) {
  Json fields = to_json(owner);
  fields.erase("shard");  // every record carries it
  fields["ranks"] = ranks;
  fields["build"] = build_id();
  return fields;
}

}  // namespace regatta
