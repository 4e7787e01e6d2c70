#include "nn/local_correlation.hpp"

#include <optional>

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/conv3d.h>
#include <ATen/ops/ones.h>

#include "nn/box_sum.hpp"
#include "nn/known_gradient.hpp"
#include "nn/shapes.hpp"

namespace regatta {
namespace {

constexpr double kFloor = 1e-5;  // of the product of variances, which are sums: the reference's number

/// What the derivative needs of one voxel's window, all [N, D, H, W] float64.
struct Windows {
  at::Tensor fixed_sum;
  at::Tensor warped_sum;
  at::Tensor fixed_variance;   ///< sum of squared deviations
  at::Tensor warped_variance;
  at::Tensor cross;            ///< sum of products of deviations
};

at::Tensor deviation(const at::Tensor& product_sum, const at::Tensor& sum_a, const at::Tensor& sum_b, double count) {
  return product_sum.addcmul(sum_a, sum_b, -1.0 / count);
}

Windows window_sums(const at::Tensor& fixed, const at::Tensor& warped, std::int64_t window) {
  const double count = static_cast<double>(window * window * window);
  const at::Tensor i = pad_for_box(fixed, window);
  const at::Tensor j = pad_for_box(warped, window);
  Windows out;
  out.fixed_sum = box_sum(i, window);
  out.warped_sum = box_sum(j, window);
  out.fixed_variance = deviation(box_sum(i * i, window), out.fixed_sum, out.fixed_sum, count);
  out.warped_variance = deviation(box_sum(j * j, window), out.warped_sum, out.warped_sum, count);
  out.cross = deviation(box_sum(i * j, window), out.fixed_sum, out.warped_sum, count);
  return out;
}

/// One image of the pair, as the derivative with respect to it sees the two.
struct Side {
  const at::Tensor& own;
  const at::Tensor& other;
  const at::Tensor& own_sum;
  const at::Tensor& other_sum;
  const at::Tensor& other_variance;
};

/// d(mean correlation) / d(own) at p. With a = 2 cross / product and b = -2 cross^2 other_variance / product^2, summed over
/// the windows q that contain p: sum a(q) (other(p) - other_mean(q)) + b(q) (own(p) - own_mean(q)).
at::Tensor derivative(const Side& side, const at::Tensor& cross, const at::Tensor& product, std::int64_t window) {
  const double count = static_cast<double>(window * window * window);
  const at::Tensor a = cross.div(product).mul_(2.0);
  const at::Tensor b = a.mul(cross).mul_(side.other_variance).div_(product).neg_();
  const at::Tensor means = a.mul(side.other_sum).addcmul_(b, side.own_sum).div_(count);
  const at::Tensor total = box_sum(pad_for_box(a, window), window)
                               .mul(side.other)
                               .addcmul_(box_sum(pad_for_box(b, window), window), side.own)
                               .sub_(box_sum(pad_for_box(means, window), window));
  return total.div_(static_cast<double>(total.numel()));
}

at::Tensor all_ones(const at::Tensor& like, std::int64_t window) {
  return at::ones({1, 1, window, window, window}, like.options());
}

}  // namespace

at::Tensor local_correlation(const at::Tensor& fixed, const at::Tensor& warped, std::int64_t window) {
  check_image_pair("ncc", fixed, warped);
  at::Tensor value;
  at::Tensor to_fixed;
  at::Tensor to_warped;
  {
    const bool fixed_asks = needs_gradient(fixed);
    const bool warped_asks = needs_gradient(warped);
    const at::NoGradGuard no_grad;
    const at::Tensor i = fixed.squeeze(1).to(at::kDouble);   // [N, D, H, W]
    const at::Tensor j = warped.squeeze(1).to(at::kDouble);  // [N, D, H, W]
    const Windows sums = window_sums(i, j, window);
    const at::Tensor product = sums.fixed_variance.mul(sums.warped_variance).add_(kFloor);
    value = sums.cross.square().div_(product).mean().to(warped.scalar_type());
    if (warped_asks) {
      const Side side{j, i, sums.warped_sum, sums.fixed_sum, sums.fixed_variance};
      to_warped = derivative(side, sums.cross, product, window).to(warped.scalar_type()).unsqueeze(1);
    }
    if (fixed_asks) {
      const Side side{i, j, sums.fixed_sum, sums.warped_sum, sums.warped_variance};
      to_fixed = derivative(side, sums.cross, product, window).to(fixed.scalar_type()).unsqueeze(1);
    }
  }
  if (to_warped.defined()) {
    value = with_gradient(value, warped, to_warped);
  }
  return to_fixed.defined() ? with_gradient(value, fixed, to_fixed) : value;
}

at::Tensor local_correlation_dense(const at::Tensor& fixed, const at::Tensor& warped, std::int64_t window) {
  check_image_pair("ncc", fixed, warped);
  const double count = static_cast<double>(window * window * window);
  const at::Tensor ones = all_ones(fixed, window);
  const auto sum = [&](const at::Tensor& volume) { return at::conv3d(volume, ones, {}, 1, window / 2); };
  const at::Tensor fixed_sum = sum(fixed);
  const at::Tensor warped_sum = sum(warped);
  const at::Tensor fixed_variance = sum(fixed * fixed) - fixed_sum * fixed_sum / count;
  const at::Tensor warped_variance = sum(warped * warped) - warped_sum * warped_sum / count;
  const at::Tensor cross = sum(fixed * warped) - fixed_sum * warped_sum / count;
  return (cross * cross / (fixed_variance * warped_variance + kFloor)).mean();
}

}  // namespace regatta
