// Training losses over one step's tensors. Each is one file in src/nn/losses and one row in losses.def.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

#include "regatta/config/json.hpp"

namespace regatta {

/// What a loss or metric may look at. Undefined tensors are absent.
struct PairState {
  at::Tensor fixed;              ///< [N, 1, D, H, W] float32
  at::Tensor moving;             ///< [N, 1, D, H, W] float32
  at::Tensor warped;             ///< [N, 1, D, H, W] float32
  at::Tensor flow;               ///< [N, 3, D, H, W] voxels
  at::Tensor regularised;        ///< see ModelOutput
  at::Tensor fixed_labels;       ///< [N, 1, D, H, W] uint8, may be undefined
  at::Tensor moving_labels;      ///< [N, 1, D, H, W] uint8, may be undefined
  std::int64_t label_count = 0;  ///< number of label values, the background included
};

class Loss {
 public:
  virtual ~Loss() = default;

  /// A scalar, differentiable in `warped`, `flow` and `regularised`.
  virtual at::Tensor value(const PairState& pair) const = 0;

  virtual Json options() const = 0;
  virtual Json options_identity() const = 0;
};

struct LossRow {
  const char* name;
  const char* help;
  std::unique_ptr<Loss> (*make)(const Json& options);
};

const std::vector<LossRow>& loss_rows();
std::unique_ptr<Loss> make_loss(const std::string& name, const Json& options);

}  // namespace regatta
