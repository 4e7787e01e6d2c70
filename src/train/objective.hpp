// What a training minimises: the weighted sum of its recipe's losses, each taken of the sides of the network's output
// that the recipe names.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "regatta/config/recipe.hpp"
#include "regatta/nn/loss.hpp"
#include "regatta/nn/model.hpp"
#include "train/batch_share.hpp"

namespace regatta {

/// The weighted sum, and each loss unweighted and without a graph, in the order of the recipe.
struct ObjectiveValues {
  at::Tensor total;
  std::vector<at::Tensor> parts;
};

class Objective {
 public:
  /// @param losses   the recipe's, by name
  /// @param backend  whose forms of the losses are taken, where it has them
  /// @throws ConfigError for an unknown loss, option or side
  explicit Objective(const std::map<std::string, LossTerm>& losses, Backend backend = Backend::kReference);

  /// Of one forward pass. A loss of weight 0 is a part, but not of the sum.
  /// @param share  where the batch is a part of a larger one: what each loss adds to its mean over all of it
  /// @throws ConfigError if the network's output lacks a side that a loss is taken of
  ObjectiveValues values(const PairState& batch, const ModelOutput& output, const BatchShare& share = {}) const;

  /// Which loss keeps steps from being captured, and why; empty: none.
  std::string why_not_captured() const;

  std::size_t size() const { return terms_.size(); }
  const std::string& name(std::size_t index) const { return terms_.at(index).name; }

 private:
  struct Term {
    std::string name;
    double weight;
    std::unique_ptr<Loss> loss;
    std::vector<Side> sides;
    bool is_masked;  ///< a mean over the voxels within the masks, where there are some
  };

  at::Tensor value_of(const Term& term, const PairState& batch, const ModelOutput& output,
                      const BatchShare& share) const;

  Backend backend_;
  std::vector<Term> terms_;
};

}  // namespace regatta
