// Instance optimisation: a field or velocity improved on its own pair from where the network left it, without the
// network.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

#include "regatta/config/recipe.hpp"
#include "regatta/nn/loss.hpp"

namespace regatta {

struct RefineOptions {
  int iterations = 0;                      ///< at most; 0: none
  double rate = 0.1;                       ///< Adam's step size, voxels per iteration
  std::map<std::string, LossTerm> losses;  ///< empty: the training's
};

/// What it did.
struct Refinement {
  std::string of = "field";  ///< or "velocity"
  int iterations = 0;
  bool converged = false;  ///< it ended before the last, see `refine_field`
  double loss_before = 0.0;
  double loss_after = 0.0;
  std::vector<std::string> losses;    ///< that were minimised
  std::vector<std::string> left_out;  ///< of the training: those that need labels, masks or key-points, or see no field
};

/// "ncc:1,grad:0.5" -> losses with these weights and default options. @throws ConfigError naming the part
std::map<std::string, LossTerm> parse_loss_terms(const std::string& text);

/// What is refined: a velocity, or where `displacement_of` is empty the field itself.
struct Refined {
  at::Tensor value;  ///< [1, 3, d, h, w] voxels of its own grid, where it begins
  std::function<at::Tensor(const at::Tensor&)> displacement_of = {};  ///< differentiable, [1, 3, D, H, W] voxels
};

/// Adam on every value of a field or velocity. The values with the least loss are kept, so the loss never ends above
/// where it began. Ends before the last iteration where the least loss of the newest ten iterations is not lower than
/// before them by a part of 1e-3.
/// @param pair     fixed and moving, [1, 1, D, H, W]
/// @param trained  the training's losses; those that a pair of images alone gives no value of are left out
/// @return the refined values, as `start.value`
/// @throws ConfigError if no loss is left; DataError if the loss stops being a number; DeviceError
/// Deterministic: the same bits on the same machine.
at::Tensor refine_field(const PairState& pair, const Refined& start, const std::map<std::string, LossTerm>& trained,
                        const RefineOptions& options, Backend backend, Refinement& done);

}  // namespace regatta
