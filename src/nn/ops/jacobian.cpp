#include "nn/ops/jacobian.hpp"

#include <array>
#include <utility>

#include <ATen/ops/empty_like.h>

#include "nn/fast/jacobian.hpp"
#include "nn/shapes.hpp"

namespace regatta {
namespace {

/// Derivative of one component along one axis of [N, D, H, W].
at::Tensor slope(const at::Tensor& component, std::int64_t axis) {
  const std::int64_t size = component.size(axis);
  at::Tensor out = at::empty_like(component, at::MemoryFormat::Contiguous);
  out.narrow(axis, 0, 1).copy_(component.narrow(axis, 1, 1)).sub_(component.narrow(axis, 0, 1));
  out.narrow(axis, size - 1, 1).copy_(component.narrow(axis, size - 1, 1)).sub_(component.narrow(axis, size - 2, 1));
  if (size > 2) {
    at::Tensor inside = out.narrow(axis, 1, size - 2);
    inside.copy_(component.narrow(axis, 2, size - 2)).sub_(component.narrow(axis, 0, size - 2)).mul_(0.5);
  }
  return out;
}

/// Row `c` of I + du/dp: the derivatives of component c along D, H, W.
std::array<at::Tensor, 3> row(const at::Tensor& flow, std::int64_t c) {
  const at::Tensor component = flow.select(1, c);
  std::array<at::Tensor, 3> out = {slope(component, 1), slope(component, 2), slope(component, 3)};
  out[static_cast<std::size_t>(c)].add_(1.0);
  return out;
}

}  // namespace

at::Tensor jacobian_determinant(const at::Tensor& flow) {
  check_field("jacobian", flow, 2);
  const auto a = row(flow, 0);
  const auto b = row(flow, 1);
  const auto c = row(flow, 2);
  const auto minor = [&](std::size_t p, std::size_t q) { return b[p].mul(c[q]).sub_(b[q].mul(c[p])); };
  return minor(1, 2).mul_(a[0]).sub_(minor(0, 2).mul_(a[1])).add_(minor(0, 1).mul_(a[2]));
}

std::optional<PendingNumbers> pending_jacobian(const PairState& pair,
                                               std::function<Measured(const double* sums)> read) {
  if (pair.backend != Backend::kFast || !fast::has_jacobian_sums(pair)) {
    return std::nullopt;
  }
  const kernels::JacobianLog log = {kLogMargin, kLeastDeterminant, kMostDeterminant, kLearn2RegShift};
  return PendingNumbers{
      "jacobian", [pair, log] { return fast::jacobian_sums(pair, log); },
      [read = std::move(read)](const at::Tensor& numbers) { return read(numbers.const_data_ptr<double>()); }};
}

void check_mask(const char* who, const at::Tensor& mask, const at::Tensor& flow) {
  const bool fits = !mask.defined() || (mask.dim() == 5 && mask.size(0) == 1 && mask.size(1) == 1 &&
                                        flow.size(0) == 1 && mask.sizes().slice(2) == flow.sizes().slice(2));
  REGATTA_REQUIRE(fits, DataError, who, ": mask ", shape_text(mask), ", field ", shape_text(flow),
                  ", expected [1, 1, D, H, W] and [1, 3, D, H, W]");
}

at::Tensor without_border(const at::Tensor& volume, std::int64_t margin) {
  at::Tensor inside = volume;
  for (std::int64_t axis = volume.dim() - 3; axis < volume.dim(); ++axis) {
    inside = inside.narrow(axis, margin, volume.size(axis) - 2 * margin);
  }
  return inside;
}

}  // namespace regatta
