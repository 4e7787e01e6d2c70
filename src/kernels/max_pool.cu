// A thread has 8 channels of one block of 2x2x2 voxels, forward and backward.
#include "kernels/feature_form.hpp"
#include "kernels/features.cuh"
#include "regatta/kernels/max_pool.hpp"

namespace regatta::kernels {
namespace {

constexpr int kThreads = 256;

/// Of the input, and of the blocks of voxels that have threads: backward those that the border cuts, too.
struct Grid {
  int d, h, w;
  int groups;  ///< vectors of a voxel
  int of_plane, of_row;
};

struct Place {
  int z, y, x;  ///< of the block
  int group;
  bool inside;
  int row;  ///< vectors from one to the next
  long long plane;
  long long corner;  ///< vector of the block's first voxel

  __device__ __forceinline__ explicit Place(const Grid& grid) {
    const auto t = static_cast<unsigned>(blockIdx.x * kThreads + threadIdx.x);
    const unsigned block = t / grid.groups;
    group = static_cast<int>(t % grid.groups);
    z = static_cast<int>(blockIdx.y);
    y = static_cast<int>(block / grid.of_row);
    x = static_cast<int>(block % grid.of_row);
    inside = block < static_cast<unsigned>(grid.of_plane);
    row = grid.w * grid.groups;
    plane = static_cast<long long>(grid.h) * row;
    corner = (static_cast<long long>(blockIdx.z) * grid.d + 2 * z) * plane + 2 * y * row + 2 * x * grid.groups + group;
  }

  /// Vector of voxel k of the block, in the order d, h, w.
  __device__ __forceinline__ long long input(int k, const Grid& grid) const {
    return corner + (k >> 2) * plane + (k >> 1 & 1) * row + (k & 1) * grid.groups;
  }

  __device__ __forceinline__ bool holds(int k, const Grid& grid) const {
    return 2 * z + (k >> 2) < grid.d && 2 * y + (k >> 1 & 1) < grid.h && 2 * x + (k & 1) < grid.w;
  }

