#include "nn/ops/parzen.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/bmm.h>
#include <ATen/ops/linspace.h>
#include <ATen/ops/softmax.h>

namespace regatta {
namespace {

constexpr double kLogFloor = 1e-6;

/// Intensities moved to [0, 1], with the derivative of LibTorch's clamp (1 at both ends), whose operators do not run on
/// tensors without data.
at::Tensor in_range(const at::Tensor& intensities) {
  const at::Tensor values = intensities.detach();
  const at::Tensor inside = values.ge(0.0).mul(values.le(1.0));
  return values.clamp(0.0, 1.0) + (intensities - values) * inside;
}

/// Gaussian weights normalised over the bins are a softmax, which does not divide 0 by 0 for narrow windows.
/// @param intensities  [G, n]
/// @return [G, n, bins]
at::Tensor memberships(const at::Tensor& intensities, const ParzenOptions& options) {
  const at::Tensor centres = at::linspace(0.0, 1.0, options.bins, intensities.options());
  const double sigma = options.sigma_ratio / static_cast<double>(options.bins - 1);
  const at::Tensor distance = in_range(intensities).unsqueeze(-1) - centres;
  return at::softmax(distance.square().mul(-0.5 / (sigma * sigma)), -1);
}

}  // namespace

at::Tensor joint_histogram(const at::Tensor& samples, const ParzenOptions& options) {
  const at::Tensor first = memberships(samples.select(0, 0), options);
  return at::bmm(first.transpose(1, 2), memberships(samples.select(0, 1), options));
}

at::Tensor mutual_information(const at::Tensor& joint, std::int64_t count) {
  const at::Tensor p = joint / static_cast<double>(count);
  const at::Tensor independent = p.sum(2, true) * p.sum(1, true);
  return (p * (p / (independent + kLogFloor) + kLogFloor).log()).sum({1, 2});
}

}  // namespace regatta
