// Forward, a thread has 8 channels of two neighbours in a row of the output and goes through the planes: each plane of
// the input is interpolated within the plane once, for the outputs before and after it.
//
// Backward, a thread has 8 channels of one column of the output for a few rows of the input, and adds up along h and d
// what it loads once; then the threads of four neighbouring columns meet in shared memory. At the borders of the volume
// the outermost output is read in place of the missing one: the adjoint of what forward does there.
#include "kernels/feature_form.hpp"
#include "kernels/features.cuh"
#include "regatta/kernels/upsample.hpp"

namespace regatta::kernels {
namespace {

constexpr int kForwardThreads = 192;
constexpr int kBackwardThreads = 256;
constexpr int kRows = 2;         ///< of the input, for a thread of the adjoint
constexpr int kMostGroups = 16;  ///< vectors of a voxel that a block of the adjoint has

/// Of the input.
struct Grid {
  int d, h, w;
  int groups;  ///< vectors of a voxel
  int planes;  ///< that a thread goes through
  int pitch;   ///< vectors from one voxel of the output to the next
};

/// With what weights the outputs of one axis read its inputs. What is missing at a border is replaced by the outermost
/// one; with aligned corners that has the weight 0.
template <bool kAlign>
struct Weights {
  int n;       ///< inputs
  float part;  ///< 1 / (2 n - 1)

  __device__ __forceinline__ explicit Weights(int inputs)
      : n(inputs), part(1.0F / static_cast<float>(2 * inputs - 1)) {}

  /// Of input i - 1 in output 2 i.
  __device__ __forceinline__ float before_even(int i) const { return kAlign ? static_cast<float>(i) * part : 0.25F; }

  /// Of input i + 1 in output 2 i + 1.
  __device__ __forceinline__ float behind_odd(int i) const {
    return kAlign ? static_cast<float>(n - 1 - i) * part : 0.25F;
  }

  /// Of input i in output 2 i - 1 + k, k = 0 .. 3.
  __device__ __forceinline__ float of_reader(int i, int k) const {
    if (k == 1 || k == 2) {
      return 1.0F - (k == 1 ? before_even(i) : behind_odd(i));
    }
    if (kAlign && (k == 0 ? i < 1 : i > n - 2)) {
      return 0.0F;
    }
    return k == 0 ? behind_odd(i - 1) : before_even(i + 1);
  }
};

/// The two outputs of a row of one plane of the input, before the interpolation along d.
struct Both {
  Eight of[2];
};

/// What a row of the output reads of a plane of the input, at one column.
struct RowOfOutput {
  const uint4* sample;
  int near, far;              ///< rows, in vectors
  int w_before, w, w_behind;  ///< columns, in vectors
  float of_far, of_before, of_behind;
  long long plane;

