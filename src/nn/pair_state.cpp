// From a network's output to what losses and metrics see.
#include "regatta/base/error.hpp"
#include "regatta/nn/loss.hpp"

namespace regatta {
namespace {

std::string sides_of(const ModelOutput& output) {
  std::vector<std::string> sides = {"forward"};
  if (output.inverse_flow.defined()) {
    sides.emplace_back("backward");
  }
  if (output.halfway_flow.defined()) {
    sides.emplace_back("halfway");
  }
  return join(sides, ", ");
}

}  // namespace

VoxelAxes axes_of_spacing(const std::array<double, 3>& spacing_mm) {
  return {spacing_mm[0], 0, 0, 0, spacing_mm[1], 0, 0, 0, spacing_mm[2]};
}

PairState with_output(const PairState& batch, const ModelOutput& output, Side side) {
  PairState pair = batch;
  pair.velocity_mean = output.velocity_mean;
  pair.velocity_log_variance = output.velocity_log_variance;
  switch (side) {
    case Side::kForward:
      pair.warped = output.warped;
      pair.flow = output.flow;
      pair.regularised = output.regularised;
      pair.inverse_flow = output.inverse_flow;
      break;
    case Side::kBackward:
      REGATTA_REQUIRE(output.inverse_flow.defined(), ConfigError, "'backward', this network has: ", sides_of(output));
      std::swap(pair.fixed, pair.moving);
      std::swap(pair.fixed_labels, pair.moving_labels);
      std::swap(pair.fixed_mask, pair.moving_mask);
      std::swap(pair.fixed_keypoints, pair.moving_keypoints);
      std::swap(pair.fixed_axes_mm, pair.moving_axes_mm);
      std::swap(pair.fixed_axes, pair.moving_axes);
      pair.warped = output.inverse_warped;
      pair.flow = output.inverse_flow;
      pair.regularised = output.inverse_regularised;
      pair.inverse_flow = output.flow;
      break;
    case Side::kHalfway:
      REGATTA_REQUIRE(output.halfway_flow.defined(), ConfigError, "'halfway', this network has: ", sides_of(output));
      pair.fixed = output.halfway_fixed;
      pair.warped = output.halfway_moving;
      pair.flow = output.halfway_flow;
      pair.regularised = output.halfway_flow;
      pair.inverse_flow = output.halfway_inverse_flow;
      pair.fixed_labels.reset();  // neither image lies on its own grid
      pair.moving_labels.reset();
      pair.fixed_mask.reset();
      pair.moving_mask.reset();
      pair.fixed_keypoints.reset();
      pair.moving_keypoints.reset();
      pair.keypoint_count.reset();
      break;
  }
  return pair;
}

}  // namespace regatta
