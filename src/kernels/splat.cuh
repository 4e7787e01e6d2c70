// The adjoint of sampling a field: each voxel's vector is added to the eight voxels around the point that it sampled.
// A block adds those of 32 x 8 x 8 voxels in a box of shared memory, placed where its points are, and then the box to
// the sums in memory. Points beyond the box, where a field is rough, are added one by one. All sums are of integers.
#pragma once

#include <type_traits>

#include "kernels/fixed_gradient.cuh"
#include "kernels/splat_box.cuh"

namespace regatta::kernels {

/// Numbers up to 2^22 round to integers when this is added; they are then the difference of the floats' bits.
constexpr float kMagic = 12582912.0F;
constexpr int kMagicBits = 0x4B400000;

/// What a thread has for the upper four voxels of its last point. Mostly they are the lower ones of the next plane's
/// point, and are added together with its numbers: half the additions to shared memory.
struct Carried {
  int cell = -1;  ///< of the first, in the box; below 0: none
  int raw[4][3];  ///< as floats' bits

  __device__ __forceinline__ void add_to(int* sums, int row) {
    if (cell >= 0) {
#pragma unroll
      for (int column = 0; column < 4; ++column) {
        int* at = sums + cell + (column >> 1) * row + (column & 1);
#pragma unroll
        for (int c = 0; c < 3; ++c) {
          atomicAdd(at + c * kBoxCells, raw[column][c] - kMagicBits);
        }
      }
    }
  }

