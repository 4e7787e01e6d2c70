#include "nn/ops/local_correlation.hpp"

#include <algorithm>
#include <optional>

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/conv3d.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/full.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>

#include "nn/known_gradient.hpp"
#include "nn/ops/box_sum.hpp"
#include "nn/shapes.hpp"

namespace regatta {
namespace {

constexpr double kFloor = 1e-5;  // of the product of variances, which are sums: the reference's number
constexpr double kEpsilon = 1.1920928955078125e-07;  // of float32: the floor of products of variances that are means
constexpr std::int64_t kSlabVoxels = std::int64_t{1} << 20;

/// Volumes of float64 with the border that `box_sum` wants. Slabs along D are views of them.
struct PaddedPair {
  at::Tensor fixed;
  at::Tensor warped;
};

/// What the derivative needs of the windows of one slab, all [N, planes, H, W] float64.
struct Windows {
  at::Tensor fixed_sum;
  at::Tensor warped_sum;
  at::Tensor fixed_variance;  ///< sum of squared deviations
  at::Tensor warped_variance;
  at::Tensor cross;  ///< sum of products of deviations
};

/// The derivative with respect to one image, in two passes. With a the derivative with respect to cross and b twice
/// that with respect to the image's variance, it is at p, summed over the windows q that contain p: a(q) (other(p) -
/// other_mean(q)) + b(q) (own(p) - own_mean(q)). Windows outside the mask have a and b 0.
struct Derivative {
  at::Tensor a;
  at::Tensor b;
  at::Tensor means;   ///< a other_mean + b own_mean; these three padded, float64
  at::Tensor result;  ///< [N, 1, D, H, W], of the image's type
};

/// How many planes are worked on at once. On the CPU temporaries stay small enough to be reused by the allocator and
/// near the cache (whole volumes took four times as long, most of it in page faults); a GPU takes all at once.
std::int64_t slab_planes(const at::Tensor& padded, std::int64_t window, std::int64_t planes) {
  if (!padded.is_cpu()) {
    return planes;
  }
  const std::int64_t plane = padded.size(0) * padded.size(2) * padded.size(3);
  return std::clamp(kSlabVoxels / plane - window + 1, std::min(window, planes), planes);
}

/// The planes of a padded volume that the windows of `count` planes from `first` reach.
at::Tensor reach(const at::Tensor& padded, std::int64_t first, std::int64_t count, std::int64_t window) {
  return padded.narrow(1, first, count + window - 1);
}

/// The part of a padded volume that lies inside its border, some planes of it.
at::Tensor inside(const at::Tensor& padded, std::int64_t first, std::int64_t count, std::int64_t window) {
  const std::int64_t border = window / 2;
  return padded.narrow(1, first + border, count)
      .narrow(2, border, padded.size(2) - window + 1)
      .narrow(3, border, padded.size(3) - window + 1);
}

at::Tensor deviation(const at::Tensor& product_sum, const at::Tensor& sum_a, const at::Tensor& sum_b, double count) {
  return product_sum.addcmul(sum_a, sum_b, -1.0 / count);
}

Windows window_sums(const at::Tensor& i, const at::Tensor& j, std::int64_t window) {
  const double count = static_cast<double>(window * window * window);
  Windows out;
  out.fixed_sum = box_sum(i, window);
  out.warped_sum = box_sum(j, window);
  out.fixed_variance = deviation(box_sum(i * i, window), out.fixed_sum, out.fixed_sum, count);
  out.warped_variance = deviation(box_sum(j * j, window), out.warped_sum, out.warped_sum, count);
  out.cross = deviation(box_sum(i * j, window), out.fixed_sum, out.warped_sum, count);
  return out;
}

Derivative empty_derivative(const at::Tensor& image, const at::Tensor& padded) {
  return {at::zeros_like(padded), at::zeros_like(padded), at::zeros_like(padded),
          at::empty_like(image, at::MemoryFormat::Contiguous)};
}

/// The squared correlation of each window and what of its derivative both images share, all [N, planes, H, W] float64.
struct Squared {
  at::Tensor value;
  at::Tensor to_cross;            ///< d value / d cross
  at::Tensor to_fixed_variance;   ///< twice d value / d fixed_variance
  at::Tensor to_warped_variance;  ///< twice d value / d warped_variance
};

/// @param gradients  false: `value` only
Squared squared(const Windows& w, CorrelationForm form, double count, bool gradients) {
  const bool clamped = form == CorrelationForm::kClamped;
  const at::Tensor cross = clamped ? w.cross.clamp_min(kFloor) : w.cross;
  const at::Tensor fixed = clamped ? w.fixed_variance.clamp_min(kFloor) : w.fixed_variance;
  const at::Tensor warped = clamped ? w.warped_variance.clamp_min(kFloor) : w.warped_variance;
  const at::Tensor raw = fixed.mul(warped);
  const double least = kEpsilon * count * count;
  const at::Tensor product = form == CorrelationForm::kSums    ? raw.add(kFloor)
                             : form == CorrelationForm::kMeans ? raw.clamp_min(least)
                                                               : raw;
  Squared out;
  out.value = cross.square().div_(product);
  if (gradients) {
    out.to_cross = cross.div(product).mul_(2.0);
    const at::Tensor to_product = out.to_cross.mul(cross).div_(product).neg_();  // twice the derivative
    if (form == CorrelationForm::kMeans) {
      to_product.mul_(raw.ge(least));
    }
    out.to_fixed_variance = to_product.mul(warped);
    out.to_warped_variance = to_product.mul(fixed);
    if (clamped) {
      out.to_cross.mul_(w.cross.ge(kFloor));
      out.to_fixed_variance.mul_(w.fixed_variance.ge(kFloor));
      out.to_warped_variance.mul_(w.warped_variance.ge(kFloor));
    }
  }
  return out;
}

/// Sums of one image's windows and of the other's, as the derivative with respect to the first sees them.
struct Sides {
  const at::Tensor& own_sum;
  const at::Tensor& other_sum;
};

void set_coefficients(Derivative& d, const Sides& sides, const at::Tensor& a, const at::Tensor& b, std::int64_t first,
                      std::int64_t window) {
  const double count = static_cast<double>(window * window * window);
  const std::int64_t planes = a.size(1);
  inside(d.a, first, planes, window).copy_(a);
  inside(d.b, first, planes, window).copy_(b);
  inside(d.means, first, planes, window).copy_(a.mul(sides.other_sum).addcmul_(b, sides.own_sum).div_(count));
}

void set_result(Derivative& d, const at::Tensor& own, const at::Tensor& other, std::int64_t first, std::int64_t planes,
                std::int64_t window, const at::Tensor& voxels) {
  const auto box = [&](const at::Tensor& padded) { return box_sum(reach(padded, first, planes, window), window); };
  const at::Tensor total = box(d.a)
                               .mul(inside(other, first, planes, window))
                               .addcmul_(box(d.b), inside(own, first, planes, window))
                               .sub_(box(d.means));
  d.result.select(1, 0).narrow(1, first, planes).copy_(total.div_(voxels));
}

/// Calls body(first plane, planes) for every slab of D.
template <class Body>
void for_each_slab(std::int64_t size, std::int64_t slab, Body body) {
  for (std::int64_t first = 0; first < size; first += slab) {
    body(first, std::min(slab, size - first));
  }
}

/// Of the mean: all voxels of the batch, or those of the mask. @param mask  [N, D, H, W] bool or undefined
at::Tensor voxel_count(const at::Tensor& volume, const at::Tensor& mask) {
  return mask.defined() ? mask.sum().to(at::kDouble).clamp_min_(1.0)
                        : at::full({}, static_cast<double>(volume.numel()), at::dtype(at::kDouble));
}

at::Tensor all_ones(const at::Tensor& like, std::int64_t window) {
  return at::ones({1, 1, window, window, window}, like.options());
}

}  // namespace

at::Tensor local_correlation(const at::Tensor& fixed, const at::Tensor& warped, const CorrelationOptions& options) {
  check_image_pair("ncc", fixed, warped);
  const std::int64_t window = options.window;
  const double count = static_cast<double>(window * window * window);
  std::optional<Derivative> to_fixed;
  std::optional<Derivative> to_warped;
  at::Tensor value;
  {
    const bool fixed_asks = needs_gradient(fixed);
    const bool warped_asks = needs_gradient(warped);
    const at::NoGradGuard no_grad;
    const PaddedPair pair{pad_for_box(fixed.select(1, 0), window), pad_for_box(warped.select(1, 0), window)};
    to_fixed = fixed_asks ? std::optional(empty_derivative(fixed, pair.fixed)) : std::nullopt;
    to_warped = warped_asks ? std::optional(empty_derivative(warped, pair.warped)) : std::nullopt;
    const std::int64_t size = fixed.size(2);
    const std::int64_t slab = slab_planes(pair.fixed, window, size);
    const at::Tensor mask = options.mask.defined() ? options.mask.select(1, 0).ne(0) : at::Tensor();
    const at::Tensor voxels = voxel_count(fixed, mask);
    at::Tensor sum = at::zeros({}, pair.fixed.options());
    for_each_slab(size, slab, [&](std::int64_t first, std::int64_t planes) {
      const Windows w =
          window_sums(reach(pair.fixed, first, planes, window), reach(pair.warped, first, planes, window), window);
      const Squared s = squared(w, options.form, count, to_fixed || to_warped);
      if (mask.defined()) {
        const at::Tensor counts = mask.narrow(1, first, planes);
        for (const at::Tensor& part : {s.value, s.to_cross, s.to_fixed_variance, s.to_warped_variance}) {
          if (part.defined()) {
            part.mul_(counts);
          }
        }
      }
      sum.add_(s.value.sum());
      if (to_fixed) {
        set_coefficients(*to_fixed, {w.fixed_sum, w.warped_sum}, s.to_cross, s.to_fixed_variance, first, window);
      }
      if (to_warped) {
        set_coefficients(*to_warped, {w.warped_sum, w.fixed_sum}, s.to_cross, s.to_warped_variance, first, window);
      }
    });
    for_each_slab(size, slab, [&](std::int64_t first, std::int64_t planes) {
      if (to_fixed) {
        set_result(*to_fixed, pair.fixed, pair.warped, first, planes, window, voxels);
      }
      if (to_warped) {
        set_result(*to_warped, pair.warped, pair.fixed, first, planes, window, voxels);
      }
    });
    value = sum.div_(voxels).to(warped.scalar_type());
  }
  if (to_fixed) {
    value = with_gradient(value, fixed, to_fixed->result);
  }
  return to_warped ? with_gradient(value, warped, to_warped->result) : value;
}

at::Tensor local_correlation_reference(const at::Tensor& fixed, const at::Tensor& warped,
                                       const CorrelationOptions& options) {
  check_image_pair("ncc", fixed, warped);
  const std::int64_t window = options.window;
  const double count = static_cast<double>(window * window * window);
  const at::Tensor ones = all_ones(fixed, window);
  const auto sum = [&](const at::Tensor& volume) { return at::conv3d(volume, ones, {}, 1, window / 2); };
  const at::Tensor fixed_sum = sum(fixed);
  const at::Tensor warped_sum = sum(warped);
  const at::Tensor fixed_variance = sum(fixed * fixed) - fixed_sum * fixed_sum / count;
  const at::Tensor warped_variance = sum(warped * warped) - warped_sum * warped_sum / count;
  const at::Tensor cross = sum(fixed * warped) - fixed_sum * warped_sum / count;
  at::Tensor squared;
  switch (options.form) {
    case CorrelationForm::kSums: squared = cross * cross / (fixed_variance * warped_variance + kFloor); break;
    case CorrelationForm::kMeans:
      squared = (cross / count).square() / (fixed_variance / count * (warped_variance / count)).clamp_min(kEpsilon);
      break;
    case CorrelationForm::kClamped: {
      const at::Tensor bounded = cross.clamp_min(kFloor);
      squared = bounded / fixed_variance.clamp_min(kFloor) * (bounded / warped_variance.clamp_min(kFloor));
      break;
    }
  }
  if (!options.mask.defined()) {
    return squared.mean();
  }
  const at::Tensor counts = options.mask.ne(0);
  return (squared * counts).sum() / counts.sum().clamp_min(1);
}

}  // namespace regatta
