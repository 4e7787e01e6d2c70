#include "regatta/nn/grid_warp.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/grid_sampler_3d.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/zeros.h>

#include "nn/layers/grid.hpp"
#include "nn/ops/sampling_grid.hpp"
#include "nn/shapes.hpp"
#include "regatta/nn/warp.hpp"

namespace regatta {
namespace {

void require_shapes_of_grids(const at::Tensor& volume, const at::Tensor& flow) {
  bool fits = volume.dim() == 5 && flow.dim() == 5 && flow.size(1) == 3 && volume.size(0) == flow.size(0);
  for (std::int64_t axis = 2; fits && axis < 5; ++axis) {
    fits = volume.size(axis) >= 2 && flow.size(axis) >= 2;
  }
  REGATTA_REQUIRE(fits, DataError, "warp: volume ", shape_text(volume), " and flow ", shape_text(flow),
                  ", expected [N, C, D', H', W'] and [N, 3, D, H, W], each size at least 2");
}

}  // namespace

at::Tensor warp_between(const at::Tensor& volume, const at::Tensor& flow) {
  require_shapes_of_grids(volume, flow);
  const at::NoGradGuard no_grad;
  return at::grid_sampler_3d(volume, sampling_grid(flow, volume), kTrilinear, kZerosPadding, /*align_corners=*/true);
}

at::Tensor warp_labels(const at::Tensor& labels, const at::Tensor& flow, LabelEdge edge) {
  require_shapes_of_grids(labels, flow);
  const bool is_label_map =
      (labels.scalar_type() == at::kByte || labels.scalar_type() == at::kShort) && labels.size(1) == 1;
  REGATTA_REQUIRE(is_label_map, DataError, "warp: labels are ", c10::toString(labels.scalar_type()), " ",
                  shape_text(labels), ", expected uint8 or int16 [N, 1, D, H, W]");
  const at::NoGradGuard no_grad;
  const double beyond = edge == LabelEdge::kHalfVoxel ? 0.5 : 0.0;
  // In voxels and double precision: the grid sampler's coordinates, float32 in [-1, 1], round a few points elsewhere.
  const at::TensorOptions wide = flow.options().dtype(at::kDouble);
  at::Tensor index = at::zeros({}, flow.options().dtype(at::kLong));  // of the flat volume, [N, D, H, W]
  at::Tensor inside = at::ones({}, flow.options().dtype(at::kBool));
  for (std::int64_t axis = 0; axis < 3; ++axis) {
    const std::int64_t size = labels.size(2 + axis);
    const auto last = static_cast<double>(size - 1);
    at::Tensor point = flow.select(1, axis).to(at::kDouble) + axis_positions(axis, flow.size(2 + axis), wide);
    point.nan_to_num_(-1.0);  // NaN: outside
    const at::Tensor below = edge == LabelEdge::kHalfVoxel ? point.lt(last + beyond) : point.le(last);
    inside = inside.logical_and(point.ge(-beyond).logical_and_(below));
    const at::Tensor nearest = point.add_(0.5).floor_().clamp_(0.0, last);
    index = index * size + nearest.to(at::kLong);
  }
  const std::int64_t batch = labels.size(0);
  const at::Tensor picked = labels.reshape({batch, -1}).gather(1, index.view({batch, -1}));
  return picked.view({batch, 1, flow.size(2), flow.size(3), flow.size(4)}) * inside.unsqueeze(1);
}

at::Tensor warp_labels(const at::Tensor& labels, const at::Tensor& flow) {
  return warp_labels(labels, flow, LabelEdge::kCentres);
}

}  // namespace regatta
