// How an optimiser changes parameters by their gradients: one file in this folder and one row in
// regatta/config/optimizers.def each. Where the values lie, what is saved and which backend runs is the Optimizer's.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

#include "regatta/config/recipe.hpp"
#include "regatta/kernels/adam.hpp"
#include "regatta/train/optimizer.hpp"

namespace regatta {

/// A kind of moments, such as "m", one tensor per parameter.
struct Moments {
  std::string kind;
  std::vector<at::Tensor> tensors;
};

/// What an update reads and writes. All lists have the order of the parameters.
struct OptimizerArrays {
  std::vector<at::Tensor> values;
  Moments first = {"m", {}};
  Moments second = {"v", {}};
  Moments largest = {"vmax", {}};   ///< empty without AMSGrad
  std::vector<at::Tensor> updates;  ///< one scalar tensor, once per parameter: the update's number for fused kernels
};

class UpdateRule {
 public:
  virtual ~UpdateRule() = default;

  /// In lists of a step's parts: "AdamW".
  virtual const char* title() const = 0;

  /// Under which its second moments are saved: "optim/<kind>/<parameter>".
  virtual const char* second_kind() const { return "v"; }

  /// By which the fast backend's one kernel updates all values; nothing: the kernel does not know this rule.
  virtual std::optional<kernels::AdamRule> kernel() const { return std::nullopt; }

  /// One update in place, with operators of LibTorch. @param skip  see Optimizer::step_
  virtual void step_(OptimizerArrays& arrays, const std::vector<at::Tensor>& gradients, const UpdateNumbers& numbers,
                     const at::Tensor& skip) const = 0;
};

}  // namespace regatta
