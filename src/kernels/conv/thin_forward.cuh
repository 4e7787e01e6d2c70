// First layer, 2 channels of raw images, stride 2: forward. Memory decides; an output plane is summed at once from
// three planes of the input, with the operands of march.cuh's two-channel step.
#pragma once

#include <cuda_runtime.h>

#include "kernels/conv/calls.hpp"
#include "kernels/conv/epilogue.cuh"
#include "kernels/conv/loader.cuh"
#include "kernels/conv/thin.hpp"
#include "kernels/launch.cuh"

namespace regatta::kernels::conv {

template <class F>
struct ThinOperands {
  std::uint32_t upper[kTaps][F::kTiles * 2];  // rows 0 and 1
  std::uint32_t lower[kTaps][F::kTiles * 2];  // row 2

  __device__ ThinOperands(const void* packed, int warp_channels, int group) {
    const auto* words = static_cast<const std::uint32_t*>(packed) + group * (F::kWeightBytes / 4) +
                        (warp_channels * 32 + (static_cast<int>(threadIdx.x) & 31)) * F::kTiles * 2;
#pragma unroll
    for (int kz = 0; kz < kTaps; ++kz) {
#pragma unroll
      for (int i = 0; i < F::kTiles * 2; ++i) {
        upper[kz][i] = words[kz * (F::kTapBytes / 4) + i];
        lower[kz][i] = words[(kTaps + kz) * (F::kTapBytes / 4) + i];
      }
    }
  }
};

template <class F>
__device__ __forceinline__ void add_thin_plane(float (&sums)[F::kRows][F::kTiles][4],
                                               const std::uint32_t (&upper)[F::kTiles * 2],
                                               const std::uint32_t (&lower)[F::kTiles * 2], std::uint32_t lane) {
  std::uint32_t a[2 * F::kRows + 1][2];
#pragma unroll
  for (int r = 0; r < 2 * F::kRows + 1; ++r) {
    a[r][0] = load_shared(lane + F::Input::row_offset(r, 0));
    a[r][1] = load_shared(lane + F::Input::row_offset(r, 16));
  }
#pragma unroll
  for (int r = 0; r < F::kRows; ++r) {
    const std::uint32_t rows[4] = {a[2 * r][0], a[2 * r][1], a[2 * r + 1][0], a[2 * r + 1][1]};
#pragma unroll
    for (int n = 0; n < F::kTiles; ++n) {
      mma_k16(sums[r][n], rows, upper[2 * n], upper[2 * n + 1]);
      mma_k8(sums[r][n], a[2 * r + 2][0], a[2 * r + 2][1], lower[2 * n]);
    }
  }
}

template <class F>
__global__ void __launch_bounds__(F::kThreads, F::kBlocks) thin_forward(const ForwardCall call) {
  extern __shared__ __align__(1024) std::uint8_t shared_bytes[];
  const std::uint32_t shared = shared_address(shared_bytes);
  const int lane = static_cast<int>(threadIdx.x) & 31;
  const int warp = static_cast<int>(threadIdx.x) >> 5;
  const int warp_channels = warp % F::kShape.warps_channels;
  const int warp_x = warp / F::kShape.warps_channels % F::kShape.warps_x;
  const int warp_y = warp / F::kShape.warps_channels / F::kShape.warps_x;
  const ThinOperands<F> weights(call.weights, warp_channels, static_cast<int>(blockIdx.y));
  const std::uint32_t at =
      shared + F::Input::row_offset(2 * warp_y * F::kRows, 2 * (warp_x * 16 + (lane >> 2)) + (lane & 3));
  Finish<F> finish(call, warp_channels, static_cast<int>(blockIdx.y));
  int2* table = reinterpret_cast<int2*>(shared_bytes + F::kTableAt);
  const Columns<F::kHeight, F::kWidth> columns(call.H, call.W);
  Shares shares(columns.count(call.N), call.D);
  const std::size_t plane = static_cast<std::size_t>(call.input_H) * call.input_W * F::Input::kVoxelBytes;
  long long index = 0;
  int begin = 0;
  int end = 0;
  while (shares.next(index, begin, end)) {
    const Column column = columns.at(index);
    __syncthreads();
    fill_table<typename F::Input, 2 * F::kWidth, 1, false, F::kThreads>(table, 2 * column.y, 2 * column.x, call.input_H,
                                                                        call.input_W, F::Input::kVoxelBytes);
    __syncthreads();
    finish.place(column.n, column.y + warp_y * F::kRows, column.x + warp_x * 16);
    const auto* input = static_cast<const std::uint8_t*>(call.thin) + column.n * call.input_D * plane;
    // input plane 2 begin - 1 + i lies in slot i mod 5
    const auto load = [&](int i) {
      const int z = 2 * begin - 1 + i;
      if (z >= 0 && z < call.input_D) {
        load_plane<typename F::Input, F::kThreads, 4>(input + z * plane, table,
                                                      shared + i % F::kSlots * F::Input::kBytes);
      }
    };
    load(0);
    load(1);
    load(2);
    commit_copies();
    for (int z = begin; z < end; ++z) {
      const int first = 2 * (z - begin);
      wait_copies<0>();
      __syncthreads();
      if (z + 1 < end) {
        load(first + 3);
        load(first + 4);
      }
      commit_copies();
      float sums[F::kRows][F::kTiles][4] = {};
#pragma unroll
      for (int kz = 0; kz < kTaps; ++kz) {
        const int from = 2 * z - 1 + kz;
        if (from >= 0 && from < call.input_D) {
          add_thin_plane<F>(sums, weights.upper[kz], weights.lower[kz],
                            at + (first + kz) % F::kSlots * F::Input::kBytes);
        }
      }
      const typename Finish<F>::Mask none = {};
      finish.store(sums, none, z);
    }
  }
}

template <class F>
void launch_thin_forward(const ForwardCall& call, int multiprocessors, Stream stream) {
  REGATTA_CUDA(cudaFuncSetAttribute(thin_forward<F>, cudaFuncAttributeMaxDynamicSharedMemorySize, F::kSharedBytes));
  const dim3 grid(static_cast<unsigned>(multiprocessors * F::kBlocks), static_cast<unsigned>(call.groups));
  thin_forward<F><<<grid, F::kThreads, F::kSharedBytes, stream>>>(call);
  check_launch("thin_forward");
}

}  // namespace regatta::kernels::conv
