// NCC, forward pass. Along z first: each thread keeps running sums of two columns by two rows; the plane that leaves
// the window is read again, from the cache. Then along x by shuffles within the warp, then along y through shared
// memory. All sums are integers, so adding and subtracting is exact.
#pragma once

#include "kernels/ncc_sums.cuh"
#include "kernels/reduce.cuh"

namespace regatta::kernels {

/// Sums over kWindow rows for neighbouring rows of outputs: each next one adds a row and leaves one. @param from  x
/// sums
template <NccTile kTile, int kWindow, int kWords>
__device__ __forceinline__ void sum_rows_exactly(const unsigned* from, unsigned (&totals)[kTile.each][kWords]) {
  constexpr int kEach = kTile.each;
#pragma unroll
  for (int q = 0; q < kWords; ++q) {
    const unsigned* rows = from + q * kNccRows * kTile.columns;
    unsigned total = 0;
    unsigned leaving[kEach];
#pragma unroll
    for (int row = 0; row < kWindow; ++row) {
      const unsigned value = rows[row * kTile.columns];
      total += value;
      if (row < kEach) {
        leaving[row] = value;
      }
    }
    totals[0][q] = total;
#pragma unroll
    for (int o = 1; o < kEach; ++o) {
      total += rows[(kWindow - 1 + o) * kTile.columns] - leaving[o - 1];
      totals[o][q] = total;
    }
  }
}

/// @param mask  of no effect in the vector form, which has no registers left for it
template <FixedImage kType, int kRadius, bool kVector>
__global__ void __launch_bounds__(kNccThreads, 1)
    ncc_forward_kernel(NccInput<kType> in, const std::uint8_t* __restrict__ mask, float* __restrict__ coefficients,
                       double* __restrict__ parts, NccShape shape, NccForm form) {
  constexpr NccTile kTile = ncc_tile(kRadius);
  constexpr int kWords = ncc_words(kRadius, kType);
  constexpr int kWindow = 2 * kRadius + 1;
  constexpr int kEach = kTile.each;
  constexpr int kPlaneWords = kWords * kNccRows * kTile.columns;
  constexpr float kFixedUnit = kType == FixedImage::kBytes ? 1.0F / 255.0F : 1.0F / static_cast<float>(kFixedPointOne);
  using Index = std::conditional_t<kVector, long long, int>;  // masks need the registers
  using Packing = NccPacking<kType, kWords>;
  extern __shared__ unsigned ncc_words_shared[];
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const int warp = static_cast<int>(threadIdx.x) / 32;
  const int column = static_cast<int>(threadIdx.x) % kTile.columns;  // of the second half
  const int group = static_cast<int>(threadIdx.x) / kTile.columns;
  const bool sums_rows = group < kTile.rows / kEach;
  const auto plane = static_cast<Index>(shape.plane());
  const long long volumes = shape.voxels() * shape.n;
  auto at = static_cast<Index>(first_pair(shape, blockIdx.x));
  const auto end = static_cast<Index>(first_pair(shape, blockIdx.x + 1));
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
      return load_voxels<kType, kVector>(in, corner + row * shape.w + static_cast<long long>(z) * plane,
                                         inside && has_x[0], inside && has_x[1]);
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
        sum_rows_exactly<kTile, kWindow>(words + group * kEach * kTile.columns + column, totals);
        const int to_x = run.x0 + column;
#pragma unroll
        for (int o = 0; o < kEach; ++o) {
          const int to_y = run.y0 + group * kEach + o;
          if (to_x < shape.w && to_y < shape.h) {
            const long long here = run.base + (static_cast<long long>(z) * shape.h + to_y) * shape.w + to_x;
            NccWindow window = {};
            if (kVector || mask == nullptr || __ldg(mask + here) != 0) {
              window = ncc_window<kWindow * kWindow * kWindow>(Packing::totals(totals[o]), kFixedUnit, form);
            }
            sum += window.squared;
            if (coefficients != nullptr) {
              float* to = coefficients + here;
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
  kernel<<<blocks, kNccThreads, shared, stream>>>({pair.fixed, pair.warped}, pair.mask, coefficients, parts,
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
