// Parzen windows for the matrix units: a lane's memberships of bins, as float16 pairs of 22 bits, and what a joint
// histogram is worth. Bins and voxels lie in the lanes as mma.sync's operands want them.
#pragma once

#include <cuda_fp16.h>

#include "kernels/launch.cuh"
#include "kernels/mutual_information_form.hpp"

namespace regatta::kernels {

constexpr unsigned kWarp = 0xffffffffU;
constexpr float kLog2 = 1.4426950408889634F;

/// The windows, as kernels see them. Positions are in units of bins: 0 .. bins - 1.
struct Windows {
  int bins;
  float steps;       ///< bins - 1
  float narrowness;  ///< 1 / sigma_ratio^2

  /// NaN stays.
  __device__ __forceinline__ float place(float intensity) const {
    return steps * (intensity < 0.0F ? 0.0F : intensity > 1.0F ? 1.0F : intensity);
  }

  /// Not normalised: 1 at the bin that is nearest to `at`.
  /// @param nearest  at - rint(at)
  __device__ __forceinline__ float weight(float at, float nearest, int bin) const {
    const float distance = at - static_cast<float>(bin);
    float out;
    const float power = -0.5F * kLog2 * narrowness * (distance - nearest) * (distance + nearest);
    asm("ex2.approx.ftz.f32 %0,%1;" : "=f"(out) : "f"(power));
    return bin < bins ? out : 0.0F;
  }
};

inline Windows windows_of(const ParzenPair& pair) {
  return {pair.bins, static_cast<float>(pair.bins - 1),
          static_cast<float>(1.0 / (pair.sigma_ratio * pair.sigma_ratio))};
}

inline void check_windows(const char* who, const ParzenPair& pair) {
  REGATTA_REQUIRE(pair.fixed != nullptr && pair.warped != nullptr, BugError, who, ": an image is missing");
  REGATTA_REQUIRE(pair.bins >= 2 && pair.bins <= kMostParzenBins && pair.sigma_ratio > 0.0, BugError, who, ": ",
                  pair.bins, " bins of width ", pair.sigma_ratio);
  for (const std::int64_t length : {pair.size.n, pair.size.d, pair.size.h, pair.size.w}) {
    REGATTA_REQUIRE(length >= 1 && length <= 65535, BugError, who, ": size ", length);
  }
  REGATTA_REQUIRE(pair.size.voxels() < std::int64_t{1} << 31, BugError, who, ": volumes of ", pair.size.voxels(),
                  " voxels are too large");
}

/// Two numbers as the sum of two float16 pairs.
struct SplitPair {
  unsigned high, low;

  SplitPair() = default;

  __device__ __forceinline__ SplitPair(float first, float second) {
    const __half2 upper = __floats2half2_rn(first, second);
    const __half2 lower = __floats2half2_rn(first - __low2float(upper), second - __high2float(upper));
    high = *reinterpret_cast<const unsigned*>(&upper);
    low = *reinterpret_cast<const unsigned*>(&lower);
  }
};

/// c[16x8] += a[16x16] b[16x8], float16 in, float32 sums.
__device__ __forceinline__ void mma_half(float (&c)[4], const unsigned (&a)[4], unsigned b0, unsigned b1) {
  asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3},{%4,%5,%6,%7},{%8,%9},{%0,%1,%2,%3};"
               : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

/// A left operand as the sum of two.
struct SplitLeft {
  unsigned high[4], low[4];

  __device__ __forceinline__ void set(int i, const SplitPair& pair) {
    high[i] = pair.high;
    low[i] = pair.low;
  }
};

/// c += a b but for the product of both low parts.
__device__ __forceinline__ void mma_split(float (&c)[4], const SplitLeft& a, const SplitPair& b0, const SplitPair& b1) {
  mma_half(c, a.low, b0.high, b1.high);
  mma_half(c, a.high, b0.low, b1.low);
  mma_half(c, a.high, b0.high, b1.high);
}

/// A warp's joint histogram: rows are bins of the warped image, columns those of the fixed one. Element
/// [m][n][2 half + odd] of a lane is row 16 m + 8 half + lane / 4, column 8 n + 2 (lane % 4) + odd.
struct JointBins {
  float of[2][4][4];

  __device__ __forceinline__ void clear() {
#pragma unroll
    for (int i = 0; i < 32; ++i) {
      of[i / 16][i / 4 % 4][i % 4] = 0.0F;
    }
  }
};

/// A lane's memberships of four voxels in the bins lane / 4 + 8 i, normalised. @param counts  0: the voxel is none
struct VoxelBins {
  float of[4][4];  ///< [voxel][i]

  __device__ __forceinline__ VoxelBins(const float (&intensities)[4], const bool (&counts)[4], const Windows& windows) {
    const int group = static_cast<int>(threadIdx.x) % 32 / 4;
#pragma unroll
    for (int v = 0; v < 4; ++v) {
      const float at = windows.place(intensities[v]);
      const float nearest = at - rintf(at);
      float sum = 0.0F;
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        of[v][i] = windows.weight(at, nearest, group + 8 * i);
        sum += of[v][i];
      }
#pragma unroll
      for (int lanes = 4; lanes < 32; lanes *= 2) {
        sum += __shfl_xor_sync(kWarp, sum, lanes);
      }
      const float share = counts[v] ? __fdividef(1.0F, sum) : 0.0F;
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        of[v][i] *= share;
      }
    }
  }
};