  __device__ __forceinline__ Both at(int z) const {
    const uint4* from = sample + z * plane;
    const uint4 raw[6] = {from[near + w_before], from[near + w], from[near + w_behind],
                          from[far + w_before],  from[far + w],  from[far + w_behind]};
    Eight sums[3];
#pragma unroll
    for (int k = 0; k < 3; ++k) {
      sums[k] = scaled(1.0F - of_far, unpack(raw[k]));
      add_to(sums[k], of_far, unpack(raw[k + 3]));
    }
    Both both = {scaled(1.0F - of_before, sums[1]), scaled(1.0F - of_behind, sums[1])};
    add_to(both.of[0], of_before, sums[0]);
    add_to(both.of[1], of_behind, sums[2]);
    return both;
  }
};

__device__ __forceinline__ void put_both(uint4* to, int pitch, const Both& near, float of_far, const Both& far) {
#pragma unroll
  for (int k = 0; k < 2; ++k) {
    Eight value = scaled(1.0F - of_far, near.of[k]);
    add_to(value, of_far, far.of[k]);
    to[k * pitch] = pack(value);
  }
}

template <bool kAlign>
__global__ void __launch_bounds__(kForwardThreads, 4)
    upsample_forward_kernel(const uint4* __restrict__ in, uint4* __restrict__ out, Grid grid) {
  const auto t = static_cast<unsigned>(blockIdx.x * kForwardThreads + threadIdx.x);
  const int group = static_cast<int>(t % grid.groups);
  const int x = static_cast<int>(t / grid.groups % grid.w);
  const int y = static_cast<int>(t / grid.groups / grid.w);  // of the output
  if (y >= 2 * grid.h) {
    return;
  }
  const int row = grid.w * grid.groups;
  RowOfOutput from;
  from.plane = static_cast<long long>(grid.h) * row;
  from.sample = in + blockIdx.z * grid.d * from.plane + group;
  from.near = y / 2 * row;
  from.far = (y % 2 == 0 ? max(y / 2 - 1, 0) : min(y / 2 + 1, grid.h - 1)) * row;
  from.w_before = max(x - 1, 0) * grid.groups;
  from.w = x * grid.groups;
  from.w_behind = min(x + 1, grid.w - 1) * grid.groups;
  const Weights<kAlign> of_w(grid.w);
  const Weights<kAlign> of_h(grid.h);
  const Weights<kAlign> of_d(grid.d);
  from.of_far = y % 2 == 0 ? of_h.before_even(y / 2) : of_h.behind_odd(y / 2);
  from.of_before = of_w.before_even(x);
  from.of_behind = of_w.behind_odd(x);
  const long long plane = 4LL * grid.h * grid.w * grid.pitch;
  uint4* to = out + blockIdx.z * 2 * grid.d * plane + 2 * (y * grid.w + x) * grid.pitch + group;
  const int begin = static_cast<int>(blockIdx.y) * grid.planes;
  const int end = min(begin + grid.planes, grid.d);
  Both before = from.at(max(begin - 1, 0));
#pragma unroll 1
  for (int z = begin; z <= end; ++z) {
    const Both now = from.at(min(z, grid.d - 1));
    if (z > begin) {
      put_both(to + (2 * z - 1) * plane, grid.pitch, before, of_d.behind_odd(z - 1), now);
    }
    if (z < end) {
      put_both(to + 2 * z * plane, grid.pitch, now, of_d.before_even(z), before);
    }
    before = now;
  }
}

/// What a block of the adjoint has: a tile of the input's columns, and of the output's one more on both sides.
struct Tile {
  int columns;  ///< of the input
  int groups;   ///< vectors of a voxel, a divisor of all of them
  int tiles;    ///< along w

