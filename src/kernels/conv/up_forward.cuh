// Forward convolution of an input before its nearest x2 up-sampling, plus a thin input at full resolution, by mma.sync.
//
// Blocks march along z over the small input. Plane z of it, and planes 2 z and 2 z + 1 of the thin input, add to four
// planes of the output, 2 z - 1 .. 2 z + 2, which live in registers; then the first two of them are complete.
#pragma once

#include <cuda_runtime.h>

#include "kernels/conv/calls.hpp"
#include "kernels/conv/epilogue.cuh"
#include "kernels/conv/loader.cuh"
#include "kernels/conv/up_forward.hpp"
#include "kernels/launch.cuh"

namespace regatta::kernels::conv {

template <class F>
using UpSums = float[kLive][F::kRows][F::kTiles][4];

/// Adds a plane of the small input; output plane 2 z - 1 + i has slot (first + i) mod 4. The last two begin here.
template <class F>
__device__ __forceinline__ void add_small(UpSums<F>& sums, int first, const std::uint32_t (&lane)[2],
                                          std::uint32_t stage, std::uint32_t weights) {
#pragma unroll
  for (int step = 0; step < F::kSixteens; ++step) {
#pragma unroll
    for (int tx = 0; tx < 2; ++tx) {
      std::uint32_t a[F::kRows + 1][4];
#pragma unroll
      for (int r = 0; r < F::kRows + 1; ++r) {
        load_matrices(a[r], (lane[tx] ^ (step * 32)) + stage + r * F::Input::kPitch * F::Input::kVoxelBytes);
      }
#pragma unroll
      for (int ty = 0; ty < 2; ++ty) {
#pragma unroll
        for (int i = 0; i < kLive; ++i) {
          std::uint32_t b[F::kTiles * 2];
          load_shared(b, weights + (((step * 2 + tx) * 2 + ty) * kLive + i) * F::kTapBytes);
          const bool begins = i >= 2 && step == 0 && tx == 0 && ty == 0;
#pragma unroll
          for (int r = 0; r < F::kRows; ++r) {
#pragma unroll
            for (int n = 0; n < F::kTiles; ++n) {
              if (begins) {
                mma_k16_first(sums[(first + i) % kLive][r][n], a[r + ty], b[2 * n], b[2 * n + 1]);
              } else {
                mma_k16(sums[(first + i) % kLive][r][n], a[r + ty], b[2 * n], b[2 * n + 1]);
              }
            }
          }
        }
      }
    }
  }
}

/// Adds a plane of the thin input to output planes with slots newest - 2 .. newest.
template <class F>
__device__ __forceinline__ void add_raw(UpSums<F>& sums, int newest, std::uint32_t lane, std::uint32_t weights) {
  constexpr int kPlaneRows = 2 * F::kRows + 1;
  std::uint32_t a[kPlaneRows][2];
#pragma unroll
  for (int r = 0; r < kPlaneRows; ++r) {
    a[r][0] = load_shared(lane + F::Thin::row_offset(r, 0));
    a[r][1] = load_shared(lane + F::Thin::row_offset(r, 16));
  }
#pragma unroll
  for (int kz = 0; kz < kTaps; ++kz) {
    const int slot = (newest - kz + kLive) % kLive;
    std::uint32_t upper[F::kTiles * 2];
    std::uint32_t lower[F::kTiles * 2];
    load_shared(upper, weights + kz * F::kTapBytes);
    load_shared(lower, weights + (kTaps + kz) * F::kTapBytes);
#pragma unroll
    for (int r = 0; r < F::kRows; ++r) {
      const std::uint32_t rows[4] = {a[2 * r][0], a[2 * r][1], a[2 * r + 1][0], a[2 * r + 1][1]};
#pragma unroll
      for (int n = 0; n < F::kTiles; ++n) {
        mma_k16(sums[slot][r][n], rows, upper[2 * n], upper[2 * n + 1]);
        mma_k8(sums[slot][r][n], a[2 * r + 2][0], a[2 * r + 2][1], lower[2 * n]);
      }
    }
  }
}

/// What a warp is for, and where its lanes read in the first stage.
template <class F>
struct UpWarp {
  int channels;
  int py;
  int px;
  int row;  // of the small tile
  std::uint32_t input[2];
  std::uint32_t thin;
  std::uint32_t weights;
  std::uint32_t thin_weights;

