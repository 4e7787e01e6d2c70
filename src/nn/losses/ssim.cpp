// One minus the mean structural similarity, windows being Gaussians of 11^3 voxels with standard deviation 1.5 and
// zeros outside. Source: "SSIM3D" of the TransMorph repository; Wang et al. 2004, for intensities in [0, 1].
#include <array>
#include <cmath>
#include <cstdlib>

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>

#include "nn/fast/image_losses.hpp"
#include "nn/known_gradient.hpp"
#include "nn/shapes.hpp"
#include "regatta/config/options.hpp"
#include "regatta/nn/forms.hpp"
#include "regatta/nn/loss.hpp"

namespace regatta::losses {
namespace {

constexpr std::int64_t kWindowReach = 5;  // voxels to each side
constexpr double kSigma = 1.5;
constexpr double kC1 = 0.01 * 0.01;
constexpr double kC2 = 0.03 * 0.03;

struct SsimOptions {
  template <class Self, class V>
  static void visit(Self&, V&&) {}
};

std::array<double, 2 * kWindowReach + 1> gaussian() {
  std::array<double, 2 * kWindowReach + 1> weights{};
  double sum = 0.0;
  for (std::int64_t i = -kWindowReach; i <= kWindowReach; ++i) {
    const double weight = std::exp(-static_cast<double>(i * i) / (2.0 * kSigma * kSigma));
    weights[static_cast<std::size_t>(i + kWindowReach)] = weight;
    sum += weight;
  }
  for (double& weight : weights) {
    weight /= sum;
  }
  return weights;
}

/// Gaussian mean around each voxel, zeros outside. Shifted additions, no convolution: those run in TF32 on a GPU. The
/// filter is its own adjoint.
at::Tensor smoothed(const at::Tensor& volume) {
  static const auto weights = gaussian();
  at::Tensor in = volume;
  for (std::int64_t axis = 2; axis < 5; ++axis) {
    const std::int64_t size = in.size(axis);
    at::Tensor out = in.mul(weights[kWindowReach]);
    for (std::int64_t i = -kWindowReach; i <= kWindowReach; ++i) {
      const std::int64_t length = size - std::abs(i);
      if (i != 0 && length > 0) {
        const std::int64_t first = std::max<std::int64_t>(0, -i);
        out.narrow(axis, first, length)
            .add_(in.narrow(axis, first + i, length), weights[static_cast<std::size_t>(i + kWindowReach)]);
      }
    }
    in = out;
  }
  return in;
}

/// Similarity is s = a1 a2 / (b1 b2), all [N, 1, D, H, W].
struct Windows {
  at::Tensor fixed_mean;
  at::Tensor warped_mean;
  at::Tensor a1;  ///< 2 mean_f mean_w + C1
  at::Tensor a2;  ///< 2 covariance + C2
  at::Tensor b1;  ///< mean_f^2 + mean_w^2 + C1
  at::Tensor b2;  ///< variance_f + variance_w + C2
};

Windows windows_of(const at::Tensor& fixed, const at::Tensor& warped) {
  Windows w;
  w.fixed_mean = smoothed(fixed);
  w.warped_mean = smoothed(warped);
  const at::Tensor product = w.fixed_mean.mul(w.warped_mean);
  w.a2 = smoothed(fixed.mul(warped)).sub_(product).mul_(2.0).add_(kC2);
  const at::Tensor squares = w.fixed_mean.square().addcmul_(w.warped_mean, w.warped_mean);
  w.b2 = smoothed(fixed.square().addcmul_(warped, warped)).sub_(squares).add_(kC2);
  w.a1 = product.mul(2.0).add_(kC1);
  w.b1 = squares.add(kC1);
  return w;
}

/// d sum(s) / d own. The windowed mean, mean square and mean product depend on a voxel through the filter.
at::Tensor gradient_of(const at::Tensor& own, const at::Tensor& other, const at::Tensor& own_mean,
                       const at::Tensor& other_mean, const Windows& w) {
  const at::Tensor scale = w.b1.mul(w.b2).reciprocal_();
  const at::Tensor similarity = w.a1.mul(w.a2).mul_(scale);
  const at::Tensor to_product = w.a1.mul(scale).mul_(2.0);
  const at::Tensor to_square = similarity.div(w.b2).neg_();
  const at::Tensor to_mean = w.a2.sub(w.a1).mul_(scale).mul_(other_mean).mul_(2.0);
  to_mean.addcmul_(similarity.mul(w.b1.reciprocal().sub_(w.b2.reciprocal())), own_mean, -2.0);
  at::Tensor gradient = smoothed(to_mean);
  gradient.addcmul_(smoothed(to_square), own, 2.0);
  return gradient.addcmul_(smoothed(to_product), other);
}

class Ssim final : public Loss {
 public:
  /// Closed-form derivative. Keeps a volume per image; transient memory: about 14 volumes. The fast form keeps five.
  at::Tensor value(const PairState& pair) const override {
    check_image_pair("ssim", pair.fixed, pair.warped);
    const bool fixed_asks = needs_gradient(pair.fixed);
    const bool is_fast = pair.backend == Backend::kFast && fast::has_ssim(pair.fixed, pair.warped);
    name_part(is_fast ? Form::kKernel : Form::kReference,
              pair.backend == Backend::kFast && fixed_asks ? "SSIM with gradients to both images" : "SSIM");
    if (is_fast) {
      return fast::ssim(pair.fixed, pair.warped);
    }
    const bool warped_asks = needs_gradient(pair.warped);
    at::Tensor value;
    at::Tensor to_fixed;
    at::Tensor to_warped;
    {
      const at::NoGradGuard no_grad;
      const Windows w = windows_of(pair.fixed, pair.warped);
      value = w.a1.mul(w.a2).div_(w.b1).div_(w.b2).mean().neg_().add_(1.0);
      const double share = -1.0 / static_cast<double>(pair.fixed.numel());
      if (fixed_asks) {
        to_fixed = gradient_of(pair.fixed, pair.warped, w.fixed_mean, w.warped_mean, w).mul_(share);
      }
      if (warped_asks) {
        to_warped = gradient_of(pair.warped, pair.fixed, w.warped_mean, w.fixed_mean, w).mul_(share);
      }
    }
    if (fixed_asks) {
      value = with_gradient(value, pair.fixed, to_fixed);
    }
    return warped_asks ? with_gradient(value, pair.warped, to_warped) : value;
  }

  Json options() const override { return write_options(SsimOptions{}); }
  Json options_identity() const override { return identity_of(SsimOptions{}); }
  std::vector<OptionRow> option_table() const override { return option_rows(SsimOptions{}); }
};

}  // namespace

std::unique_ptr<Loss> make_ssim(const Json& options) {
  SsimOptions none;
  read_options(options, none, "/losses/ssim/options");
  return std::make_unique<Ssim>();
}

}  // namespace regatta::losses
