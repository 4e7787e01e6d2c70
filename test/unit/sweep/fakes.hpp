// What sweep tests share: a job in memory, a describer without models, a clock set by hand, journal records.
#pragma once

#include <map>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "regatta/base/clock.hpp"
#include "regatta/config/job.hpp"
#include "regatta/sweep/claims.hpp"
#include "regatta/sweep/describer.hpp"
#include "regatta/sweep/journal.hpp"

namespace regatta::test {

/// NCC and gradient losses, grid over /optim/lr (2 values) and /losses/grad/weight (3 values).
JobOptions small_job();

/// Answers from the recipe itself; a learning rate above 0.5 is "refused by the model".
class FakeDescriber : public Describer {
 public:
  std::vector<Description> describe(const std::vector<Json>& recipes) override;

  int calls = 0;
  std::string fingerprint = "f00d";
};

class HandClock : public Clock {
 public:
  double monotonic_s() const override { return now_s; }
  std::string utc_text() const override { return "2026-01-02T03:04:05Z"; }

  double now_s = 1000.0;
};

class FakeProbe : public JobProbe {
 public:
  JobListing look_up(const JobPlace& place) override {
    asked.push_back(place.job);
    return answer;
  }

  JobListing answer = JobListing::kUnknown;
  std::vector<std::string> asked;
};

/// An owner on a host that is not this one.
Owner distant_owner(const std::string& shard, const std::string& job = "77", int restart = 0);

/// This process as an owner.
Owner own_owner(const std::string& shard);

/// A record as the reader gives it.
Json record(const std::string& shard, int seq, const std::string& type, Json fields = Json::object());

Json start(const std::string& shard, int seq, int trial, int attempt, const std::string& seen = "",
           int resume_step = 0);
Json checkpoint(const std::string& shard, int seq, int trial, int attempt, int step);
Json report(const std::string& shard, int seq, int trial, int attempt, int step, double dice);
Json end(const std::string& shard, int seq, int trial, int attempt, const std::string& status, int step = 0,
         const std::string& message = "");

}  // namespace regatta::test