  int threads() const { return (2 * columns + 2) * groups; }
};

struct RowSums {
  Eight of[kRows];
};

/// One plane of the output, added up along h for rows y and behind.
template <bool kAlign>
__device__ __forceinline__ RowSums sums_along_h(const uint4* plane, const int (&rows)[2 * kRows + 2],
                                                const Weights<kAlign>& of_h, int y) {
  uint4 raw[2 * kRows + 2];
#pragma unroll
  for (int k = 0; k < 2 * kRows + 2; ++k) {
    raw[k] = plane[rows[k]];
  }
  RowSums sums = {};
#pragma unroll
  for (int k = 0; k < 2 * kRows + 2; ++k) {
    const Eight value = unpack(raw[k]);
#pragma unroll
    for (int r = 0; r < kRows; ++r) {
      const int place = k - 2 * r;  // 0 .. 3: before, the two of its own, behind
      if (place >= 0 && place < 4) {
        add_to(sums.of[r], of_h.of_reader(y + r, place), value);
      }
    }
  }
  return sums;
}

template <bool kAlign>
__global__ void __launch_bounds__(kBackwardThreads, kAlign ? 2 : 3)
    upsample_backward_kernel(const uint4* __restrict__ gradient, uint2* __restrict__ to_input, Grid grid, Tile tile) {
  constexpr int kPadded = kBackwardThreads + 4;
  __shared__ float4 meet[2][2][kPadded];  // in turns; channels 0-3 and 4-7
  const int chunk = static_cast<int>(blockIdx.x) / tile.tiles;
  const int first = static_cast<int>(blockIdx.x) % tile.tiles * tile.columns;
  const int strips = (grid.h + kRows - 1) / kRows;
  const int y = static_cast<int>(blockIdx.y) % strips * kRows;
  const int begin = static_cast<int>(blockIdx.y) / strips * grid.planes;
  const int end = min(begin + grid.planes, grid.d);
  const int row = 2 * grid.w * grid.pitch;
  const long long plane = 2LL * grid.h * row;
  const int t = static_cast<int>(threadIdx.x);
  const int column = min(max(2 * first - 1 + t / tile.groups, 0), 2 * grid.w - 1);
  const uint4* from = gradient + blockIdx.z * 2 * grid.d * plane + static_cast<long long>(column) * grid.pitch +
                      chunk * tile.groups + t % tile.groups;
  int rows[2 * kRows + 2];
#pragma unroll
  for (int k = 0; k < 2 * kRows + 2; ++k) {
    rows[k] = min(max(2 * y - 1 + k, 0), 2 * grid.h - 1) * row;
  }
  // The result of a thread: four channels of a column of the input.
  const int vector = t / 2;
  const int x = first + vector / tile.groups;
  const bool writes = t < 2 * tile.columns * tile.groups && x < grid.w;
  const int met = vector / tile.groups * 2 * tile.groups + vector % tile.groups;
  const long long place =
      (static_cast<long long>(x) * grid.groups + chunk * tile.groups + vector % tile.groups) * 2 + t % 2;
  const int input_row = 2 * grid.w * grid.groups;  // in halves of a vector
  const long long input_plane = static_cast<long long>(grid.h) * input_row;
  uint2* to = to_input + blockIdx.z * grid.d * input_plane + place;
  const Weights<kAlign> of_w(grid.w);
  const Weights<kAlign> of_h(grid.h);
  const Weights<kAlign> of_d(grid.d);
  RowSums carried = {};
  int turn = 0;
#pragma unroll 1
  for (int z = begin - 1; z < end; ++z) {
    RowSums sums = carried;
    {
      const RowSums now = sums_along_h(from + max(2 * z + 1, 0) * plane, rows, of_h, y);
#pragma unroll
      for (int r = 0; r < kRows; ++r) {
        add_to(sums.of[r], of_d.of_reader(z, 2), now.of[r]);
        carried.of[r] = scaled(of_d.of_reader(z + 1, 0), now.of[r]);
      }
    }
    {
      const RowSums now = sums_along_h(from + min(2 * z + 2, 2 * grid.d - 1) * plane, rows, of_h, y);
#pragma unroll
      for (int r = 0; r < kRows; ++r) {
        add_to(sums.of[r], of_d.of_reader(z, 3), now.of[r]);
        add_to(carried.of[r], of_d.of_reader(z + 1, 1), now.of[r]);
      }
    }
    if (z < begin) {
      continue;
    }
#pragma unroll
    for (int r = 0; r < kRows; ++r) {
      const Eight& mine = sums.of[r];
      meet[turn][0][t] = {mine.v[0], mine.v[1], mine.v[2], mine.v[3]};
      meet[turn][1][t] = {mine.v[4], mine.v[5], mine.v[6], mine.v[7]};
      __syncthreads();
      if (writes && y + r < grid.h) {
        float4 sum = {};
#pragma unroll
        for (int k = 0; k < 4; ++k) {
          const float4 part = meet[turn][t % 2][met + k * tile.groups];
          const float weight = of_w.of_reader(x, k);
          sum = {fmaf(weight, part.x, sum.x), fmaf(weight, part.y, sum.y), fmaf(weight, part.z, sum.z),
                 fmaf(weight, part.w, sum.w)};
        }
        to[z * input_plane + (y + r) * input_row] = {pack_bf16(sum.x, sum.y), pack_bf16(sum.z, sum.w)};
      }
      turn ^= 1;
    }
  }
}

Tile tile_of(const Grid& grid) {
  Tile tile;
  tile.groups = 1;
  for (int groups = 2; groups <= kMostGroups; ++groups) {
    tile.groups = grid.groups % groups == 0 ? groups : tile.groups;
  }
  const int most = kBackwardThreads / tile.groups / 2 - 1;
  tile.tiles = (grid.w + most - 1) / most;
  tile.columns = (grid.w + tile.tiles - 1) / tile.tiles;
  return tile;
}

/// Planes of a thread: many, so that few are read twice, where blocks are many too.
int planes_of(int d, long long blocks_of_plane, int wanted) {
  constexpr int kMost = 16;
  constexpr int kFewest = 4;
  const long long chunks = (wanted + blocks_of_plane - 1) / blocks_of_plane;
  const auto planes = static_cast<int>((d + chunks - 1) / chunks);
  return planes < kFewest ? kFewest : planes > kMost ? kMost : planes;
}

Grid grid_of(const UpsampleShape& shape) {
  return {static_cast<int>(shape.size.d),
          static_cast<int>(shape.size.h),
          static_cast<int>(shape.size.w),
          shape.channels / kVector,
          1,
          shape.channels_of_voxel() / kVector};
}

void require_form(const UpsampleShape& shape, const Capability& chip) {
  REGATTA_REQUIRE(has_form(shape, chip), BugError, "up-sampling of ", shape.channels, " channels: no kernel");
}

}  // namespace

void upsample_forward(const UpsampleShape& shape, const UpsampleForward& arrays, const Capability& chip,
                      Stream stream) {
  require_form(shape, chip);
  require_features("upsample_forward", arrays.in, "the input");
  require_features("upsample_forward", arrays.out, "the output");
  Grid grid = grid_of(shape);
  const long long blocks = divide_up(2LL * grid.h * grid.w * grid.groups, kForwardThreads);
  grid.planes = planes_of(grid.d, blocks * shape.size.n, 16 * chip.multiprocessors);
  const dim3 of_grid = {static_cast<unsigned>(blocks), static_cast<unsigned>(divide_up(grid.d, grid.planes)),
                        static_cast<unsigned>(shape.size.n)};
  const auto kernel = shape.align_corners ? upsample_forward_kernel<true> : upsample_forward_kernel<false>;
  kernel<<<of_grid, kForwardThreads, 0, stream>>>(vectors(arrays.in), vectors(arrays.out), grid);
  check_launch("upsample_forward");
}

void upsample_backward(const UpsampleShape& shape, const UpsampleBackward& arrays, const Capability& chip,
                       Stream stream) {
  require_form(shape, chip);
  require_features("upsample_backward", arrays.output_gradient, "the output's gradient");
  require_features("upsample_backward", arrays.input_gradient, "the input's gradient");
  Grid grid = grid_of(shape);
  const Tile tile = tile_of(grid);
  const long long strips = divide_up(grid.h, kRows);
  const long long of_w = static_cast<long long>(tile.tiles) * (grid.groups / tile.groups);
  grid.planes = planes_of(grid.d, strips * of_w * shape.size.n, 16 * chip.multiprocessors);
  const long long of_d = strips * divide_up(grid.d, grid.planes);
  REGATTA_REQUIRE(of_d <= 65535, BugError, "upsample_backward: too many rows and planes, ", grid.h, " x ", grid.d);
  const dim3 of_grid = {static_cast<unsigned>(of_w), static_cast<unsigned>(of_d), static_cast<unsigned>(shape.size.n)};
  const auto kernel = shape.align_corners ? upsample_backward_kernel<true> : upsample_backward_kernel<false>;
  kernel<<<of_grid, static_cast<unsigned>(tile.threads()), 0, stream>>>(
      vectors(arrays.output_gradient), reinterpret_cast<uint2*>(arrays.input_gradient), grid, tile);
  check_launch("upsample_backward");
}

}  // namespace regatta::kernels
