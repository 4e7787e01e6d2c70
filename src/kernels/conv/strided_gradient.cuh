// Data gradient of a 3x3x3 convolution of stride 2, by mma.sync, with the derivative of a LeakyReLU or PReLU.
//
// Along each axis voxel 2 j of the input was read by output j through the middle tap, voxel 2 j + 1 by output j through
// the last tap and by output j + 1 through the first. So one plane of the output's gradient and the next one give two
// planes of the input's; in each, voxels of four parities in y and x are summed at a time, with 27 products for eight
// voxels and no zeros. A block marches along z.
#pragma once

#include <cuda_runtime.h>

#include <cstddef>

#include "kernels/conv/calls.hpp"
#include "kernels/conv/epilogue.cuh"
#include "kernels/conv/loader.cuh"
#include "kernels/conv/slope.cuh"
#include "kernels/conv/strided_gradient.hpp"
#include "kernels/launch.cuh"

namespace regatta::kernels::conv {

template <class F>
using ParitySums = float[F::kParities][F::kRows][F::kTiles][4];  // parity 2 y + x

/// Adds the plane of the output's gradient in the slot at `slot` through the taps kz. `lane`: where a thread reads it,
/// at its own voxels and at the next ones along x. The packed weights are mirrored.
template <class F, int kz>
__device__ __forceinline__ void add_strided_gradient(ParitySums<F>& sums, const std::uint32_t (&lane)[2],
                                                     std::uint32_t slot, std::uint32_t weights) {
#pragma unroll
  for (int step = 0; step < F::kSixteens; ++step) {
#pragma unroll
    for (int beside = 0; beside < 2; ++beside) {
      std::uint32_t a[F::kRows + 1][4];
#pragma unroll
      for (int r = 0; r < F::kRows + 1; ++r) {
        load_matrices(a[r], (lane[beside] ^ (step * 32)) + slot + r * F::Input::kPitch * F::Input::kVoxelBytes);
      }
#pragma unroll
      for (int tap = 0; tap < kTaps * kTaps; ++tap) {
        const int ky = tap / kTaps;
        const int kx = tap % kTaps;
        if ((kx == 0) != (beside == 1)) {
          continue;
        }
        const int parity = (ky == 1 ? 0 : 2) + (kx == 1 ? 0 : 1);
        const int below = ky == 0 ? 1 : 0;
        const int index = ((step * kTaps + 2 - kx) * kTaps + 2 - ky) * kTaps + 2 - kz;
        std::uint32_t b[F::kTiles * 2];
        load_shared(b, weights + index * F::kTapBytes);
#pragma unroll
        for (int r = 0; r < F::kRows; ++r) {
#pragma unroll
          for (int n = 0; n < F::kTiles; ++n) {
            mma_k16(sums[parity][r][n], a[r + below], b[2 * n], b[2 * n + 1]);
          }
        }
      }
    }
  }
}

/// A warp's first voxel of the output's gradient.
struct StridedPlace {
  long long n;
  int y;
  int x;
};

template <class F>
__device__ __forceinline__ void prefetch_parities(typename Finish<F>::Mask (&masks)[F::kParities], Finish<F>& finish,
                                                  const StridedPlace& place, int z) {
#pragma unroll
  for (int parity = 0; parity < F::kParities; ++parity) {
    finish.place(place.n, 2 * place.y + parity / 2, 2 * place.x + parity % 2);
    finish.prefetch(masks[parity], z);
  }
}

template <class F>
__device__ __forceinline__ void store_parities(const ParitySums<F>& sums,
                                               const typename Finish<F>::Mask (&masks)[F::kParities], Finish<F>& finish,
                                               const StridedPlace& place, int z) {
#pragma unroll
  for (int parity = 0; parity < F::kParities; ++parity) {
    finish.place(place.n, 2 * place.y + parity / 2, 2 * place.x + parity % 2);
    finish.store(sums[parity], masks[parity], z);
  }
}

/// One run of planes [begin, end) of the output's gradient in one column.
template <class F>
__device__ __forceinline__ void strided_gradient_column(const ExtendedCall& call, const std::uint32_t (&lane)[2],
                                                        const int2* table, std::uint32_t slots, std::uint32_t weights,
                                                        const StridedPlace& place, int begin, int end,
                                                        Finish<F>& finish) {
  const std::size_t plane = static_cast<std::size_t>(call.input_H) * call.input_W * F::Input::kVoxelBytes;
  const auto* gradient = static_cast<const std::uint8_t*>(call.wide[0]) + place.n * call.input_D * plane;
  const auto slot = [&](int j) { return static_cast<std::uint32_t>((j - begin) % F::kSlots * F::Input::kBytes); };
  const auto load = [&](int j) {
    if (j <= end && j < call.input_D) {
      load_plane<typename F::Input, F::kThreads>(gradient + j * plane, table, slots + slot(j));
    }
    commit_copies();
  };
  load(begin);
  load(begin + 1);
  for (int j = begin; j < end; ++j) {
    wait_copies<0>();
    __syncthreads();
    load(j + 2);
    typename Finish<F>::Mask masks[F::kParities];
    prefetch_parities<F>(masks, finish, place, 2 * j);
    ParitySums<F> sums = {};
    add_strided_gradient<F, 1>(sums, lane, slot(j), weights);
    store_parities<F>(sums, masks, finish, place, 2 * j);
    if (2 * j + 1 < call.D) {
      prefetch_parities<F>(masks, finish, place, 2 * j + 1);
#pragma unroll
      for (auto& parity : sums) {
        clear_sums(parity);
      }
      add_strided_gradient<F, 2>(sums, lane, slot(j), weights);
      if (j + 1 < call.input_D) {
        add_strided_gradient<F, 0>(sums, lane, slot(j + 1), weights);
      }
      store_parities<F>(sums, masks, finish, place, 2 * j + 1);
    }
  }
  wait_copies<0>();
}

template <class F>
__global__ void __launch_bounds__(F::kThreads, F::kBlocks) strided_gradient(const ExtendedCall call) {
  extern __shared__ __align__(1024) std::uint8_t shared_bytes[];
  const std::uint32_t shared = shared_address(shared_bytes);
  const int thread = static_cast<int>(threadIdx.x);
  const int group = static_cast<int>(blockIdx.y);
  const uint4* weights = static_cast<const uint4*>(call.weights) + group * (F::kWeightBytes / 16);
  for (int i = thread; i < F::kWeightBytes / 16; i += F::kThreads) {
    reinterpret_cast<uint4*>(shared_bytes)[i] = weights[i];
  }
  const int warp = thread >> 5;
  const int warp_channels = warp % F::kShape.warps_channels;
  const int x = warp / F::kShape.warps_channels % F::kShape.warps_x * 16;
  const int y = warp / F::kShape.warps_channels / F::kShape.warps_x * F::kRows;
  std::uint32_t lane[2];
#pragma unroll
  for (int beside = 0; beside < 2; ++beside) {
    lane[beside] =
        shared + F::kSlotAt + F::Input::offset(y * F::Input::kPitch + x + (thread & 15) + beside, (thread & 31) >> 4);
  }
  const std::uint32_t weights_at = shared + (warp_channels * 32 + (thread & 31)) * F::kTiles * 8;
  Finish<F> finish(call, warp_channels, group);
  int2* table = reinterpret_cast<int2*>(shared_bytes + F::kTableAt);
  const Columns<F::kHeight, F::kWidth> columns(call.input_H, call.input_W);
  Shares shares(columns.count(call.N), call.input_D);
  long long index = 0;
  int begin = 0;
  int end = 0;
  while (shares.next(index, begin, end)) {
    const Column column = columns.at(index);
    __syncthreads();
    fill_table<typename F::Input, F::kWidth, 0, false, F::kThreads>(table, column.y, column.x, call.input_H,
                                                                    call.input_W, F::Input::kVoxelBytes);
    __syncthreads();
    strided_gradient_column<F>(call, lane, table, shared + F::kSlotAt, weights_at,
                               {column.n, column.y + y, column.x + x}, begin, end, finish);
  }
  float* partial = call.slope_partial == nullptr ? nullptr : call.slope_partial + blockIdx.y * gridDim.x + blockIdx.x;
  store_slope_sum<F::kThreads>(finish.slope_sum, reinterpret_cast<float*>(shared_bytes), partial);
}

template <class F>
void launch_strided_gradient(const ExtendedCall& call, int multiprocessors, Stream stream) {
  REGATTA_CUDA(cudaFuncSetAttribute(strided_gradient<F>, cudaFuncAttributeMaxDynamicSharedMemorySize, F::kSharedBytes));
  const dim3 grid(divide_up(multiprocessors * F::kBlocks, call.groups), static_cast<unsigned>(call.groups));
  strided_gradient<F><<<grid, F::kThreads, F::kSharedBytes, stream>>>(call);
  check_launch("strided_gradient");
}

}  // namespace regatta::kernels::conv
