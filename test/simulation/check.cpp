// The invariants, one by one.
#include "check.hpp"

#include <algorithm>
#include <map>

#include <nlohmann/json.hpp>

#include "decisions.hpp"
#include "job_life.hpp"
#include "unit/sweep/reference_state.hpp"

namespace regatta::simulation {
namespace {

/// A claimant has not seen a shard grow for 5 minutes, or it is the same job started again: it knows at least what was
/// durable this long before its own start record.
constexpr double kKnownAfter_s = 200.0;
constexpr std::int64_t kReferenceTrials = 20000;  ///< up to this many the reference is compared too

struct Saved {
  std::int64_t step = 0;
  double durable_s = 0.0;
};

struct Start {
  std::string shard;
  std::string seen;
  std::int64_t resume_step = 0;
  double durable_s = 0.0;
};

struct AttemptFacts {
  std::vector<Start> starts;
  std::vector<Saved> saved;
  int ok_ends = 0;
};

using Facts = std::map<std::int64_t, std::map<int, AttemptFacts>>;

SweepRules rules(const World& world) {
  return rules_of(definition_of(world.options));
}

void note(const Json& record, const std::string& shard, double durable_s, Facts& facts) {
  const std::string type = record.at("type");
  if (type != "start" && type != "checkpoint" && type != "end") {
    return;
  }
  AttemptFacts& attempt = facts[record.at("trial").get<std::int64_t>()][record.at("attempt").get<int>()];
  if (type == "start") {
    attempt.starts.push_back(
        {shard, record.at("seen").get<std::string>(), record.at("resume_step").get<std::int64_t>(), durable_s});
  } else if (type == "checkpoint") {
    attempt.saved.push_back({record.at("step").get<std::int64_t>(), durable_s});
  } else {
    attempt.ok_ends += record.at("status") == "ok" ? 1 : 0;
  }
}

void check_attempts(const Facts& facts, Verdict& verdict) {
  for (const auto& [trial, attempts] : facts) {
    int ok_ends = 0;
    std::vector<Saved> earlier;
    for (const auto& [number, attempt] : attempts) {
      ok_ends += attempt.ok_ends;
      verdict.attempts += attempt.starts.empty() ? 0 : 1;
      if (attempt.starts.size() != 1) {
        verdict.faults.push_back(str("trial ", trial, " attempt ", number, ": ", attempt.starts.size(), " starts"));
        continue;
      }
      const Start& start = attempt.starts.front();
      verdict.resumed += start.resume_step > 0 ? 1 : 0;
      const bool saw_end = start.seen != "lost" && !start.seen.empty();
      for (const Saved& saved : earlier) {
        const bool known = saw_end || saved.durable_s + kKnownAfter_s < start.durable_s;
        if (known && saved.step > start.resume_step) {
          verdict.faults.push_back(str("trial ", trial, " attempt ", number, " began at ", start.resume_step,
                                       " although a checkpoint of ", saved.step, " could be seen"));
        }
      }
      earlier.insert(earlier.end(), attempt.saved.begin(), attempt.saved.end());
    }
    if (ok_ends > 1) {
      verdict.faults.push_back(str("trial ", trial, ": ", ok_ends, " attempts ended ok"));
    }
  }
}

void check_trial(const TrialState& trial, const TrialTruth& truth, Verdict& verdict) {
  if (trial.phase != TrialPhase::kDone) {
    verdict.faults.push_back(str("trial ", trial.number, " is ", phase_name(trial.phase), " at the end"));
  } else if ((trial.status == TrialStatus::kOk) != (truth.completed == 1)) {
    verdict.faults.push_back(str("trial ", trial.number, " is ", status_name(*trial.status), ", but ran to completion ",
                                 truth.completed, " times"));
  }
  if (truth.living != 0) {
    verdict.faults.push_back(str("trial ", trial.number, ": ", truth.living, " children left behind"));
  }
}

}  // namespace

Verdict check(const World& world) {
  Verdict verdict;
  verdict.faults = world.faults;
  SweepState state(rules(world));
  const bool is_small = world.options.trials <= kReferenceTrials;
  test::ReferenceState reference(rules(world));
  std::vector<Json> all;
  Facts facts;
  Decisions decisions;
  for (const SharedFiles::Shard& shard : world.files.shards()) {
    ShardLines lines(shard.name);
    std::size_t append = 0;
    lines.take(shard.text, [&](Json&& record, std::int64_t end) {
      while (append + 1 < shard.appends.size() && shard.appends[append].bytes < end) {
        ++append;
      }
      decisions.note(record);
      note(record, shard.name, shard.appends[append].time_s, facts);
      state.apply(std::span<const Json>(&record, 1));
      if (is_small) {
        all.push_back(std::move(record));
      }
    });
    verdict.records += lines.progress().records;
    verdict.torn_lines += lines.progress().skipped;
  }
  check_attempts(facts, verdict);
  for (std::string& fault : decisions.faults(world.options)) {
    verdict.faults.push_back(std::move(fault));
  }
  verdict.promotions = decisions.promotions();
  verdict.pruned = decisions.pruned();
  verdict.judged = decisions.judged();
  std::vector<TrialState> trials = state.trials();
  for (const TrialState& trial : trials) {
    check_trial(trial, world.truth[static_cast<std::size_t>(trial.number)], verdict);
  }
  if (is_small) {
    reference.apply(all);
    if (reference.trials() != trials) {
      verdict.faults.emplace_back("the reference gives another state");
    }
  }
  verdict.counts = state.counts();
  if (world.measures.overlaps > 0) {
    verdict.faults.push_back(str(world.measures.overlaps, " children began while another was at the same trial"));
  }
  return verdict;
}

}  // namespace regatta::simulation
