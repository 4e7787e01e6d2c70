// Training losses over one step's tensors. Each is one file in src/nn/losses and one row in losses.def.
#pragma once

#include <array>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

#include "regatta/config/json.hpp"
#include "regatta/nn/grid_warp.hpp"
#include "regatta/nn/model.hpp"

namespace regatta {

/// Where a step of one voxel along D, H, W leads, in millimetres: the columns of a row-major 3x3 matrix. Its rotation
/// does not matter for lengths.
using VoxelAxes = std::array<double, 9>;

VoxelAxes axes_of_spacing(const std::array<double, 3>& spacing_mm);

/// What a label counts that the fixed or the unwarped moving map lacks.
enum class AbsentLabel {
  kProtocol,  ///< what the metric's own protocol says
  kLeftOut,   ///< nothing: NaN, and no part of the mean
  kWorst      ///< Dice 0, infinite distance
};

/// How metrics of labels read a pair. The defaults are each metric's own protocol.
struct LabelReading {
  std::vector<std::int64_t> values;    ///< label value of each index, for the names; empty: the index itself
  std::vector<std::int64_t> measured;  ///< indices; empty: 1 .. label_count - 1, if that is 0 those that occur
  LabelEdge edge = LabelEdge::kCentres;
  AbsentLabel absent = AbsentLabel::kProtocol;
};

/// What a loss or metric may look at. Undefined tensors are absent.
struct PairState {
  Backend backend = Backend::kReference;  ///< whose forms of losses and metrics may be taken
  bool in_unit_range = false;             ///< the images are known to lie in [0, 1]
  at::Tensor fixed;                       ///< [N, 1, D, H, W] float32
  at::Tensor moving;                      ///< [N, 1, D, H, W] float32
  at::Tensor warped;                      ///< [N, 1, D, H, W] float32
  at::Tensor flow;                        ///< [N, 3, D, H, W] voxels
  at::Tensor moving_flow;                 ///< where the moving grid is another one: see `to_moving`
  at::Tensor regularised;                 ///< see ModelOutput
  at::Tensor inverse_flow;                ///< [N, 3, D, H, W] voxels, of two-directional networks
  at::Tensor velocity_mean;               ///< see ModelOutput
  at::Tensor velocity_log_variance;       ///< see ModelOutput
  at::Tensor fixed_labels;                ///< [N, 1, D, H, W] uint8; metrics take int16 too
  at::Tensor moving_labels;               ///< as the fixed ones; for metrics on a grid of its own
  std::int64_t label_count = 0;           ///< number of label values, the background included
  LabelReading reading;                   ///< of the labels, by metrics
  at::Tensor fixed_mask;                  ///< [N, 1, D, H, W] uint8, 1 where voxels count
  at::Tensor moving_mask;                 ///< [N, 1, D, H, W] uint8
  at::Tensor fixed_keypoints;             ///< [K, 3] float32 voxels, order D H W; one pair only (N = 1)
  at::Tensor moving_keypoints;            ///< [K, 3] the same points, in the voxels where `flow` ends
  VoxelAxes moving_axes_mm = {1, 0, 0, 0, 1, 0, 0, 0, 1};  ///< of those voxels: an error is as long as they are
  VoxelAxes fixed_axes_mm = {1, 0, 0, 0, 1, 0, 0, 0, 1};   ///< the same for the other direction, `inverse_flow`
  std::int64_t most_keypoints = 0;                         ///< of a pair of the data set; 0: not known
  at::Tensor keypoint_count;                               ///< scalar float64 on the device: points from this number
                                                           ///< on are padding; undefined: all are real
  at::Tensor moving_axes;  ///< [3, 3] float64, the axes in mm on the device; where it is defined only this is read
  at::Tensor fixed_axes;   ///< the same for the other direction
  double network_s = std::numeric_limits<double>::quiet_NaN();   ///< seconds of the forward pass, where measured
  double peak_bytes = std::numeric_limits<double>::quiet_NaN();  ///< device memory of the forward pass, where measured

  /// The field that leads from a fixed voxel x to the voxel x + u(x) of the moving volume. `flow` itself, unless the
  /// moving volume lies on a grid of its own and `flow` is in voxels of the fixed one.
  const at::Tensor& to_moving() const { return moving_flow.defined() ? moving_flow : flow; }
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

  /// The options with type, allowed values and help: for documentation.
  virtual std::vector<OptionRow> option_table() const = 0;

  /// What an archive must have for this loss to mean anything: "labels", "masks", "key-points".
  virtual std::vector<std::string> needs() const { return {}; }

  /// Whether a step may hold one pair only: its inputs have no batch.
  virtual bool takes_one_pair() const { return false; }

  /// Why training steps with this loss cannot be replayed as a captured graph; empty: they can. See Model.
  virtual std::string why_not_captured() const { return {}; }
};

struct LossRow {
  const char* name;
  const char* help;
  std::unique_ptr<Loss> (*make)(const Json& options);
};

const std::vector<LossRow>& loss_rows();
std::unique_ptr<Loss> make_loss(const std::string& name, const Json& options);

}  // namespace regatta
