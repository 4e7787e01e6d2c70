// The update rules over the flat list of parameters, and the learning rate as a function of the epoch. No
// gradients are computed here, no files are written.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

#include "regatta/config/recipe.hpp"
#include "regatta/nn/parameters.hpp"
#include "regatta/nn/weights.hpp"

namespace regatta {

class UpdateRule;
struct OptimizerArrays;

/// What changes from update to update.
struct UpdateNumbers {
  double lr = 0.0;
  std::int64_t update = 1;  ///< from 1

  /// [2] float64: rate and number once more, on the device. Where it is defined, only these are read: a captured step
  /// finds new numbers there each time.
  at::Tensor on_device{};
};

/// Step size in an epoch (from 0), by the recipe's schedule: a file in src/train/schedules.
/// @param optim  with horizon_epochs resolved, at least 1
double learning_rate(const OptimOptions& optim, std::int64_t epoch);

/// The recipe's optimiser, with PyTorch's update rules: a file in src/train/optimizers.
class Optimizer {
 public:
  /// Moments start at zero, on the parameters' device.
  /// @param options  checked by validate(Recipe)
  /// @param backend  fast: on a GPU all values lie in one array, and so do their moments; parameters become views of it
  Optimizer(const Parameters& parameters, const OptimOptions& options, Backend backend = Backend::kReference);
  ~Optimizer();

  /// Gradients of all parameters, in their order; zeros where the last backward pass left none.
  std::vector<at::Tensor> gradients() const;

  /// The same one behind the other, each rounded up to a whole number of blocks, with zeros between. Only where
  /// `is_flat`.
  const at::Tensor& flat_gradient_();

  /// Whether one kernel updates all values: the fast backend, if its kernel knows the rule.
  bool is_flat() const { return flat_.value.defined(); }

  /// One update in place.
  /// @param skip    [1] float32 on the same device; where it is 1 nothing changes (no host synchronisation)
  void step_(const std::vector<at::Tensor>& gradients, const UpdateNumbers& numbers, const at::Tensor& skip);

  /// Drops the gradients: the next backward pass makes new ones.
  void clear_gradients_();

  /// "optim/m/<name>"; of Adam and AdamW "optim/v/<name>" and, with AMSGrad, "optim/vmax/<name>"; of Adamax
  /// "optim/u/<name>". Tensors are shared, not copied.
  NamedTensors state() const;

  /// Copies the moments from a file. @throws DataError for a missing or differently shaped one
  void load_state_(const SafetensorsFile& file, const std::string& source);

 private:
  /// [count] float32 each.
  struct Flat {
    at::Tensor value;
    at::Tensor gradient;
    at::Tensor m;
    at::Tensor v;
    at::Tensor vmax;                    ///< undefined without AMSGrad
    std::vector<at::Tensor> gradients;  ///< views, one per parameter
  };

  void lay_flat_();
  void flat_step_(const UpdateNumbers& numbers, const at::Tensor& skip);

  OptimOptions options_;
  std::unique_ptr<UpdateRule> rule_;
  std::vector<std::string> names_;
  std::unique_ptr<OptimizerArrays> arrays_;
  Flat flat_;
};

}  // namespace regatta
