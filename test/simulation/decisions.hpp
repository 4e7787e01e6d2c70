// The scheduler's decisions, judged from the journal alone: each promotion must follow from the records that its cut
// names, by the rule as the paper has it, without the program's own code.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "options.hpp"
#include "regatta/config/json.hpp"

namespace regatta::simulation {

class Decisions {
 public:
  /// Every record of every shard, each shard's in its order, shards in the order in which they were made.
  void note(const Json& record);

  /// What is wrong, one line each.
  std::vector<std::string> faults(const SimulationOptions& options) const;

  /// Trial and rung of each promotion, in order.
  std::vector<std::pair<std::int64_t, int>> promotions() const;

  std::int64_t pruned() const { return static_cast<std::int64_t>(prunes_.size()); }

 private:
  using Cut = std::map<std::string, std::int64_t>;
  struct Record {
    std::string shard;
    std::int64_t seq = 0;
    std::int64_t trial = 0;
    int rung = 0;
    std::optional<double> value;

    bool is_in(const Cut& cut) const {
      const auto found = cut.find(shard);
      return found != cut.end() && seq <= found->second;
    }
  };
  struct Promotion {
    Record record;
    Cut cut;  ///< in full
  };

  std::string fault_of(const Promotion& promotion, const SimulationOptions& options) const;

  std::vector<Record> rungs_;
  std::vector<Record> diverged_;
  std::vector<Record> lost_;
  std::vector<Promotion> promotions_;
  std::vector<Record> prunes_;
  std::map<std::string, Cut> newest_cut_;  ///< by the shard of the decision
};

}  // namespace regatta::simulation