  __device__ __forceinline__ long long output(const Grid& grid) const {
    const long long of_plane = static_cast<long long>(blockIdx.z) * (grid.d / 2) + z;
    return ((of_plane * (grid.h / 2) + y) * (grid.w / 2) + x) * grid.groups + group;
  }
};

/// PyTorch's rule: a NaN is larger than all, and the later of two.
__device__ __forceinline__ bool replaces(float value, float maximum) {
  return value > maximum || value != value;
}

__global__ void __launch_bounds__(kThreads)
    max_pool_forward_kernel(const uint4* __restrict__ in, uint4* __restrict__ out, Grid grid) {
  const Place t(grid);
  if (!t.inside) {
    return;
  }
  uint4 raw[8];
#pragma unroll
  for (int k = 0; k < 8; ++k) {
    raw[k] = in[t.input(k, grid)];
  }
  Eight maximum = unpack(raw[0]);
#pragma unroll
  for (int k = 1; k < 8; ++k) {
    const Eight value = unpack(raw[k]);
#pragma unroll
    for (int c = 0; c < kVector; ++c) {
      maximum.v[c] = replaces(value.v[c], maximum.v[c]) ? value.v[c] : maximum.v[c];
    }
  }
  out[t.output(grid)] = pack(maximum);
}

/// `others` and `to_input` may be the same.
__global__ void __launch_bounds__(kThreads)
    max_pool_backward_kernel(const uint4* __restrict__ in, const uint4* __restrict__ gradient, const uint4* others,
                             uint4* to_input, float slope, Grid grid) {
  const Place t(grid);
  if (!t.inside) {
    return;
  }
  uint4 raw[8];
#pragma unroll
  for (int k = 0; k < 8; ++k) {
    raw[k] = in[t.holds(k, grid) ? t.input(k, grid) : t.corner];
  }
  unsigned chosen = 0;  // of the eight, four bits for each channel
  Eight maximum = unpack(raw[0]);
#pragma unroll
  for (int k = 1; k < 8; ++k) {
    const Eight value = unpack(raw[k]);
#pragma unroll
    for (int c = 0; c < kVector; ++c) {
      if (replaces(value.v[c], maximum.v[c])) {
        maximum.v[c] = value.v[c];
        chosen = (chosen & ~(15U << (4 * c))) | static_cast<unsigned>(k) << (4 * c);
      }
    }
  }
  Eight arriving = {};
  if (t.holds(7, grid)) {
    arriving = unpack(gradient[t.output(grid)]);
  }
#pragma unroll
  for (int c = 0; c < kVector; ++c) {
    arriving.v[c] = maximum.v[c] > 0.0F ? arriving.v[c] : slope * arriving.v[c];
  }
#pragma unroll
  for (int k = 0; k < 8; ++k) {
    if (!t.holds(k, grid)) {
      continue;
    }
    Eight result = {};
    if (others != nullptr) {
      result = unpack(others[t.input(k, grid)]);
    }
#pragma unroll
    for (int c = 0; c < kVector; ++c) {
      result.v[c] += (chosen >> (4 * c) & 15U) == static_cast<unsigned>(k) ? arriving.v[c] : 0.0F;
    }
    to_input[t.input(k, grid)] = pack(result);
  }
}

/// @param round  0 or 1: whether blocks that the border cuts have threads
Grid grid_of(const MaxPoolShape& shape, int round) {
  Grid grid = {static_cast<int>(shape.size.d),
               static_cast<int>(shape.size.h),
               static_cast<int>(shape.size.w),
               shape.channels / kVector,
               0,
               0};
  grid.of_row = (grid.w + round) / 2;
  grid.of_plane = (grid.h + round) / 2 * grid.of_row;
  return grid;
}

dim3 blocks_of(const Grid& grid, const MaxPoolShape& shape, int round) {
  return {static_cast<unsigned>(divide_up(static_cast<long long>(grid.of_plane) * grid.groups, kThreads)),
          static_cast<unsigned>((grid.d + round) / 2), static_cast<unsigned>(shape.size.n)};
}

void require_form(const MaxPoolShape& shape, const Capability& chip) {
  REGATTA_REQUIRE(has_form(shape, chip), BugError, "maxima of ", shape.size.d, "x", shape.size.h, "x", shape.size.w,
                  " voxels of ", shape.channels, " channels: no kernel");
}

}  // namespace

void max_pool_forward(const MaxPoolShape& shape, const MaxPoolForward& arrays, const Capability& chip, Stream stream) {
  require_form(shape, chip);
  require_features("max_pool_forward", arrays.in, "the input");
  require_features("max_pool_forward", arrays.out, "the output");
  const Grid grid = grid_of(shape, 0);
  max_pool_forward_kernel<<<blocks_of(grid, shape, 0), kThreads, 0, stream>>>(vectors(arrays.in), vectors(arrays.out),
                                                                              grid);
  check_launch("max_pool_forward");
}

void max_pool_backward(const MaxPoolShape& shape, const MaxPoolBackward& arrays, const Capability& chip,
                       Stream stream) {
  require_form(shape, chip);
  require_features("max_pool_backward", arrays.in, "the input");
  require_features("max_pool_backward", arrays.output_gradient, "the output's gradient");
  require_features("max_pool_backward", arrays.input_gradient, "the input's gradient");
  REGATTA_REQUIRE(is_aligned(arrays.others, 16) && arrays.input_gradient != arrays.in, BugError,
                  "max_pool_backward: other gradients not aligned to 16 bytes, or the result is the input");
  const Grid grid = grid_of(shape, 1);
  max_pool_backward_kernel<<<blocks_of(grid, shape, 1), kThreads, 0, stream>>>(
      vectors(arrays.in), vectors(arrays.output_gradient), vectors(arrays.others), vectors(arrays.input_gradient),
      arrays.slope, grid);
  check_launch("max_pool_backward");
}

}  // namespace regatta::kernels
