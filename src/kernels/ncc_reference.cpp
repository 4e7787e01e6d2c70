#include <algorithm>
#include <cmath>
#include <cstddef>

#include "kernels/ncc_form.hpp"
#include "regatta/kernels/ncc.hpp"

namespace regatta::kernels {
namespace {

using Volume = std::vector<double>;

/// The sum over the window around each voxel along one axis, 0 outside.
Volume sum_axis(const Volume& in, std::int64_t outer, std::int64_t length, std::int64_t inner, int radius) {
  Volume out(in.size());
  for (std::int64_t o = 0; o < outer; ++o) {
    for (std::int64_t p = 0; p < length; ++p) {
      double* to = out.data() + (o * length + p) * inner;
      for (std::int64_t q = std::max<std::int64_t>(p - radius, 0); q <= std::min(p + radius, length - 1); ++q) {
        const double* from = in.data() + (o * length + q) * inner;
        for (std::int64_t i = 0; i < inner; ++i) {
          to[i] += from[i];
        }
      }
    }
  }
  return out;
}

Volume box(const Volume& in, const VolumeSize& size, int radius) {
  const Volume along_w = sum_axis(in, size.n * size.d * size.h, size.w, 1, radius);
  const Volume along_h = sum_axis(along_w, size.n * size.d, size.h, size.w, radius);
  return sum_axis(along_h, size.n, size.d, size.plane(), radius);
}

Volume product(const Volume& a, const Volume& b) {
  Volume out(a.size());
  for (std::size_t i = 0; i < a.size(); ++i) {
    out[i] = a[i] * b[i];
  }
  return out;
}

}  // namespace

double ncc_reference(const std::vector<double>& fixed, const std::vector<double>& warped, const VolumeSize& size,
                     int window, double weight, std::vector<double>* to_warped, NccForm form,
                     const std::vector<std::uint8_t>& mask) {
  const int radius = window / 2;
  const double n = std::pow(window, 3);
  const Volume fixed_sum = box(fixed, size, radius);
  const Volume warped_sum = box(warped, size, radius);
  const Volume fixed_squares = box(product(fixed, fixed), size, radius);
  const Volume warped_squares = box(product(warped, warped), size, radius);
  const Volume products = box(product(fixed, warped), size, radius);
  Volume a(fixed.size());  // derivative with respect to cross
  Volume b(fixed.size());  // twice that with respect to the warped image's variance
  Volume means(fixed.size());
  double sum = 0.0;
  for (std::size_t i = 0; i < fixed.size(); ++i) {
    if (!mask.empty() && mask[i] == 0) {
      continue;
    }
    double fixed_variance = fixed_squares[i] - fixed_sum[i] * fixed_sum[i] / n;
    double warped_variance = warped_squares[i] - warped_sum[i] * warped_sum[i] / n;
    double cross = products[i] - fixed_sum[i] * warped_sum[i] / n;
    bool cross_counts = true;  // whether the derivative with respect to it is not held at 0
    bool variance_counts = true;
    double below = fixed_variance * warped_variance + kNccFloor;
    if (form == NccForm::kMeans) {
      const double least = kNccEpsilon * n * n;
      variance_counts = fixed_variance * warped_variance >= least;
      below = std::max(fixed_variance * warped_variance, least);
    } else if (form == NccForm::kClamped) {
      cross_counts = cross >= kNccFloor;
      variance_counts = warped_variance >= kNccFloor;
      cross = std::max(cross, kNccFloor);
      fixed_variance = std::max(fixed_variance, kNccFloor);
      warped_variance = std::max(warped_variance, kNccFloor);
      below = fixed_variance * warped_variance;
    }
    const double squared = cross * cross / below;
    sum += squared;
    a[i] = cross_counts ? 2.0 * cross / below : 0.0;
    b[i] = variance_counts ? -2.0 * squared * fixed_variance / below : 0.0;
    means[i] = (a[i] * fixed_sum[i] + b[i] * warped_sum[i]) / n;
  }
  const double share = weight / static_cast<double>(fixed.size());
  if (to_warped != nullptr) {
    const Volume all_a = box(a, size, radius);
    const Volume all_b = box(b, size, radius);
    const Volume all_means = box(means, size, radius);
    to_warped->resize(fixed.size());
    for (std::size_t i = 0; i < fixed.size(); ++i) {
      (*to_warped)[i] = share * (fixed[i] * all_a[i] + warped[i] * all_b[i] - all_means[i]);
    }
  }
  return share * sum;
}

std::size_t ncc_coefficient_count(const VolumeSize& size) {
  return 3 * static_cast<std::size_t>(size.all());
}

std::size_t ncc_scratch_bytes(const Capability& chip) {
  return static_cast<std::size_t>(chip.multiprocessors) * sizeof(double);
}

bool ncc_has_form(int window, FixedImage type, const Capability& chip) {
  if (!chip.usable() || window % 2 == 0 || window < 3 || window > 11) {
    return false;
  }
  const int radius = window / 2;
  const NccTile tile = ncc_tile(radius);
  return chip.shared_bytes >=
         std::max(ncc_forward_shared_bytes(tile, ncc_words(radius, type)), ncc_backward_shared_bytes(tile));
}

}  // namespace regatta::kernels
