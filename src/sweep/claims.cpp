// Claim files and the rules by which their owners count as gone.
#include "regatta/sweep/claims.hpp"

#include <nlohmann/json.hpp>

#include "regatta/base/error.hpp"
#include "regatta/base/files.hpp"

namespace regatta {

bool try_claim(const SweepFiles& files, std::int64_t trial, int attempt, const Owner& owner, const Json& decision) {
  Json text = to_json(owner);
  if (!decision.is_null()) {
    text["decision"] = decision;
  }
  return claim_file(files.claim(trial, attempt), dump_line(text) + "\n");
}

std::optional<Owner> read_claim(const SweepFiles& files, std::int64_t trial, int attempt) {
  const auto path = files.claim(trial, attempt);
  if (!std::filesystem::exists(path)) {
    return std::nullopt;
  }
  return owner_from_json(read_json(path), path.string());
}

void StaleWatch::observe(const std::map<std::string, ShardProgress>& shards) {
  const double now_s = clock_.monotonic_s();
  for (const auto& [name, progress] : shards) {
    Growth& growth = growth_[name];
    if (progress.bytes != growth.bytes) {
      growth = {progress.bytes, now_s};
    }
  }
}

bool StaleWatch::is_stale(const Owner& owner) {
  const double now_s = clock_.monotonic_s();
  const auto [entry, is_new] = growth_.try_emplace(owner.shard, Growth{-1, now_s});
  return is_stale(owner, now_s - entry->second.since_s);
}

bool StaleWatch::is_stale(const Owner& owner, double quiet_s) {
  const Liveness living = liveness(owner.process);
  if (living == Liveness::kAlive) {
    return false;
  }
  const JobPlace& place = owner.place;
  const bool one_machine = place.nodes.find_first_of(",[") == std::string::npos;
  if (living == Liveness::kGone && one_machine) {
    return true;
  }
  const bool this_job = place.slurm && self_.slurm && place.cluster == self_.cluster && place.job == self_.job;
  const bool earlier_start = this_job && place.restart < self_.restart;
  if (place.nodes == self_.nodes && (earlier_start || (this_job && living == Liveness::kGone))) {
    return true;
  }
  if (earlier_start) {
    return quiet_s >= rule_.stopped_s;
  }
  if (quiet_s < rule_.after_s) {
    return false;
  }
  switch (place.slurm ? probe_.look_up(place) : JobListing::kUnknown) {
    case JobListing::kListed: return false;
    case JobListing::kNotListed: return true;
    case JobListing::kUnknown: return quiet_s >= rule_.without_squeue_s;
  }
  return false;
}

}  // namespace regatta