  __device__ __forceinline__ void clear() {
#pragma unroll
    for (int column = 0; column < 4; ++column) {
#pragma unroll
      for (int c = 0; c < 3; ++c) {
        raw[column][c] = kMagicBits;
      }
    }
  }
};

/// @param cell  in the box, of the lower voxel
/// @param g     in the block's unit
__device__ __forceinline__ void add_to_box(int* sums, int plane, int row, int cell, const Vector3& f, const Vector3& g,
                                           Carried& carried) {
  if (carried.cell != cell) {
    carried.add_to(sums, row);
    carried.clear();
  }
  const Vector3 upper = f.d * g;
  const Vector3 lower = g - upper;
  float weights[4];
  column_weights(f, weights);
#pragma unroll
  for (int column = 0; column < 4; ++column) {
    int* at = sums + cell + (column >> 1) * row + (column & 1);
    const float weight = weights[column];
    const float low[3] = {lower.d, lower.h, lower.w};
    const float high[3] = {upper.d, upper.h, upper.w};
#pragma unroll
    for (int c = 0; c < 3; ++c) {
      const int raw = __float_as_int(fmaf(weight, low[c], kMagic));
      atomicAdd(at + c * kBoxCells, static_cast<int>(static_cast<unsigned>(carried.raw[column][c]) +
                                                     static_cast<unsigned>(raw) - 2U * kMagicBits));
      carried.raw[column][c] = __float_as_int(fmaf(weight, high[c], kMagic));
    }
  }
  carried.cell = cell + plane;
}

/// A point beyond the box. @param scale  1 / unit of the sums
__device__ __forceinline__ void add_directly(const FixedSums& to, long long volume, const FieldShape& shape,
                                             const Place& p, const Vector3& g, float scale) {
#pragma unroll 1
  for (int k = 0; k < 8; ++k) {
    const int z = p.d + (k >> 2);
    const int y = p.h + (k >> 1 & 1);
    const int x = p.w + (k & 1);
    if (is_index(z, shape.d) && is_index(y, shape.h) && is_index(x, shape.w)) {
      const float weight = ((k & 4) != 0 ? p.fraction.d : 1.0F - p.fraction.d) *
                           ((k & 2) != 0 ? p.fraction.h : 1.0F - p.fraction.h) *
                           ((k & 1) != 0 ? p.fraction.w : 1.0F - p.fraction.w) * scale;
      add_vector(to, 3 * volume * shape.voxels + (z * shape.plane + y * shape.w + x), shape.voxels, weight * g);
    }
  }
}

/// The voxel of a cell, in its volume; below 0: outside.
__device__ __forceinline__ int voxel_of(const SplatBox& box, int cell, const FieldShape& shape) {
  const int d = static_cast<int>(__umulhi(cell, box.by_plane));
  const int in_plane = cell - d * box.plane;
  const int h = static_cast<int>(__umulhi(in_plane, box.by_row));
  const int z = box.first[0] + d;
  const int y = box.first[1] + h;
  const int x = box.first[2] + in_plane - h * box.size[2];
  return is_index(z, shape.d) && is_index(y, shape.h) && is_index(x, shape.w) ? z * shape.plane + y * shape.w + x : -1;
}

/// Answers of memory are waited for once for some cells.
constexpr int kCellsInFlight = 2;

/// @return the largest magnitude of a sum, as a float's bits
__device__ __forceinline__ unsigned add_box(const FixedSums& to, const int* sums, const SplatBox& box, long long volume,
                                            const FieldShape& shape, int exponent) {
  const int cells = box.size[0] * box.plane;
  const float factor = power_of_two(max(min(box.exponent - exponent, 127), -126));
  const long long first = 3 * volume * shape.voxels;
  int* const values[3] = {as_base(to.values + first), as_base(to.values + first + shape.voxels),
                          as_base(to.values + first + 2LL * shape.voxels)};
  float largest = 0.0F;
  for (int j0 = static_cast<int>(threadIdx.x); j0 < cells; j0 += kCellsInFlight * kFieldThreads) {
    int voxels[kCellsInFlight];
    int added[kCellsInFlight][3];
    int before[kCellsInFlight][3];
#pragma unroll
    for (int b = 0; b < kCellsInFlight; ++b) {
      const int j = j0 + b * kFieldThreads;
      voxels[b] = -1;
      if (j < cells) {
        const int sum[3] = {sums[j], sums[j + kBoxCells], sums[j + 2 * kBoxCells]};
        if ((sum[0] | sum[1] | sum[2]) != 0) {
          voxels[b] = voxel_of(box, j, shape);
        }
        if (voxels[b] >= 0) {
          const Vector3 scaled = {factor * static_cast<float>(sum[0]), factor * static_cast<float>(sum[1]),
                                  factor * static_cast<float>(sum[2])};
          const float most = fmaxf(fmaxf(fabsf(scaled.d), fabsf(scaled.h)), fabsf(scaled.w));
          largest = fmaxf(largest, most);
          if (most < kTwo31) {
            added[b][0] = __float2int_rn(scaled.d);
            added[b][1] = __float2int_rn(scaled.h);
            added[b][2] = __float2int_rn(scaled.w);
#pragma unroll
            for (int c = 0; c < 3; ++c) {
              before[b][c] = atomic_add(values[c] + voxels[b], added[b][c]);
            }
          } else {
            add_vector(to, first + voxels[b], shape.voxels, scaled);
            voxels[b] = -1;
          }
        }
      }
    }
#pragma unroll
    for (int b = 0; b < kCellsInFlight; ++b) {
      if (voxels[b] >= 0 && (leaves(before[b][0], added[b][0]) | leaves(before[b][1], added[b][1]) |
                             leaves(before[b][2], added[b][2])) < 0) {
        for (int c = 0; c < 3; ++c) {
          if (leaves(before[b][c], added[b][c]) < 0) {
            note_carry(to, first + static_cast<long long>(c) * shape.voxels + voxels[b], added[b][c] < 0 ? -1 : 1);
          }
        }
      }
    }
  }
  return __float_as_uint(largest * power_of_two(exponent));
}

/// Blocks that a multiprocessor should hold: as many as the registers allow without spills. Planar fields need more of
/// them, for addresses, and before 9.0 there is shared memory for three.
template <class Inner, class Gradient>
constexpr int splat_blocks() {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ < 900
  constexpr int kMost = 3;
#else
  constexpr int kMost = 4;
#endif
  constexpr bool kStored = std::is_same_v<Inner, HalfField> || std::is_same_v<Inner, SingleField>;
  return !kStored ? 2 : std::is_same_v<Gradient, FixedGradient> ? kMost : 3;
}

/// @param boxes  that put_box has placed
template <Outside kOutside, class Inner, class Gradient>
__global__ void __launch_bounds__(kFieldThreads, splat_blocks<Inner, Gradient>())
    splat_kernel(Inner inner_field, Gradient gradient, const SplatBox* __restrict__ boxes, FixedSums to,
                 FieldShape shape) {
  __shared__ alignas(16) int sums[3 * kBoxCells];
  const FieldThread t(shape, kSplatPlanes);
  const SplatBox& box = boxes[block_index()];
  if (box.points == 0) {
    return;
  }
  for (int j = static_cast<int>(threadIdx.x); j < 3 * kBoxCells / 4; j += kFieldThreads) {
    reinterpret_cast<int4*>(sums)[j] = make_int4(0, 0, 0, 0);
  }
  const auto inner = inner_field.of(t.volume, shape.voxels);
  const auto from = gradient.of(t.volume, shape.voxels);
  const int planes = t.inside ? min(kSplatPlanes, shape.d - t.z0) : 0;
  const int exponent = fixed_exponent(to.state);
  const int plane = box.plane;
  const int row = box.size[2];
  const float scale = power_of_two(-box.exponent);
  __syncthreads();
  unsigned largest = 0;
  Carried carried;
  carried.clear();
#pragma unroll 1
  for (int k = 0; k < planes; ++k) {
    const int i = t.i + k * shape.plane;
    const Place place = field_place<kOutside>(t.z0 + k, t.y, t.x, inner.at(i), shape);
    if (touches<kOutside>(place, shape)) {
      const Vector3 g = from.at(i);
      const int d = place.d - box.first[0];
      const int h = place.h - box.first[1];
      const int w = place.w - box.first[2];
      if (is_index(d, box.size[0] - 1) && is_index(h, box.size[1] - 1) && is_index(w, row - 1)) {
        add_to_box(sums, plane, row, d * plane + h * row + w, place.fraction, scale * g, carried);
      } else {
        add_directly(to, t.volume, shape, place, g, power_of_two(-exponent));
        largest = max(largest, magnitude_bits(g));
      }
    }
  }
  carried.add_to(sums, row);
  __syncthreads();
  put_largest(max(largest, add_box(to, sums, box, t.volume, shape, exponent)), &to.state->largest_splat);
}

template <class Inner, class Gradient>
void queue_splat(Inner inner, Gradient gradient, const SplatBox* boxes, const FixedSums& to, const VolumeSize& size,
                 Outside outside, Stream stream) {
  const dim3 blocks = field_blocks(size, kSplatPlanes);
  const FieldShape shape = field_shape(size, kSplatPlanes);
  if (outside == Outside::kBorder) {
    splat_kernel<Outside::kBorder><<<blocks, kFieldThreads, 0, stream>>>(inner, gradient, boxes, to, shape);
  } else {
    splat_kernel<Outside::kZero><<<blocks, kFieldThreads, 0, stream>>>(inner, gradient, boxes, to, shape);
  }
  check_launch("compose: splat");
}

}  // namespace regatta::kernels
