// NCC, forward pass. Along z first: each thread keeps running sums of two columns by two rows; the plane that leaves
// the window is read again, from the cache. Then along x by shuffles within the warp, then along y through shared
// memory. All sums are integers, so adding and subtracting is exact.
#pragma once

#include <type_traits>

#include "kernels/ncc.cuh"
#include "kernels/reduce.cuh"

namespace regatta::kernels {

constexpr unsigned kLowBits = 25;
constexpr unsigned kLowMask = (1U << kLowBits) - 1U;

/// Two neighbouring voxels of both images.
struct NccVoxels {
  unsigned fixed[2];
  unsigned warped[2];
};

template <FixedImage kType>
struct NccInput {
  const void* fixed;
  const std::uint32_t* warped;
};

template <FixedImage kType, bool kVector>
__device__ __forceinline__ NccVoxels load_voxels(const NccInput<kType>& in, long long at, bool first, bool second) {
  NccVoxels out = {{0, 0}, {0, 0}};
  if constexpr (kType == FixedImage::kBytes) {
    const auto* fixed = static_cast<const unsigned char*>(in.fixed) + at;
    if constexpr (kVector) {
      if (first) {
        const uchar2 two = __ldg(reinterpret_cast<const uchar2*>(fixed));
        out.fixed[0] = two.x;
        out.fixed[1] = two.y;
      }
    } else {
      if (first) {
        out.fixed[0] = __ldg(fixed);
      }
      if (second) {
        out.fixed[1] = __ldg(fixed + 1);
      }
    }
  } else {
    const auto* fixed = static_cast<const unsigned*>(in.fixed) + at;
    if constexpr (kVector) {
      if (first) {
        const uint2 two = __ldg(reinterpret_cast<const uint2*>(fixed));
        out.fixed[0] = two.x;
        out.fixed[1] = two.y;
      }
    } else {
      if (first) {
        out.fixed[0] = __ldg(fixed);
      }
      if (second) {
        out.fixed[1] = __ldg(fixed + 1);
      }
    }
  }
  const std::uint32_t* warped = in.warped + at;
  if constexpr (kVector) {
    if (first) {
      const uint2 two = __ldg(reinterpret_cast<const uint2*>(warped));
      out.warped[0] = two.x;
      out.warped[1] = two.y;
    }
  } else {
    if (first) {
      out.warped[0] = __ldg(warped);
    }
    if (second) {
      out.warped[1] = __ldg(warped + 1);
    }
  }
  return out;
}

using Wide = unsigned long long;

/// Sums over a column of 2 radius + 1 voxels.
template <FixedImage kType>
struct NccSums {
  static constexpr bool kBytes = kType == FixedImage::kBytes;
  using Squares = std::conditional_t<kBytes, unsigned, Wide>;

  unsigned fixed = 0;
  unsigned warped = 0;
  Squares fixed_squares = 0;
  Wide warped_squares = 0;
  Wide products = 0;

  __device__ __forceinline__ void add(unsigned i, unsigned j) {
    fixed += i;
    warped += j;
    fixed_squares += static_cast<Squares>(i) * i;
    warped_squares += static_cast<Wide>(j) * j;
    products += static_cast<Wide>(i) * j;
  }

  __device__ __forceinline__ void remove(unsigned i, unsigned j) {
    fixed -= i;
    warped -= j;
    fixed_squares -= static_cast<Squares>(i) * i;
    warped_squares -= static_cast<Wide>(j) * j;
    products -= static_cast<Wide>(i) * j;
  }
};

/// Sums over whole windows.
struct NccTotals {
  unsigned fixed;
  unsigned warped;
  Wide fixed_squares;
  Wide warped_squares;
  Wide products;
};

__device__ __forceinline__ unsigned low_part(Wide value) {
  return static_cast<unsigned>(value) & kLowMask;
}

__device__ __forceinline__ unsigned high_part(Wide value) {
  return static_cast<unsigned>(value >> kLowBits);
}

__device__ __forceinline__ Wide joined(unsigned high, unsigned low) {
  return (static_cast<Wide>(high) << kLowBits) + low;
}

/// Column sums as words that can be added up over x and y without overflow. Six words hold up to 9^3 voxels of bytes:
/// the sum of the fixed image has 18 bits, and above it lies the high part of the products, 14 bits. Limits, for n
/// voxels of 21 bits: warped n 2^21, low parts (2 radius + 1)^2 2^25, high parts of squares n 2^17.
template <FixedImage kType, int kWords>
struct NccPacking {
  static constexpr unsigned kFixedBits = 18;

