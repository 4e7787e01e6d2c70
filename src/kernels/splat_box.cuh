// Where the points of a block of 32 x 8 x 8 voxels are: the part of the sums that it adds up in shared memory.
#pragma once

#include "kernels/compose_scratch.hpp"
#include "kernels/fixed_gradient.cuh"

namespace regatta::kernels {

constexpr int kBoxCells = 4000;  ///< three sums each: under 48 KiB with the rest
constexpr int kWarps = kFieldThreads / 32;

/// Where a block's points are, and how large the vectors are.
struct PointExtent {
  int low[3];  ///< of the lower voxels
  int high[3];
  float sum;         ///< of the largest components' magnitudes
  unsigned largest;  ///< as a float's bits
};

__device__ __forceinline__ PointExtent no_points() {
  constexpr int kFarLow = -(1 << 29);
  constexpr int kFarHigh = 1 << 29;
  return {{kFarHigh, kFarHigh, kFarHigh}, {kFarLow, kFarLow, kFarLow}, 0.0F, 0U};
}

/// Voxels from `first`; the sum of cell (d, h, w), component c, is sums[c * kBoxCells + d * plane + h * w_size + w].
struct SplatBox {
  int first[3];
  int size[3];
  int plane;
  unsigned by_plane, by_row;  ///< 2^32 over the cells of a plane and of a row, rounded up
  int exponent;               ///< of the block's unit
  int points;                 ///< 0: none
  int unused;
};

template <Outside kOutside>
__device__ __forceinline__ bool touches(const Place& p, const FieldShape& shape) {
  return kOutside == Outside::kBorder ||
         (is_index(beyond(p.d, 1), shape.d + 1) && is_index(beyond(p.h, 1), shape.h + 1) &&
          is_index(beyond(p.w, 1), shape.w + 1));
}

__device__ __forceinline__ void include(PointExtent& e, const Place& p, const Vector3& g) {
  e.low[0] = min(e.low[0], p.d);
  e.low[1] = min(e.low[1], p.h);
  e.low[2] = min(e.low[2], p.w);
  e.high[0] = max(e.high[0], p.d);
  e.high[1] = max(e.high[1], p.h);
  e.high[2] = max(e.high[2], p.w);
  const unsigned bits = magnitude_bits(g);
  e.sum += __uint_as_float(bits);
  e.largest = max(e.largest, bits);
}

__device__ __forceinline__ void merge(PointExtent& e, const PointExtent& other) {
  for (int axis = 0; axis < 3; ++axis) {
    e.low[axis] = min(e.low[axis], other.low[axis]);
    e.high[axis] = max(e.high[axis], other.high[axis]);
  }
  e.sum += other.sum;
  e.largest = max(e.largest, other.largest);
}

__device__ __forceinline__ void merge_lanes(PointExtent& e) {
#pragma unroll
  for (int axis = 0; axis < 3; ++axis) {
    e.low[axis] = __reduce_min_sync(0xffffffffU, e.low[axis]);
    e.high[axis] = __reduce_max_sync(0xffffffffU, e.high[axis]);
  }
  e.largest = __reduce_max_sync(0xffffffffU, e.largest);
  for (int lanes = 16; lanes > 0; lanes /= 2) {
    e.sum += __shfl_xor_sync(0xffffffffU, e.sum, lanes);
  }
}

/// All points if they fit; else the middle of where they are, at least as much as the block's own voxels need. In the
/// unit no sum of the block's vectors leaves 31 bits, and no vector 22.
__device__ __forceinline__ SplatBox box_of(const PointExtent& e) {
  constexpr int kLeast[3] = {kSplatPlanes + 1, kFieldHeight + 1, kFieldWidth + 1};
  int need[3];
  int extra[3];
  for (int axis = 0; axis < 3; ++axis) {
    need[axis] = max(e.high[axis] - e.low[axis] + 2, 2);  // 2: no points
    extra[axis] = max(need[axis] - kLeast[axis], 0);
  }
  SplatBox box;
  for (;;) {
    for (int axis = 0; axis < 3; ++axis) {
      box.size[axis] = min(need[axis], kLeast[axis] + extra[axis]);
    }
    if (static_cast<long long>(box.size[0]) * box.size[1] * box.size[2] <= kBoxCells) {
      break;
    }
    for (int axis = 0; axis < 3; ++axis) {
      extra[axis] /= 2;
    }
  }
  for (int axis = 0; axis < 3; ++axis) {
    box.first[axis] = e.low[axis] + (need[axis] - box.size[axis]) / 2;
  }
  box.plane = box.size[1] * box.size[2];
  box.by_plane = 0xffffffffU / box.plane + 1;
  box.by_row = 0xffffffffU / box.size[2] + 1;
  box.points = e.high[0] >= e.low[0] ? 1 : 0;
  box.unused = 0;
  box.exponent = max(exponent_above(e.largest) - 22, exponent_above(__float_as_uint(e.sum)) - 30);
  return box;
}

__device__ __forceinline__ long long block_index() {
  return (static_cast<long long>(blockIdx.z) * gridDim.y + blockIdx.y) * gridDim.x + blockIdx.x;
}

/// Places the block's box. All threads call it, once a kernel.
__device__ __forceinline__ void put_box(PointExtent extent, SplatBox* boxes, FixedState* state) {
  __shared__ PointExtent extents[kWarps];
  merge_lanes(extent);
  if (threadIdx.x % 32 == 0) {
    extents[threadIdx.x / 32] = extent;
  }
  __syncthreads();
  if (threadIdx.x == 0) {
    for (int warp = 1; warp < kWarps; ++warp) {
      merge(extent, extents[warp]);
    }
    boxes[block_index()] = box_of(extent);
    if (extent.largest >= 0x7f800000U) {
      state->bad = 1;
    }
  }
}

}  // namespace regatta::kernels
