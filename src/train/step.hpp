// One optimiser step: network, weighted losses, backward pass, check for non-finite numbers, update. Holds all tensors
// of a training; knows nothing of files, epochs or validation.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "regatta/config/recipe.hpp"
#include "regatta/nn/loss.hpp"
#include "regatta/nn/model.hpp"
#include "regatta/nn/weights.hpp"
#include "regatta/train/optimizer.hpp"

namespace regatta {

/// The weighted sum of a step's losses, and each of them unweighted and without a graph.
struct TermValues {
  at::Tensor total;
  std::vector<at::Tensor> parts;
};

class TrainingStep {
 public:
  /// The network with weights drawn from the recipe's seed, on the device.
  TrainingStep(const Recipe& recipe, const at::Device& device);

  Model& model() { return *model_; }

  /// One step without host synchronisation. Once a loss or gradient is not finite, this and all later updates are
  /// skipped: the weights stay those of the last good step.
  /// @param update  number of the update, from 1
  void run_(const PairState& batch, double lr, std::int64_t update);

  /// The losses of one forward pass, in the order of the recipe.
  TermValues losses(const PairState& batch, const ModelOutput& output) const;

  /// Steps since construction or `load_` whose update was made: fewer than were run if one was not finite.
  /// Synchronises.
  std::int64_t good_steps() const;

  /// Means of "total" and of each unweighted part over the last `steps` steps. Synchronises.
  std::map<std::string, double> mean_losses(std::int64_t steps) const;
  void clear_sums_();

  /// Weights, optimiser state and loss sums, shared.
  NamedTensors state() const;

  /// Weights alone, shared.
  NamedTensors weights() const;

  /// Copies weights from a file, in the place of those drawn. @return what `load_parameters` converted
  /// @throws DataError for missing, surplus or differently shaped tensors
  std::string load_weights_(const SafetensorsFile& file, const std::string& source);

  /// Copies a state from a file. @throws DataError for missing, surplus or differently shaped tensors
  void load_(const SafetensorsFile& file, const std::string& source);

 private:
  struct Term {
    std::string name;
    double weight;
    std::unique_ptr<Loss> loss;
    std::vector<Side> sides;
  };

  /// The sum over the term's sides.
  static at::Tensor value_of(const Term& term, const PairState& batch, const ModelOutput& output);

  std::uint64_t seed_;

  std::unique_ptr<Model> model_;
  std::vector<Term> terms_;
  std::unique_ptr<Optimizer> optimizer_;
  at::Tensor loss_sums_;   ///< [terms + 1] float64, the total last
  at::Tensor bad_;         ///< [1] float32: 1 from the first non-finite loss or gradient on
  at::Tensor good_steps_;  ///< [1] float64
  at::Tensor one_;         ///< [1] float32: gradients are not scaled
};

}  // namespace regatta