  static __device__ __forceinline__ unsigned word(const NccSums<kType>& s, int which) {
    if constexpr (kWords == 6) {
      switch (which) {
        case 0: return s.fixed | (high_part(s.products) << kFixedBits);
        case 1: return s.warped;
        case 2: return s.fixed_squares;
        case 3: return low_part(s.warped_squares);
        case 4: return high_part(s.warped_squares);
        default: return low_part(s.products);
      }
    } else {
      switch (which) {
        case 0: return s.fixed;
        case 1: return s.warped;
        case 2: return kWords == 7 ? static_cast<unsigned>(s.fixed_squares) : low_part(s.fixed_squares);
        case 3: return low_part(s.warped_squares);
        case 4: return high_part(s.warped_squares);
        case 5: return low_part(s.products);
        case 6: return high_part(s.products);
        default: return high_part(s.fixed_squares);
      }
    }
  }

  static __device__ __forceinline__ NccTotals totals(const unsigned (&t)[kWords]) {
    if constexpr (kWords == 6) {
      return {t[0] & ((1U << kFixedBits) - 1U), t[1], t[2], joined(t[4], t[3]), joined(t[0] >> kFixedBits, t[5])};
    } else if constexpr (kWords == 7) {
      return {t[0], t[1], t[2], joined(t[4], t[3]), joined(t[6], t[5])};
    } else {
      return {t[0], t[1], joined(t[7], t[2]), joined(t[4], t[3]), joined(t[6], t[5])};
    }
  }
};

/// One window: its squared correlation, and the coefficients a, b, c with which the derivative at a voxel of it is
/// a fixed + b warped + c.
struct NccWindow {
  float squared, a, b, c;
};

template <int kCount>
__device__ __forceinline__ NccWindow ncc_window(const NccTotals& t, float fixed_unit, NccForm form) {
  constexpr float kWarpedUnit = 1.0F / static_cast<float>(kFixedPointOne);
  constexpr float kShare = 1.0F / static_cast<float>(kCount);
  constexpr Wide kVoxels = kCount;
  const Wide i = t.fixed;
  const Wide j = t.warped;
  const float scale = kWarpedUnit * kShare;
  constexpr auto kFloor = static_cast<float>(kNccFloor);
  auto fixed_variance = static_cast<float>(static_cast<long long>(t.fixed_squares * kVoxels - i * i)) *
                        (fixed_unit * fixed_unit * kShare);
  auto warped_variance =
      static_cast<float>(static_cast<long long>(t.warped_squares * kVoxels - j * j)) * (kWarpedUnit * scale);
  auto cross = static_cast<float>(static_cast<long long>(t.products * kVoxels - i * j)) * (fixed_unit * scale);
  float below = fmaf(fixed_variance, warped_variance, kFloor);
  float to_cross = 2.0F;
  float to_variance = -2.0F;
  if (form == NccForm::kMeans) {
    constexpr auto kLeast = static_cast<float>(kNccEpsilon * kCount * kCount);
    below = fixed_variance * warped_variance;
    to_variance = below >= kLeast ? to_variance : 0.0F;
    below = fmaxf(below, kLeast);
  } else if (form == NccForm::kClamped) {
    to_cross = cross >= kFloor ? to_cross : 0.0F;
    to_variance = warped_variance >= kFloor ? to_variance : 0.0F;
    cross = fmaxf(cross, kFloor);
    fixed_variance = fmaxf(fixed_variance, kFloor);
    warped_variance = fmaxf(warped_variance, kFloor);
    below = fixed_variance * warped_variance;
  }
  const float inverse = __frcp_rn(below);
  NccWindow out;
  out.squared = cross * cross * inverse;
  out.a = to_cross * cross * inverse;
  out.b = to_variance * out.squared * fixed_variance * inverse;
  out.c =
      -(out.a * (static_cast<float>(t.fixed) * (fixed_unit * kShare)) + out.b * (static_cast<float>(t.warped) * scale));
  return out;
}

template <FixedImage kType, int kRadius, bool kVector>
__global__ void __launch_bounds__(kNccThreads, 1)
    ncc_forward_kernel(NccInput<kType> in, float* __restrict__ coefficients, double* __restrict__ parts, NccShape shape,
                       NccForm form) {
  constexpr NccTile kTile = ncc_tile(kRadius);
  constexpr int kWords = ncc_words(kRadius, kType);
  constexpr int kWindow = 2 * kRadius + 1;
  constexpr int kEach = kTile.each;
  constexpr int kPlaneWords = kWords * kNccRows * kTile.columns;
  constexpr float kFixedUnit = kType == FixedImage::kBytes ? 1.0F / 255.0F : 1.0F / static_cast<float>(kFixedPointOne);
  using Packing = NccPacking<kType, kWords>;
  extern __shared__ unsigned ncc_words_shared[];
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const int warp = static_cast<int>(threadIdx.x) / 32;
  const int column = static_cast<int>(threadIdx.x) % kTile.columns;  // of the second half
  const int group = static_cast<int>(threadIdx.x) / kTile.columns;
  const bool sums_rows = group < kTile.rows / kEach;
  const long long plane = shape.plane();
  const long long volumes = shape.voxels() * shape.n;
  long long at = first_pair(shape, blockIdx.x);
  const long long end = first_pair(shape, blockIdx.x + 1);
  float sum = 0.0F;
  unsigned largest = 0;
  while (at < end) {
    const NccRun run = ncc_run(shape, kTile, at, end);
    at += run.z1 - run.z0;
    const int x = run.x0 + 2 * (lane - kTile.halo);
    const int y = run.y0 - kRadius + 2 * warp;
    const bool has_x[2] = {x >= 0 && x < shape.w, x + 1 >= 0 && x + 1 < shape.w};
    const bool has_y[2] = {y >= 0 && y < shape.h, y + 1 >= 0 && y + 1 < shape.h};
    const long long corner = run.base + static_cast<long long>(y) * shape.w + x;
    const auto load = [&](int z, int row, bool wanted) {
      const bool inside = wanted && has_y[row] && z >= 0 && z < shape.d;
      return load_voxels<kType, kVector>(in, corner + row * shape.w + z * plane, inside && has_x[0],
                                         inside && has_x[1]);
    };
    NccSums<kType> sums[2][2] = {};
#pragma unroll 4
    for (int z = run.z0 - kRadius; z < run.z0 + kRadius; ++z) {
#pragma unroll
      for (int row = 0; row < 2; ++row) {
        const NccVoxels v = load(z, row, true);
        sums[row][0].add(v.fixed[0], v.warped[0]);
        sums[row][1].add(v.fixed[1], v.warped[1]);
        largest = max(largest, max(v.warped[0], v.warped[1]));
        if constexpr (kType == FixedImage::kFixedPoint) {
          largest = max(largest, max(v.fixed[0], v.fixed[1]));
        }
      }
    }
    NccVoxels next[2] = {load(run.z0 + kRadius, 0, true), load(run.z0 + kRadius, 1, true)};
    for (int z = run.z0; z < run.z1; ++z) {
      NccVoxels old[2];
#pragma unroll
      for (int row = 0; row < 2; ++row) {
        sums[row][0].add(next[row].fixed[0], next[row].warped[0]);
        sums[row][1].add(next[row].fixed[1], next[row].warped[1]);
        largest = max(largest, max(next[row].warped[0], next[row].warped[1]));
        if constexpr (kType == FixedImage::kFixedPoint) {
          largest = max(largest, max(next[row].fixed[0], next[row].fixed[1]));
        }
      }
#pragma unroll
      for (int row = 0; row < 2; ++row) {
        next[row] = load(z + 1 + kRadius, row, z + 1 < run.z1);
        old[row] = load(z - kRadius, row, true);
      }
      unsigned* words = ncc_words_shared + (z & 1) * kPlaneWords;
#pragma unroll
      for (int row = 0; row < 2; ++row) {
#pragma unroll
        for (int q = 0; q < kWords; ++q) {
          uint2 around;
          sum_along_x<kRadius>(Packing::word(sums[row][0], q), Packing::word(sums[row][1], q), around.x, around.y);
          if (lane >= kTile.halo && lane < 32 - kTile.halo) {
            const int to = (q * kNccRows + 2 * warp + row) * kTile.columns + 2 * (lane - kTile.halo);
            *reinterpret_cast<uint2*>(words + to) = around;
          }
        }
      }
#pragma unroll
      for (int row = 0; row < 2; ++row) {
        sums[row][0].remove(old[row].fixed[0], old[row].warped[0]);
        sums[row][1].remove(old[row].fixed[1], old[row].warped[1]);
      }
      __syncthreads();
      if (sums_rows) {
        unsigned totals[kEach][kWords];
#pragma unroll
        for (int q = 0; q < kWords; ++q) {
          const unsigned* from = words + (q * kNccRows + group * kEach) * kTile.columns + column;
          unsigned total = 0;
          unsigned leaving[kEach];
#pragma unroll
          for (int row = 0; row < kWindow; ++row) {
            const unsigned value = from[row * kTile.columns];
            total += value;
            if (row < kEach) {
              leaving[row] = value;
            }
          }
          totals[0][q] = total;
#pragma unroll
          for (int o = 1; o < kEach; ++o) {
            total += from[(kWindow - 1 + o) * kTile.columns] - leaving[o - 1];
            totals[o][q] = total;
          }
        }
        const int to_x = run.x0 + column;
#pragma unroll
        for (int o = 0; o < kEach; ++o) {
          const int to_y = run.y0 + group * kEach + o;
          if (to_x < shape.w && to_y < shape.h) {
            const NccWindow window =
                ncc_window<kWindow * kWindow * kWindow>(Packing::totals(totals[o]), kFixedUnit, form);
            sum += window.squared;
            if (coefficients != nullptr) {
              float* to = coefficients + run.base + (static_cast<long long>(z) * shape.h + to_y) * shape.w + to_x;
              to[0] = window.a;
              to[volumes] = window.b;
              to[2 * volumes] = window.c;
            }
          }
        }
      }
    }
    __syncthreads();
  }
  if (largest > kFixedPointOne) {
    sum = __int_as_float(0x7fffffff);
  }
  const double part = block_sum<kNccThreads>(static_cast<double>(sum));
  if (threadIdx.x == 0) {
    parts[blockIdx.x] = part;
  }
}

/// One instance, and its launch.
template <FixedImage kType, int kRadius, bool kVector>
void launch_ncc_forward(const NccPair& pair, float* coefficients, double* parts, unsigned blocks, Stream stream) {
  constexpr NccTile kTile = ncc_tile(kRadius);
  const auto kernel = ncc_forward_kernel<kType, kRadius, kVector>;
  const std::size_t shared = ncc_forward_shared_bytes(kTile, ncc_words(kRadius, kType));
  REGATTA_CUDA(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(shared)));
  kernel<<<blocks, kNccThreads, shared, stream>>>({pair.fixed, pair.warped}, coefficients, parts,
                                                  ncc_shape(pair.size, kTile), pair.form);
  check_launch("ncc_forward");
}

using NccForwardLaunch = void (*)(const NccPair&, float*, double*, unsigned, Stream);

/// By radius - 1, then by vector form.
template <FixedImage kType>
inline constexpr NccForwardLaunch kNccForward[5][2] = {
    {launch_ncc_forward<kType, 1, false>, launch_ncc_forward<kType, 1, true>},
    {launch_ncc_forward<kType, 2, false>, launch_ncc_forward<kType, 2, true>},
    {launch_ncc_forward<kType, 3, false>, launch_ncc_forward<kType, 3, true>},
    {launch_ncc_forward<kType, 4, false>, launch_ncc_forward<kType, 4, true>},
    {launch_ncc_forward<kType, 5, false>, launch_ncc_forward<kType, 5, true>}};

void ncc_forward_bytes(const NccPair& pair, float* coefficients, double* parts, unsigned blocks, bool vector,
                       Stream stream);
void ncc_forward_fixed_point(const NccPair& pair, float* coefficients, double* parts, unsigned blocks, bool vector,
                             Stream stream);

}  // namespace regatta::kernels
