#include "nn/layers/band_limited.hpp"

#include <algorithm>
#include <numbers>

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cos.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/outer.h>
#include <ATen/ops/sin.h>

#include "regatta/base/error.hpp"
#include "regatta/nn/forms.hpp"

namespace regatta {
namespace {

/// Angles 2 pi k i / size, [i, k] in double precision: k of a band of frequencies around 0.
at::Tensor angles(std::int64_t size, std::int64_t band) {
  const at::TensorOptions integers = at::TensorOptions().dtype(at::kLong);
  const at::Tensor turns = at::outer(at::arange(size, integers), at::arange(-band / 2, band / 2, integers));
  return turns.remainder(size).to(at::kDouble).mul(2.0 * std::numbers::pi / static_cast<double>(size));
}

/// `input` times `matrix` along one axis of five.
at::Tensor along(const at::Tensor& input, std::int64_t axis, const at::Tensor& matrix) {
  return at::matmul(input.transpose(axis, 4), matrix).transpose(axis, 4);
}

}  // namespace

const BandLimitedResize::Matrices& BandLimitedResize::matrices(std::int64_t in, std::int64_t out,
                                                               const at::Tensor& like) const {
  const auto key = std::make_tuple(in, out, like.device().str(), static_cast<int>(like.scalar_type()));
  const auto found = made_.find(key);
  if (found != made_.end()) {
    return found->second;
  }
  const at::NoGradGuard no_grad;
  const std::int64_t band = std::min(in, out);
  const at::Tensor from = angles(in, band);
  const at::Tensor to = angles(out, band).t();  // [k, out]
  const double scale = 1.0 / static_cast<double>(out);
  const at::Tensor real = at::matmul(from.cos(), to.cos()) + at::matmul(from.sin(), to.sin());
  const at::Tensor imaginary = at::matmul(from.cos(), to.sin()) - at::matmul(from.sin(), to.cos());
  const auto placed = [&](const at::Tensor& matrix) { return matrix.mul(scale).to(like.device(), like.scalar_type()); };
  return made_.emplace(key, Matrices{placed(real), placed(imaginary)}).first->second;
}

at::Tensor BandLimitedResize::operator()(const at::Tensor& input, const std::array<std::int64_t, 3>& size) const {
  REGATTA_REQUIRE(input.dim() == 5, BugError, "band-limited resampling of ", input.dim(), " dimensions, expected 5");
  for (std::int64_t axis = 2; axis < 5; ++axis) {
    const std::int64_t out = size[static_cast<std::size_t>(axis) - 2];
    REGATTA_REQUIRE(input.size(axis) % 2 == 0 && out % 2 == 0 && input.size(axis) > 0 && out > 0, BugError,
                    "band-limited resampling of size ", input.size(axis), " to ", out, ", expected even sizes");
  }
  const StepPart part(Form::kReference, "band-limited resampling");
  // Along W, H, D. The volume is real at first, and of the last product only the real part is wanted.
  const Matrices& w = matrices(input.size(4), size[2], input);
  const Matrices& h = matrices(input.size(3), size[1], input);
  const Matrices& d = matrices(input.size(2), size[0], input);
  const at::Tensor real_w = along(input, 4, w.real);
  const at::Tensor imaginary_w = along(input, 4, w.imaginary);
  const at::Tensor real_h = along(real_w, 3, h.real) - along(imaginary_w, 3, h.imaginary);
  const at::Tensor imaginary_h = along(real_w, 3, h.imaginary) + along(imaginary_w, 3, h.real);
  return (along(real_h, 2, d.real) - along(imaginary_h, 2, d.imaginary)).contiguous();
}

}  // namespace regatta
