#include "volume/grid/axis_resample.hpp"

#include <cmath>

namespace regatta {
namespace {

/// Weighted sum over the taps of the three axes.
float gather(const float* from, const std::array<std::int64_t, 3>& stride, const Taps& d, const Taps& h,
             const Taps& w) {
  double sum = 0.0;
  for (std::size_t a = 0; a < d.weights.size(); ++a) {
    const float* slice = from + (d.first + static_cast<std::int64_t>(a)) * stride[0];
    for (std::size_t b = 0; b < h.weights.size(); ++b) {
      const float* row = slice + (h.first + static_cast<std::int64_t>(b)) * stride[1] + w.first * stride[2];
      const double outer = double{d.weights[a]} * double{h.weights[b]};
      for (std::size_t c = 0; c < w.weights.size(); ++c) {
        sum += outer * double{w.weights[c]} * double{row[static_cast<std::int64_t>(c) * stride[2]]};
      }
    }
  }
  return static_cast<float>(sum);
}

}  // namespace

bool copies_voxels(const GridMap& map) {
  for (std::size_t axis = 0; axis < 3; ++axis) {
    if (std::abs(map.step[axis]) != 1.0 || map.start[axis] != std::floor(map.start[axis])) {
      return false;
    }
  }
  return true;
}

Inside inside_of(const GridMap& map) {
  Inside inside;
  for (std::size_t axis = 0; axis < 3; ++axis) {
    const std::int64_t count = map.source.shape[static_cast<std::size_t>(map.axis[axis])];
    const auto start = static_cast<std::int64_t>(map.start[axis]);
    const std::int64_t first = map.step[axis] > 0 ? -start : start - (count - 1);
    inside.begin[axis] = std::clamp<std::int64_t>(first, 0, map.packed.shape[axis]);
    inside.end[axis] = std::clamp<std::int64_t>(first + count, 0, map.packed.shape[axis]);
  }
  return inside;
}

std::vector<float> resample_linear(std::span<const float> from, const GridMap& map, float outside, int threads) {
  if (copies_voxels(map)) {
    return copy_voxels(from, map, outside, threads, [](float voxel) { return voxel; });
  }
  const std::array<std::vector<Taps>, 3> taps = {linear_taps(map, 0), linear_taps(map, 1), linear_taps(map, 2)};
  const std::array<std::int64_t, 3> stride = {source_stride(map, 0), source_stride(map, 1), source_stride(map, 2)};
  const Shape3& shape = map.packed.shape;
  std::vector<float> out(static_cast<std::size_t>(voxel_count(shape)), outside);
  parallel_for(shape[0], threads, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t d = begin; d < end; ++d) {
      float* to = out.data() + d * shape[1] * shape[2];
      for (const Taps& h : taps[1]) {
        for (const Taps& w : taps[2]) {
          const Taps& slice = taps[0][static_cast<std::size_t>(d)];
          if (!slice.weights.empty() && !h.weights.empty() && !w.weights.empty()) {
            *to = gather(from.data(), stride, slice, h, w);
          }
          ++to;
        }
      }
    }
  });
  return out;
}

}  // namespace regatta
