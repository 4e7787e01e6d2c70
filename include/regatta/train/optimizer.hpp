// Adam over the flat list of parameters, and the learning rate as a function of the epoch. No gradients are computed
// here, no files are written.
#pragma once

#include <cstdint>
#include <vector>

#include <ATen/core/Tensor.h>

#include "regatta/config/recipe.hpp"
#include "regatta/nn/parameters.hpp"
#include "regatta/nn/weights.hpp"

namespace regatta {

/// Step size in an epoch (from 0). `poly` is TransMorph's: lr (1 - epoch/horizon)^power, rounded to 8 decimals as
/// numpy rounds; epochs after the horizon keep the rate of its last one (a training that was extended).
/// @param optim  with horizon_epochs resolved, at least 1
double learning_rate(const OptimOptions& optim, std::int64_t epoch);

/// Adam with L2 weight decay and, if asked for, AMSGrad: PyTorch's update, in its fused kernel.
class Adam {
 public:
  /// Moments start at zero, on the parameters' device.
  Adam(const Parameters& parameters, const OptimOptions& options);

  /// Gradients of all parameters, in their order; zeros where the last backward pass left none.
  std::vector<at::Tensor> gradients() const;

  /// One update in place.
  /// @param update  its number, from 1
  /// @param skip    [1] float32 on the same device; where it is 1 nothing changes (no host synchronisation)
  void step_(const std::vector<at::Tensor>& gradients, double lr, std::int64_t update, const at::Tensor& skip);

  /// Drops the gradients: the next backward pass makes new ones.
  void clear_gradients_();

  /// "optim/m/<name>", "optim/v/<name>" and, with AMSGrad, "optim/vmax/<name>". Tensors are shared, not copied.
  NamedTensors state() const;

  /// Copies the moments from a file. @throws DataError for a missing or differently shaped one
  void load_state_(const SafetensorsFile& file, const std::string& source);

 private:
  OptimOptions options_;
  std::vector<std::string> names_;
  std::vector<at::Tensor> values_;
  std::vector<at::Tensor> m_;
  std::vector<at::Tensor> v_;
  std::vector<at::Tensor> vmax_;
  std::vector<at::Tensor> updates_;  ///< one tensor, once per parameter: what the kernel takes
};

}  // namespace regatta
