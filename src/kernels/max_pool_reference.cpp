#include "regatta/kernels/max_pool.hpp"

#include <cmath>

namespace regatta::kernels {
namespace {

/// Calls visit(output element, input element of its maximum).
template <class Visit>
void visit_maxima(const MaxPoolShape& shape, const Bf16* in, Visit visit) {
  const VolumeSize& from = shape.size;
  const VolumeSize to = shape.output_size();
  for (std::int64_t i = 0; i < to.all() * shape.channels; ++i) {
    const std::int64_t o = i / shape.channels;
    std::int64_t chosen = -1;
    for (std::int64_t k = 0; k < 8; ++k) {
      const std::int64_t d = 2 * (o / to.plane() % to.d) + k / 4;
      const std::int64_t h = 2 * (o / to.w % to.h) + k / 2 % 2;
      const std::int64_t w = 2 * (o % to.w) + k % 2;
      const std::int64_t at =
          (((o / to.voxels() * from.d + d) * from.h + h) * from.w + w) * shape.channels + i % shape.channels;
      if (chosen < 0 || to_float(in[at]) > to_float(in[chosen]) || std::isnan(to_float(in[at]))) {
        chosen = at;
      }
    }
    visit(static_cast<std::size_t>(i), static_cast<std::size_t>(chosen));
  }
}

}  // namespace

std::vector<float> max_pool_reference(const MaxPoolShape& shape, const Bf16* in) {
  std::vector<float> out(static_cast<std::size_t>(shape.output_size().all() * shape.channels));
  visit_maxima(shape, in, [&](std::size_t o, std::size_t i) { out[o] = to_float(in[i]); });
  return out;
}

std::vector<double> max_pool_gradient_reference(const MaxPoolShape& shape, const MaxPoolBackward& arrays) {
  std::vector<double> gradient(static_cast<std::size_t>(shape.size.all() * shape.channels));
  for (std::size_t i = 0; arrays.others != nullptr && i < gradient.size(); ++i) {
    gradient[i] = to_float(arrays.others[i]);
  }
  visit_maxima(shape, arrays.in, [&](std::size_t o, std::size_t i) {
    const double derivative = to_float(arrays.in[i]) > 0.0F ? 1.0 : static_cast<double>(arrays.slope);
    gradient[i] += derivative * to_float(arrays.output_gradient[o]);
  });
  return gradient;
}

}  // namespace regatta::kernels
