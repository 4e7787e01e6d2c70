// Training losses over one step's tensors. Each is one file in src/nn/losses and one row in losses.def.
#pragma once

#include <array>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

#include "regatta/config/json.hpp"
#include "regatta/nn/model.hpp"

namespace regatta {

/// What a loss or metric may look at. Undefined tensors are absent.
struct PairState {
  at::Tensor fixed;                                    ///< [N, 1, D, H, W] float32
  at::Tensor moving;                                   ///< [N, 1, D, H, W] float32
  at::Tensor warped;                                   ///< [N, 1, D, H, W] float32
  at::Tensor flow;                                     ///< [N, 3, D, H, W] voxels
  at::Tensor regularised;                              ///< see ModelOutput
  at::Tensor inverse_flow;                             ///< [N, 3, D, H, W] voxels, of two-directional networks
  at::Tensor velocity_mean;                            ///< see ModelOutput
  at::Tensor velocity_log_variance;                    ///< see ModelOutput
  at::Tensor fixed_labels;                             ///< [N, 1, D, H, W] uint8
  at::Tensor moving_labels;                            ///< [N, 1, D, H, W] uint8
  std::int64_t label_count = 0;                        ///< number of label values, the background included
  at::Tensor fixed_mask;                               ///< [N, 1, D, H, W] uint8, 1 where voxels count
  at::Tensor moving_mask;                              ///< [N, 1, D, H, W] uint8
  at::Tensor fixed_keypoints;                          ///< [K, 3] float32 voxels, order D H W; one pair only (N = 1)
  at::Tensor moving_keypoints;                         ///< [K, 3] float32 voxels of the moving grid, the same points
  std::array<double, 3> spacing_mm = {1.0, 1.0, 1.0};  ///< of the grid, along D, H, W
  double network_s = std::numeric_limits<double>::quiet_NaN();   ///< seconds of the forward pass, where measured
  double peak_bytes = std::numeric_limits<double>::quiet_NaN();  ///< device memory of the forward pass, where measured
};

/// Which of a network's results a loss is taken of.
enum class Side {
  kForward,   ///< moving onto fixed
  kBackward,  ///< fixed onto moving, of two-directional networks
  kHalfway    ///< both images in the middle, of networks that meet there
};

/// Puts a network's output of one side where losses and metrics find it; for `kBackward` the roles of the two images
/// are exchanged. @throws ConfigError if the network has no such side
PairState with_output(const PairState& batch, const ModelOutput& output, Side side = Side::kForward);

class Loss {
 public:
  virtual ~Loss() = default;

  /// A scalar, differentiable in `warped`, `flow` and `regularised`.
  virtual at::Tensor value(const PairState& pair) const = 0;

  virtual Json options() const = 0;
  virtual Json options_identity() const = 0;

  /// What an archive must have for this loss to mean anything: "labels", "masks", "key-points".
  virtual std::vector<std::string> needs() const { return {}; }
};

struct LossRow {
  const char* name;
  const char* help;
  std::unique_ptr<Loss> (*make)(const Json& options);
};

const std::vector<LossRow>& loss_rows();
std::unique_ptr<Loss> make_loss(const std::string& name, const Json& options);

}  // namespace regatta
