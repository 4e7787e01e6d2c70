#include "regatta/kernels/resize.hpp"

#include <algorithm>
#include <cmath>

namespace regatta::kernels {
namespace {

/// The two inputs of one axis that an output reads, and their weights.
struct Pair {
  std::array<std::int64_t, 2> index;
  std::array<double, 2> weight;
};

Pair pair_of(std::int64_t output, std::int64_t in, std::int64_t out, bool align_corners) {
  const auto o = static_cast<double>(output);
  double point = (o + 0.5) * static_cast<double>(in) / static_cast<double>(out) - 0.5;
  if (align_corners) {
    point = out > 1 ? o * static_cast<double>(in - 1) / static_cast<double>(out - 1) : 0.0;
  }
  point = std::clamp(point, 0.0, static_cast<double>(in - 1));
  const auto lower = static_cast<std::int64_t>(std::floor(point));
  const double fraction = point - std::floor(point);
  return {{lower, std::min(lower + 1, in - 1)}, {1.0 - fraction, fraction}};
}

/// Calls visit(output element, input element, weight).
template <class Visit>
void visit_pairs(const Resize& r, Visit visit) {
  for (std::int64_t i = 0; i < 3 * r.to.all(); ++i) {
    const std::int64_t p = i % r.to.voxels();
    const std::int64_t field = i / r.to.voxels();
    const Pair d = pair_of(p / r.to.plane(), r.from.d, r.to.d, r.align_corners);
    const Pair h = pair_of(p / r.to.w % r.to.h, r.from.h, r.to.h, r.align_corners);
    const Pair w = pair_of(p % r.to.w, r.from.w, r.to.w, r.align_corners);
    for (std::size_t k = 0; k < 8; ++k) {
      const std::int64_t q = (d.index[k >> 2] * r.from.h + h.index[k >> 1 & 1]) * r.from.w + w.index[k & 1];
      visit(static_cast<std::size_t>(i), static_cast<std::size_t>(field * r.from.voxels() + q),
            d.weight[k >> 2] * h.weight[k >> 1 & 1] * w.weight[k & 1] * r.factors[static_cast<std::size_t>(field % 3)]);
    }
  }
}

}  // namespace

std::vector<double> resize_reference(const Resize& resize, const std::vector<double>& input) {
  std::vector<double> output(static_cast<std::size_t>(3 * resize.to.all()), 0.0);
  visit_pairs(resize, [&](std::size_t o, std::size_t i, double weight) { output[o] += weight * input[i]; });
  return output;
}

std::vector<double> resize_gradient_reference(const Resize& resize, const std::vector<double>& to_output) {
  std::vector<double> to_input(static_cast<std::size_t>(3 * resize.from.all()), 0.0);
  visit_pairs(resize, [&](std::size_t o, std::size_t i, double weight) { to_input[i] += weight * to_output[o]; });
  return to_input;
}

}  // namespace regatta::kernels
