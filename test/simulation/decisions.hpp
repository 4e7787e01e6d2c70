// The scheduler's decisions, judged from the journal alone: each promotion must follow from the records that its cut
// names, by the rule as the paper has it, and no trial may be pruned that its rung could still promote. Without the
// program's own code.
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

  /// Promotions and prunes that `faults` looks at.
  std::int64_t judged() const;

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
  struct Decision {
    Record record;
    Cut cut;  ///< in full
  };
  /// What a cut holds of one rung.
  struct Rung {
    std::map<std::int64_t, double> results;  ///< by trial
    std::int64_t count = 0;                  ///< results, those without a value too
    std::int64_t better = 0;                 ///< than the decided trial
    std::int64_t lost = 0;                   ///< trials that ended before it
    std::int64_t sent = 0;                   ///< points on their way to it, or beyond
    int own_level = 0;                       ///< of the decided trial
  };

  Rung rung_of(const Decision& decision, int rung, const SimulationOptions& options) const;
  std::string fault_of(const Decision& promotion, const SimulationOptions& options) const;
  std::string prune_fault_of(const Decision& prune, const SimulationOptions& options) const;
  bool has_ended_early(std::int64_t trial) const;

  std::vector<Record> rungs_;
  std::vector<Record> diverged_;
  std::vector<Record> lost_;
  std::vector<Decision> promotions_;
  std::vector<Decision> prunes_;
  std::map<std::string, Cut> newest_cut_;  ///< by the shard of the decision
};

}  // namespace regatta::simulation
