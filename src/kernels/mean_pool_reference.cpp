#include "regatta/kernels/mean_pool.hpp"

namespace regatta::kernels {
namespace {

/// Calls visit(output element, input element) for each of a mean's eight.
template <class Visit>
void visit_pairs(const MeanPoolShape& shape, Visit visit) {
  const VolumeSize& from = shape.size;
  const VolumeSize to = shape.output_size();
  for (std::int64_t i = 0; i < to.all() * shape.channels; ++i) {
    const std::int64_t o = i / shape.channels;
    for (std::int64_t k = 0; k < 8; ++k) {
      const std::int64_t d = 2 * (o / to.plane() % to.d) + k / 4;
      const std::int64_t h = 2 * (o / to.w % to.h) + k / 2 % 2;
      const std::int64_t w = 2 * (o % to.w) + k % 2;
      const std::int64_t voxel = ((o / to.voxels() * from.d + d) * from.h + h) * from.w + w;
      visit(static_cast<std::size_t>(i), static_cast<std::size_t>(voxel * shape.channels + i % shape.channels));
    }
  }
}

}  // namespace

std::vector<double> mean_pool_reference(const MeanPoolShape& shape, const Bf16* in) {
  std::vector<double> out(static_cast<std::size_t>(shape.output_size().all() * shape.channels));
  visit_pairs(shape, [&](std::size_t o, std::size_t i) { out[o] += 0.125 * to_float(in[i]); });
  return out;
}

std::vector<double> mean_pool_gradient_reference(const MeanPoolShape& shape, const Bf16* output_gradient) {
  std::vector<double> gradient(static_cast<std::size_t>(shape.size.all() * shape.channels));
  visit_pairs(shape, [&](std::size_t o, std::size_t i) { gradient[i] = 0.125 * to_float(output_gradient[o]); });
  return gradient;
}

}  // namespace regatta::kernels
