#include "regatta/kernels/upsample.hpp"

#include <algorithm>
#include <array>
#include <cmath>

namespace regatta::kernels {
namespace {

/// The two inputs of one axis that an output reads, and their weights: those of the point (output + 0.5) / 2 - 0.5, or
/// of output (in - 1) / (2 in - 1).
struct Pair {
  std::array<std::int64_t, 2> index;
  std::array<double, 2> weight;
};

Pair pair_of(std::int64_t output, std::int64_t in, bool align_corners) {
  const auto o = static_cast<double>(output);
  const double point = align_corners ? o * static_cast<double>(in - 1) / static_cast<double>(2 * in - 1)
                                     : std::max((o + 0.5) / 2.0 - 0.5, 0.0);
  const auto lower = static_cast<std::int64_t>(std::floor(point));
  const double fraction = point - std::floor(point);
  return {{lower, std::min(lower + 1, in - 1)}, {1.0 - fraction, fraction}};
}

/// Calls visit(output element, input element, weight).
template <class Visit>
void visit_pairs(const UpsampleShape& shape, Visit visit) {
  const VolumeSize& from = shape.size;
  const VolumeSize to = shape.output_size();
  for (std::int64_t o = 0; o < to.all(); ++o) {
    const Pair d = pair_of(o / to.plane() % to.d, from.d, shape.align_corners);
    const Pair h = pair_of(o / to.w % to.h, from.h, shape.align_corners);
    const Pair w = pair_of(o % to.w, from.w, shape.align_corners);
    for (std::size_t k = 0; k < 8; ++k) {
      const std::int64_t i =
          ((o / to.voxels() * from.d + d.index[k >> 2]) * from.h + h.index[k >> 1 & 1]) * from.w + w.index[k & 1];
      const double weight = d.weight[k >> 2] * h.weight[k >> 1 & 1] * w.weight[k & 1];
      for (std::int64_t c = 0; c < shape.channels; ++c) {
        visit(static_cast<std::size_t>(o * shape.channels + c), static_cast<std::size_t>(i * shape.channels + c),
              weight);
      }
    }
  }
}

}  // namespace

std::vector<double> upsample_reference(const UpsampleShape& shape, const std::vector<double>& in) {
  std::vector<double> out(8 * in.size());
  visit_pairs(shape, [&](std::size_t o, std::size_t i, double weight) { out[o] += weight * in[i]; });
  return out;
}

std::vector<double> upsample_gradient_reference(const UpsampleShape& shape,
                                                const std::vector<double>& output_gradient) {
  std::vector<double> gradient(output_gradient.size() / 8);
  visit_pairs(shape, [&](std::size_t o, std::size_t i, double weight) { gradient[i] += weight * output_gradient[o]; });
  return gradient;
}

}  // namespace regatta::kernels
