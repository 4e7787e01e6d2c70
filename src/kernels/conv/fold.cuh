// Gradient with respect to an input that is read through nearest x2 up-sampling, from the sums of fold.hpp: a
// convolution of stride 2 over them. Two planes of sums of the output are alive: an even plane of s ends one and begins
// the next.
#pragma once

#include <cuda_runtime.h>

#include "kernels/conv/calls.hpp"
#include "kernels/conv/epilogue.cuh"
#include "kernels/conv/fold.hpp"
#include "kernels/conv/loader.cuh"
#include "kernels/launch.cuh"

namespace regatta::kernels::conv {

/// H and W are the input's. `voxel_bytes`: of s in memory.
template <class Tile, int kThreads>
__device__ __forceinline__ void fill_fold_table(int2* table, int y0, int x0, int H, int W, int voxel_bytes) {
  constexpr int kRow = Tile::kEven + Tile::kOdd;
  for (int i = static_cast<int>(threadIdx.x); i < Tile::kEntries; i += kThreads) {
    const int row = i / kRow;
    const int x = i % kRow;
    const bool odd = x >= Tile::kEven;
    const int own = odd ? x - Tile::kEven : x;
    const bool inside = 2 * y0 + row <= 2 * H && x0 + own < W + (odd ? 0 : 1);
    const int voxel = (2 * y0 + row) * (2 * W + 1) + (odd ? W + 1 : 0) + x0 + own;
    table[i] = make_int2(inside ? voxel * voxel_bytes : -1,
                         Tile::offset(row * Tile::kPitch + (odd ? Tile::kOddAt : 0) + own, 0));
  }
}

template <class F>
using FoldSums = float[F::kRows][F::kTiles][4];

/// Adds the plane in `stage`: an even one with kz = 2 to `old` and with kz = 0 to `fresh`, an odd one with kz = 1 to
/// `old`.
template <class F, bool kOddPlane>
__device__ __forceinline__ void add_folded(FoldSums<F>& old, FoldSums<F>& fresh, const std::uint32_t (&lane)[kTaps],
                                           std::uint32_t stage, std::uint32_t weights) {
  constexpr int kPlaneRows = 2 * F::kRows + 1;
#pragma unroll
  for (int step = 0; step < F::S::kSixteens; ++step) {
#pragma unroll
    for (int kx = 0; kx < kTaps; ++kx) {
      std::uint32_t a[kPlaneRows][4];
#pragma unroll
      for (int r = 0; r < kPlaneRows; ++r) {
        load_matrices(a[r], (lane[kx] ^ (step * 32)) + stage + r * F::Input::kRowBytes);
      }
#pragma unroll
      for (int ky = 0; ky < kTaps; ++ky) {
#pragma unroll
        for (int kz = kOddPlane ? 1 : 0; kz < kTaps; kz += 2) {
          std::uint32_t b[F::kTiles * 2];
          load_shared(b, weights + (((step * kTaps + kx) * kTaps + ky) * kTaps + kz) * F::kTapBytes);
#pragma unroll
          for (int r = 0; r < F::kRows; ++r) {
#pragma unroll
            for (int n = 0; n < F::kTiles; ++n) {
              mma_k16(kz == 0 ? fresh[r][n] : old[r][n], a[2 * r + ky], b[2 * n], b[2 * n + 1]);
            }
          }
        }
      }
    }
  }
}

/// One run of planes [begin, end) of one column.
template <class F>
__device__ __forceinline__ void fold_column(const ForwardCall& call, const std::uint32_t (&lane)[kTaps],
                                            const int2* table, std::uint32_t stages, std::uint32_t weights, long long n,
                                            int begin, int end, Finish<F>& finish) {
  const std::size_t plane = static_cast<std::size_t>(2 * call.H + 1) * (2 * call.W + 1) * F::Input::kVoxelBytes;
  const auto* source = static_cast<const std::uint8_t*>(call.wide[0]) + (n * (2 * call.D + 1) + 2 * begin) * plane;
  const int planes = 2 * (end - begin) + 1;
  int queued = 0;
  std::uint32_t queued_at = 0;
  std::uint32_t at = 0;
  const auto load = [&] {
    if (queued < planes) {
      load_plane<typename F::Input, F::kThreads>(source + queued * plane, table, stages + queued_at);
    }
    commit_copies();
    ++queued;
    queued_at = queued_at == (F::kStages - 1) * F::Input::kBytes ? 0 : queued_at + F::Input::kBytes;
  };
  const auto next = [&] { at = at == (F::kStages - 1) * F::Input::kBytes ? 0 : at + F::Input::kBytes; };
  for (int i = 0; i < F::kStages - 1; ++i) {
    load();
  }
  FoldSums<F> old = {};
  for (int z = begin; z <= end; ++z) {
    FoldSums<F> fresh = {};
    typename Finish<F>::Mask mask;
    wait_copies<F::kStages - 2>();
    __syncthreads();
    load();
    if (z > begin) {
      finish.prefetch(mask, z - 1);
    }
    add_folded<F, false>(old, fresh, lane, at, weights);
    next();
    if (z > begin) {
      finish.store(old, mask, z - 1);
    }
    if (z < end) {
#pragma unroll
      for (int r = 0; r < F::kRows; ++r) {
#pragma unroll
        for (int i = 0; i < F::kTiles * 4; ++i) {
          old[r][i / 4][i % 4] = fresh[r][i / 4][i % 4];
        }
      }
      wait_copies<F::kStages - 2>();
      __syncthreads();
      load();
      add_folded<F, true>(old, fresh, lane, at, weights);
      next();
    }
  }
  wait_copies<0>();
}

template <class F>
__global__ void __launch_bounds__(F::kThreads, F::kBlocks) fold(const ForwardCall call) {
  extern __shared__ __align__(1024) std::uint8_t shared_bytes[];
  const std::uint32_t shared = shared_address(shared_bytes);
  const int thread = static_cast<int>(threadIdx.x);
  const int group = static_cast<int>(blockIdx.y);
  const uint4* weights = static_cast<const uint4*>(call.weights) + group * (F::kWeightBytes / 16);
  for (int i = thread; i < F::kWeightBytes / 16; i += F::kThreads) {
    reinterpret_cast<uint4*>(shared_bytes)[i] = weights[i];
  }
  const int warp_channels = (thread >> 5) % F::kShape.warps_channels;
  const int warp_y = (thread >> 5) / F::kShape.warps_channels;
  std::uint32_t lane[kTaps];
#pragma unroll
  for (int kx = 0; kx < kTaps; ++kx) {
    lane[kx] =
        F::Input::offset(F::Input::voxel(thread & 15, kx) + 2 * warp_y * F::kRows * F::Input::kPitch, thread >> 4 & 1) +
        shared + F::kStageAt;
  }
  Finish<F> finish(call, warp_channels, group);
  int2* table = reinterpret_cast<int2*>(shared_bytes + F::kTableAt);
  const Columns<F::kHeight, F::kWidth> columns(call.H, call.W);
  Shares shares(columns.count(call.N), call.D);
  long long index = 0;
  int begin = 0;
  int end = 0;
  while (shares.next(index, begin, end)) {
    const Column column = columns.at(index);
    __syncthreads();
    fill_fold_table<typename F::Input, F::kThreads>(table, column.y, column.x, call.H, call.W, F::Input::kVoxelBytes);
    __syncthreads();
    finish.place(column.n, column.y + warp_y * F::kRows, column.x);
    fold_column<F>(call, lane, table, shared + F::kStageAt,
                   shared + (warp_channels * 32 + (thread & 31)) * F::kTiles * 8, column.n, begin, end, finish);
  }
}

template <class F>
void launch_fold(const ForwardCall& call, int multiprocessors, Stream stream) {
  REGATTA_CUDA(cudaFuncSetAttribute(fold<F>, cudaFuncAttributeMaxDynamicSharedMemorySize, F::kSharedBytes));
  const dim3 grid(divide_up(multiprocessors * F::kBlocks, call.groups), static_cast<unsigned>(call.groups));
  fold<F><<<grid, F::kThreads, F::kSharedBytes, stream>>>(call);
  check_launch("fold");
}

}  // namespace regatta::kernels::conv
