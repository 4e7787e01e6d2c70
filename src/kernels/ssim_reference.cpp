#include "regatta/kernels/ssim.hpp"

#include <algorithm>

#include "kernels/ssim_form.hpp"

namespace regatta::kernels {
namespace {

using Volume = std::vector<double>;

Volume along(const Volume& in, std::int64_t length, std::int64_t inner) {
  static const auto weights = ssim_weights();
  Volume out(in.size());
  for (std::int64_t i = 0; i < static_cast<std::int64_t>(in.size()); ++i) {
    const std::int64_t p = i / inner % length;
    for (std::int64_t q = std::max<std::int64_t>(p - kSsimReach, 0); q <= std::min(p + kSsimReach, length - 1); ++q) {
      out[static_cast<std::size_t>(i)] +=
          weights[static_cast<std::size_t>(q - p + kSsimReach)] * in[static_cast<std::size_t>(i + (q - p) * inner)];
    }
  }
  return out;
}

/// Gaussian means, zeros outside: its own adjoint.
Volume smoothed(const Volume& in, const VolumeSize& size) {
  return along(along(along(in, size.w, 1), size.h, size.w), size.d, size.plane());
}

}  // namespace

double ssim_reference(const SsimPair& pair, std::vector<double>* to_warped) {
  const auto count = static_cast<std::size_t>(pair.size.all());
  const Volume fixed(pair.fixed, pair.fixed + count);
  const Volume warped(pair.warped, pair.warped + count);
  Volume products(count);
  Volume squares(count);
  for (std::size_t i = 0; i < count; ++i) {
    products[i] = fixed[i] * warped[i];
    squares[i] = fixed[i] * fixed[i] + warped[i] * warped[i];
  }
  const Volume fixed_mean = smoothed(fixed, pair.size);
  const Volume warped_mean = smoothed(warped, pair.size);
  const Volume product_mean = smoothed(products, pair.size);
  const Volume square_mean = smoothed(squares, pair.size);
  Volume to_mean(count);
  Volume to_square(count);
  Volume to_product(count);
  double sum = 0.0;
  for (std::size_t i = 0; i < count; ++i) {
    const double product = fixed_mean[i] * warped_mean[i];
    const double square = fixed_mean[i] * fixed_mean[i] + warped_mean[i] * warped_mean[i];
    const double a1 = 2.0 * product + kSsimC1;
    const double a2 = 2.0 * (product_mean[i] - product) + kSsimC2;
    const double b1 = square + kSsimC1;
    const double b2 = square_mean[i] - square + kSsimC2;
    const double similarity = a1 * a2 / (b1 * b2);
    sum += similarity;
    to_product[i] = 2.0 * a1 / (b1 * b2);
    to_square[i] = -similarity / b2;
    to_mean[i] =
        2.0 * (a2 - a1) / (b1 * b2) * fixed_mean[i] - 2.0 * similarity * (1.0 / b1 - 1.0 / b2) * warped_mean[i];
  }
  if (to_warped != nullptr) {
    const Volume means = smoothed(to_mean, pair.size);
    const Volume of_squares = smoothed(to_square, pair.size);
    const Volume of_products = smoothed(to_product, pair.size);
    to_warped->resize(count);
    for (std::size_t i = 0; i < count; ++i) {
      (*to_warped)[i] =
          -(means[i] + 2.0 * warped[i] * of_squares[i] + fixed[i] * of_products[i]) / static_cast<double>(count);
    }
  }
  return 1.0 - sum / static_cast<double>(count);
}

std::size_t ssim_scratch_bytes(const VolumeSize& size) {
  const SsimGrid grid = ssim_grid(size);
  return static_cast<std::size_t>(grid.x * grid.y * grid.z) * sizeof(double);
}

std::size_t ssim_coefficient_count(const VolumeSize& size) {
  return 3 * static_cast<std::size_t>(size.all());
}

}  // namespace regatta::kernels
