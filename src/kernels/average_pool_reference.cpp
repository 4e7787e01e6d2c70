#include "regatta/kernels/average_pool.hpp"

namespace regatta::kernels {

std::vector<double> average_pool_reference(const VolumeSize& size, const Bf16* pair) {
  const VolumeSize to = average_pool_size(size);
  std::vector<double> out(static_cast<std::size_t>(2 * to.all()));
  for (std::int64_t i = 0; i < 2 * to.all(); ++i) {
    const std::int64_t o = i / 2;
    double sum = 0.0;
    for (std::int64_t k = 0; k < 27; ++k) {
      const std::int64_t d = 2 * (o / to.plane() % to.d) - 1 + k / 9;
      const std::int64_t h = 2 * (o / to.w % to.h) - 1 + k / 3 % 3;
      const std::int64_t w = 2 * (o % to.w) - 1 + k % 3;
      if (d >= 0 && d < size.d && h >= 0 && h < size.h && w >= 0 && w < size.w) {
        sum += to_float(pair[2 * (((o / to.voxels() * size.d + d) * size.h + h) * size.w + w) + i % 2]);
      }
    }
    out[static_cast<std::size_t>(i)] = sum / 27.0;
  }
  return out;
}

}  // namespace regatta::kernels
