// Voxels through a map of grids along the axes: copied where the axes are only turned, else interpolated.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "volume/grid/parallel.hpp"
#include "volume/grid/taps.hpp"

namespace regatta {

/// True if every packed voxel is a source voxel or lies outside: axes are turned, nothing is interpolated.
bool copies_voxels(const GridMap& map);

/// For each packed axis the indices that lie inside the source.
struct Inside {
  Shape3 begin{};
  Shape3 end{};
};

/// Of a map that copies voxels.
Inside inside_of(const GridMap& map);

/// Through a map that copies voxels. @param convert  from a source voxel to what is stored
template <class To, class Convert>
std::vector<To> copy_voxels(std::span<const float> from, const GridMap& map, To outside, int threads,
                            const Convert& convert) {
  const std::array<std::int64_t, 3> stride = {source_stride(map, 0), source_stride(map, 1), source_stride(map, 2)};
  const Shape3& shape = map.packed.shape;
  const Inside inside = inside_of(map);
  const Shape3& begin = inside.begin;
  const Shape3& end = inside.end;
  std::array<std::int64_t, 3> start{};
  std::array<std::int64_t, 3> step{};
  for (std::size_t axis = 0; axis < 3; ++axis) {
    start[axis] = static_cast<std::int64_t>(map.start[axis]);
    step[axis] = map.step[axis] > 0 ? 1 : -1;
  }
  std::vector<To> out(static_cast<std::size_t>(voxel_count(shape)), outside);
  parallel_for(end[0] - begin[0], threads, [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t d = begin[0] + first; d < begin[0] + last; ++d) {
      for (std::int64_t h = begin[1]; h < end[1]; ++h) {
        const float* row = from.data() + (start[0] + step[0] * d) * stride[0] + (start[1] + step[1] * h) * stride[1] +
                           (start[2] + step[2] * begin[2]) * stride[2];
        To* to = out.data() + (d * shape[1] + h) * shape[2] + begin[2];
        const std::int64_t move = step[2] * stride[2];
        const std::int64_t length = end[2] - begin[2];
        if (move == 1) {  // known at compile time, the loop is made of vector instructions
          for (std::int64_t w = 0; w < length; ++w) {
            to[w] = convert(row[w]);
          }
        } else {
          for (std::int64_t w = 0; w < length; ++w) {
            to[w] = convert(row[w * move]);
          }
        }
      }
    }
  });
  return out;
}

/// By the taps of `linear_taps`, in double precision. @param outside  the value outside the field of view
std::vector<float> resample_linear(std::span<const float> from, const GridMap& map, float outside, int threads);

}  // namespace regatta
