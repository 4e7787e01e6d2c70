#include "nn/fast/conv_twice.hpp"

#include <array>

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/bmm.h>
#include <ATen/ops/matmul.h>

#include "nn/layers/resize.hpp"
#include "regatta/base/error.hpp"

namespace regatta::fast {
namespace {

bool is_linear(const ConvLayer& layer) {
  return layer.weights.size() == 1 && layer.biases.size() == 1 && layer.activation.kind == Activation::Kind::kNone &&
         layer.strides == std::vector<std::int64_t>(3, 1) && !layer.identity;
}

/// Column n: which of a kernel's voxels along one axis lie in the volume when its middle is at voxel n. [edge, size] of
/// 0 and 1, made on the device.
at::Tensor inside_volume(std::int64_t edge, std::int64_t size, const at::Tensor& like) {
  const at::Tensor place = at::arange(edge, like.options()).unsqueeze(1) + at::arange(size, like.options());
  const double half = static_cast<double>(edge / 2);
  return place.ge(half).logical_and_(place.lt(static_cast<double>(size) + half)).to(like.scalar_type());
}

/// Along the middle axis: [batch, edge, n] to [batch, size, n].
at::Tensor sum_along(const at::Tensor& values, std::int64_t size) {
  const std::int64_t edge = values.size(1);
  const at::Tensor inside = inside_volume(edge, size, values).t().expand({values.size(0), size, edge});
  return at::bmm(inside, values);
}

/// The sum of a kernel's values over those of its voxels that lie in the volume, for each place of its middle:
/// [out, edge, edge, edge] to [out, D, H, W]. Deterministic, the backward pass too.
at::Tensor sum_inside(const at::Tensor& values, const at::Tensor& volume) {
  const std::int64_t out = values.size(0);
  const std::int64_t edge = values.size(1);
  const std::array<std::int64_t, 3> size = grid_of(volume);
  const at::Tensor by_w = at::matmul(values.flatten(0, 2), inside_volume(edge, size[2], values));  // [out edge^2, W]
  const at::Tensor by_h = sum_along(by_w.view({out * edge, edge, size[2]}), size[1]);              // [out edge, H, W]
  return sum_along(by_h.view({out, edge, size[1] * size[2]}), size[0]).view({out, size[0], size[1], size[2]});
}

}  // namespace

Feature convolve_twice(const std::vector<Feature>& inputs, const ConvLayer& pointwise, const ConvLayer& layer) {
  const at::Tensor& outer = layer.weights.front();
  const at::Tensor& inner = pointwise.weights.front();
  const bool fits = is_linear(pointwise) && is_linear(layer) && layer.field && inner.size(2) == 1 &&
                    outer.size(1) == inner.size(0) && outer.size(2) % 2 == 1 && layer.padding == outer.size(2) / 2;
  REGATTA_REQUIRE(fits, BugError, "a convolution ", join(outer.sizes(), "x"), " after one ", join(inner.sizes(), "x"),
                  " is not one");
  const at::Tensor taps = outer.permute({0, 2, 3, 4, 1});  // [out, k, k, k, between]
  ConvLayer both = layer;
  both.weights = {at::matmul(taps, inner.flatten(1)).permute({0, 4, 1, 2, 3}).contiguous()};
  at::Tensor field = convolve(inputs, both).value();
  return field.add_(sum_inside(at::matmul(taps, pointwise.biases.front()), field));
}

}  // namespace regatta::fast