/// Adds 16 voxels; the lane's four are 4 (lane % 4) .. + 3 of them. Products of 16 voxels begin at 0, as sums of the
/// matrix units are cut off and not rounded.
__device__ __forceinline__ void add_voxels(JointBins& joint, const VoxelBins& fixed, const VoxelBins& warped) {
  SplitPair right[4][2];
#pragma unroll
  for (int n = 0; n < 4; ++n) {
    right[n][0] = SplitPair(fixed.of[0][n], fixed.of[1][n]);
    right[n][1] = SplitPair(fixed.of[2][n], fixed.of[3][n]);
  }
#pragma unroll
  for (int m = 0; m < 2; ++m) {
    SplitLeft left;
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const int bin = 2 * m + i % 2;
      left.set(i, SplitPair(warped.of[i / 2 * 2][bin], warped.of[i / 2 * 2 + 1][bin]));
    }
#pragma unroll
    for (int n = 0; n < 4; ++n) {
      float products[4] = {0.0F, 0.0F, 0.0F, 0.0F};
      mma_split(products, left, right[n][0], right[n][1]);
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        joint.of[m][n][i] += products[i];
      }
    }
  }
}

/// Derivatives with respect to a joint histogram, as right operands: [k][n] holds the fixed image's bins 16 k .. + 15
/// and the warped one's 8 n .. + 7.
struct JointSlopes {
  SplitPair of[2][4][2];
};

/// A lane's memberships of the voxels lane / 4 and lane / 4 + 8 of 16, in the bins 8 i + 2 (lane % 4) + odd.
struct BinRows {
  float of[2][4][2];  ///< [voxel][i][odd]
  float at[2];

  __device__ __forceinline__ BinRows(const float (&intensities)[2], const Windows& windows) {
    const int first = static_cast<int>(threadIdx.x) % 4 * 2;
#pragma unroll
    for (int v = 0; v < 2; ++v) {
      at[v] = windows.place(intensities[v]);
      const float nearest = at[v] - rintf(at[v]);
      float sum = 0.0F;
#pragma unroll
      for (int i = 0; i < 8; ++i) {
        of[v][i / 2][i % 2] = windows.weight(at[v], nearest, 8 * (i / 2) + first + i % 2);
        sum += of[v][i / 2][i % 2];
      }
      sum += __shfl_xor_sync(kWarp, sum, 1);
      sum += __shfl_xor_sync(kWarp, sum, 2);
      const float share = __fdividef(1.0F, sum);
#pragma unroll
      for (int i = 0; i < 8; ++i) {
        of[v][i / 2][i % 2] *= share;
      }
    }
  }
};

/// d information / d intensity of the warped voxels lane / 4 and + 8, but for the clamp.
__device__ __forceinline__ void voxel_slopes(const float (&fixed)[2], const float (&warped)[2], const Windows& windows,
                                             const JointSlopes& slopes, float (&out)[2]) {
  float to_bins[4][4];  // [n][2 voxel + odd]
  {
    const BinRows rows(fixed, windows);
    SplitLeft left[2];
#pragma unroll
    for (int i = 0; i < 8; ++i) {
      left[i / 4].set(i % 4, SplitPair(rows.of[i % 2][i / 2][0], rows.of[i % 2][i / 2][1]));
    }
#pragma unroll
    for (int n = 0; n < 4; ++n) {
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        to_bins[n][i] = 0.0F;
      }
#pragma unroll
      for (int k = 0; k < 2; ++k) {
        mma_split(to_bins[n], left[k], slopes.of[k][n][0], slopes.of[k][n][1]);
      }
    }
  }
  const BinRows rows(warped, windows);
  const int first = static_cast<int>(threadIdx.x) % 4 * 2;
#pragma unroll
  for (int v = 0; v < 2; ++v) {
    float mean = 0.0F;
#pragma unroll
    for (int i = 0; i < 8; ++i) {
      mean = fmaf(rows.of[v][i / 2][i % 2], to_bins[i / 2][2 * v + i % 2], mean);
    }
    mean += __shfl_xor_sync(kWarp, mean, 1);
    mean += __shfl_xor_sync(kWarp, mean, 2);
    float sum = 0.0F;
#pragma unroll
    for (int i = 0; i < 8; ++i) {
      const float distance = static_cast<float>(8 * (i / 2) + first + i % 2) - rows.at[v];
      sum = fmaf(rows.of[v][i / 2][i % 2] * distance, to_bins[i / 2][2 * v + i % 2] - mean, sum);
    }
    sum += __shfl_xor_sync(kWarp, sum, 1);
    sum += __shfl_xor_sync(kWarp, sum, 2);
    const bool inside = !(warped[v] < 0.0F || warped[v] > 1.0F);  // NaN stays
    out[v] = inside ? windows.narrowness * windows.steps * sum : 0.0F;
  }
}

}  // namespace regatta::kernels