  __device__ explicit UpWarp(std::uint32_t shared) {
    const int lane = static_cast<int>(threadIdx.x) & 31;
    const int warp = static_cast<int>(threadIdx.x) >> 5;
    px = warp & 1;
    py = warp >> 1 & 1;
    channels = (warp >> 2) % F::kShape.warps_channels;
    row = (warp >> 2) / F::kShape.warps_channels * F::kRows;
#pragma unroll
    for (int tx = 0; tx < 2; ++tx) {
      const int voxel = (row + py) * F::Input::kPitch + px + tx + (lane & 15);
      input[tx] = shared + F::kStageAt + F::Input::offset(voxel, lane >> 4);
    }
    thin =
        shared + F::kStageAt + F::Input::kBytes + F::Thin::row_offset(2 * row + py, 2 * (lane >> 2) + px + (lane & 3));
    const std::uint32_t of_lane = (channels * 32 + lane) * F::kTiles * 8;
    weights = shared + of_lane + (py * 2 + px) * (F::kThinTaps / kParities) * F::kTapBytes;
    thin_weights = shared + of_lane + F::kThinTaps * F::kTapBytes;
  }
};

/// Queues the copies of plane z of the small input and of its two full ones.
template <class F>
__device__ __forceinline__ void load_up(const ForwardCall& call, long long n, int z, const int2* table,
                                        std::uint32_t stage) {
  const long long plane = static_cast<long long>(call.H) * call.W;
  const auto* input =
      static_cast<const std::uint8_t*>(call.wide[0]) + (n * (call.D / 2) + z) * (plane / 4) * F::Input::kVoxelBytes;
  load_plane<typename F::Input, F::kThreads>(input, table, stage);
  if constexpr (F::kShape.thin > 0) {
    const auto* thin =
        static_cast<const std::uint8_t*>(call.thin) + (n * call.D + 2 * z) * plane * F::Thin::kVoxelBytes;
    for (int i = 0; i < 2; ++i) {
      load_plane<typename F::Thin, F::kThreads, F::Thin::kVoxelBytes>(thin + i * plane * F::Thin::kVoxelBytes,
                                                                      table + F::Input::kEntries,
                                                                      stage + F::Input::kBytes + i * F::Thin::kBytes);
    }
  }
}

/// One run of planes [begin, end) of the small input.
template <class F>
__device__ __forceinline__ void up_column(const ForwardCall& call, const UpWarp<F>& warp, const int2* table,
                                          std::uint32_t stages, long long n, int begin, int end, Finish<F>& finish) {
  const int depth = call.D / 2;
  std::uint32_t queued_at = 0;
  const auto load = [&](int z) {
    if (z >= 0 && z < depth && z <= end) {
      load_up<F>(call, n, z, table, stages + queued_at);
    }
    commit_copies();
    queued_at = queued_at == (F::kStages - 1) * F::kStageBytes ? 0 : queued_at + F::kStageBytes;
  };
  for (int i = 0; i < F::kStages - 1; ++i) {
    load(begin - 1 + i);
  }
  UpSums<F> sums = {};
  const typename Finish<F>::Mask none = {};
  std::uint32_t at = 0;
  for (int first = begin - 1; first <= end; first += 2) {
#pragma unroll
    for (int phase = 0; phase < 2; ++phase) {
      const int z = first + phase;
      if (z <= end) {
        wait_copies<F::kStages - 2>();
        __syncthreads();
        load(z + F::kStages - 1);
        const int oldest = 2 * phase;
        if (z >= 0 && z < depth) {
          add_small<F>(sums, oldest, warp.input, at, warp.weights);
          if constexpr (F::kShape.thin > 0) {
            add_raw<F>(sums, oldest + 2, warp.thin + at, warp.thin_weights);
            add_raw<F>(sums, oldest + 3, warp.thin + at + F::Thin::kBytes, warp.thin_weights);
          }
        } else {
          clear_sums(sums[(oldest + 2) % kLive]);
          clear_sums(sums[(oldest + 3) % kLive]);
        }
        at = at == (F::kStages - 1) * F::kStageBytes ? 0 : at + F::kStageBytes;
        if (z > begin) {
          finish.store(sums[oldest], none, 2 * z - 1);
        }
        if (z >= begin && z < end) {
          finish.store(sums[oldest + 1], none, 2 * z);
        }
      }
    }
  }
  wait_copies<0>();
}

template <class F>
__global__ void __launch_bounds__(F::kThreads, F::kBlocks) up_forward(const ForwardCall call) {
  extern __shared__ __align__(1024) std::uint8_t shared_bytes[];
  const std::uint32_t shared = shared_address(shared_bytes);
  const int thread = static_cast<int>(threadIdx.x);
  const int group = static_cast<int>(blockIdx.y);
  const uint4* weights = static_cast<const uint4*>(call.weights) + group * (F::kWeightBytes / 16);
  for (int i = thread; i < F::kWeightBytes / 16; i += F::kThreads) {
    reinterpret_cast<uint4*>(shared_bytes)[i] = weights[i];
  }
  const UpWarp<F> warp(shared);
  Finish<F> finish(call, warp.channels, group);
  int2* table = reinterpret_cast<int2*>(shared_bytes + F::kTableAt);
  const Columns<F::kHeight, F::kWidth> columns(call.H / 2, call.W / 2);
  Shares shares(columns.count(call.N), call.D / 2);
  long long index = 0;
  int begin = 0;
  int end = 0;
  while (shares.next(index, begin, end)) {
    const Column column = columns.at(index);
    __syncthreads();
    fill_table<typename F::Input, F::kWidth, 1, false, F::kThreads>(table, column.y, column.x, call.H / 2, call.W / 2,
                                                                    F::Input::kVoxelBytes);
    fill_table<typename F::Thin, 2 * F::kWidth, 1, false, F::kThreads>(
        table + F::Input::kEntries, 2 * column.y, 2 * column.x, call.H, call.W, F::Thin::kVoxelBytes);
    __syncthreads();
    finish.place(column.n, 2 * (column.y + warp.row) + warp.py, 2 * column.x + warp.px);
    up_column<F>(call, warp, table, shared + F::kStageAt, column.n, begin, end, finish);
  }
}

template <class F>
void launch_up(const ForwardCall& call, int multiprocessors, Stream stream) {
  REGATTA_CUDA(cudaFuncSetAttribute(up_forward<F>, cudaFuncAttributeMaxDynamicSharedMemorySize, F::kSharedBytes));
  const dim3 grid(divide_up(multiprocessors * F::kBlocks, call.groups), static_cast<unsigned>(call.groups));
  up_forward<F><<<grid, F::kThreads, F::kSharedBytes, stream>>>(call);
  check_launch("up_forward");
}

}  // namespace regatta::kernels::conv
