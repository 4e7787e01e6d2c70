// The reference of sweep/replay.hpp and sweep/state.hpp: docs/sweeps.md read line by line, written without looking at
// them. Keeps every record as JSON, goes over all of them for every question, knows no indexes and shares no code with
// what it checks.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "regatta/sweep/state.hpp"

namespace regatta::test {

class ReferenceState {
 public:
  explicit ReferenceState(SweepRules rules) : rules_(std::move(rules)) {}

  void apply(std::span<const Json> records);

  std::int64_t total() const;
  TrialState trial(std::int64_t number) const;
  std::vector<TrialState> trials() const;
  SweepCounts counts() const;
  bool finished() const;
  std::optional<TrialState> best() const;
  std::optional<NextTrial> next_claimable(const std::set<std::int64_t>& exclude, const IsStale& is_stale) const;
  std::int64_t ignored() const { return ignored_; }

 private:
  /// One attempt as a person would note it from the journal: who started it, how it ended, what it left.
  struct Attempt {
    Json start;
    Json end;  ///< null: there is none
    std::vector<Json> reports;
    std::int64_t checkpoint = 0;
  };

  bool is_understood(const Json& record) const;
  std::map<std::int64_t, Json> extensions() const;
  std::map<int, Attempt> attempts_of(std::int64_t number) const;
  std::string heard_end(const std::map<int, Attempt>& attempts, int number) const;
  void judge(const std::map<int, Attempt>& attempts, TrialState& state) const;
  void describe_newest(const std::map<int, Attempt>& attempts, TrialState& state) const;
  void find_best(const std::map<int, Attempt>& attempts, TrialState& state) const;

  SweepRules rules_;
  std::optional<Json> prune_in_force(std::int64_t number, const std::map<int, Attempt>& attempts) const;
  std::optional<Json> rung_of(std::int64_t number, std::int64_t rung) const;
  std::int64_t level_of(std::int64_t number) const;
  std::int64_t pruned_attempt(std::int64_t number) const;

  std::map<std::int64_t, std::vector<Json>> of_trial_;
  std::vector<Json> promotions_;
  std::vector<Json> totals_;  ///< "extend" and "extension"
  std::set<std::string> left_;
  std::int64_t ignored_ = 0;
};

}  // namespace regatta::test
