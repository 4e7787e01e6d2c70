// Gradient of the weights and the bias of a 3x3x3 convolution of stride 2, by mma.sync: first stage, a sum per block.
//
// The products are those of weight_gradient.cuh. Of a row of the input the voxels of odd and of even number lie apart,
// so that the 16 voxels that one tap meets are neighbours. A block marches along z with five planes of the input in
// shared memory: the three that meet the gradient's plane, and two on their way.
#pragma once

#include <cuda_runtime.h>

#include <cstddef>

#include "kernels/conv/calls.hpp"
#include "kernels/conv/loader.cuh"
#include "kernels/conv/merge.cuh"
#include "kernels/conv/strided_weights.hpp"
#include "kernels/launch.cuh"

namespace regatta::kernels::conv {

template <class F>
struct StridedWeightSums {
  float taps[kTaps][kTaps][F::kTiles][4];  // ky, kx
  float bias[F::kTiles][4];
};

/// What a warp is for, and where its lanes read, in the first slot.
template <class F>
struct StridedWarp {
  int kz;
  int sixteen;  // of the group's input channels
  int channels;
  int sharer;
  int role;
  std::uint32_t input[kTaps];
  std::uint32_t gradient;

  __device__ StridedWarp(std::uint32_t shared, int thread) {
    const int lane = thread & 31;
    role = (thread >> 5) % F::kRoles;
    sharer = (thread >> 5) / F::kRoles;
    kz = role % kTaps;
    sixteen = role / kTaps % F::kSixteens;
    channels = role / kTaps / F::kSixteens;
    const int y = sharer * F::kRows;
    const int matrix = lane >> 3;
    const int within = lane & 7;
#pragma unroll
    for (int kx = 0; kx < kTaps; ++kx) {
      const int voxel = 2 * y * F::Input::kPitch + F::Input::slot(kx) + (matrix >> 1) * 8 + within;
      input[kx] = shared + F::Input::Dense::offset(voxel, sixteen * 2 + (matrix & 1));
    }
    gradient = shared + F::kGradientAt +
               F::Gradient::offset(y * F::Gradient::kPitch + (matrix & 1) * 8 + within,
                                   channels * F::kTiles + (F::kTiles == 2 ? matrix >> 1 : 0));
  }

  __device__ bool has_bias() const {
    return kz == 1 && sixteen == 0;
  }
};

/// Adds one plane of the gradient times the plane of the input that this warp's kz meets there.
template <class F>
__device__ __forceinline__ void add_strided_plane(StridedWeightSums<F>& sums, const StridedWarp<F>& warp,
                                                  std::uint32_t input_at, std::uint32_t gradient_at, bool real) {
  const std::uint32_t ones[4] = {0x3f803f80U, 0x3f803f80U, 0x3f803f80U, 0x3f803f80U};
  std::uint32_t b[2][F::kTiles * 2];  // of the row before, of this one
#pragma unroll
  for (int row = 0; row < 2 * F::kRows + 1; ++row) {
    const int y = row / 2;
    if (row % 2 == 0 && y < F::kRows) {
      load_matrices_transposed(b[y % 2],
                               warp.gradient + gradient_at + y * F::Gradient::kPitch * F::Gradient::kVoxelBytes);
      if (warp.has_bias()) {
#pragma unroll
        for (int n = 0; n < F::kTiles; ++n) {
          mma_k16(sums.bias[n], ones, b[y % 2][2 * n], b[y % 2][2 * n + 1]);
        }
      }
    }
    if (!real) {
      continue;
    }
#pragma unroll
    for (int kx = 0; kx < kTaps; ++kx) {
      std::uint32_t a[4];
      load_matrices_transposed(a, warp.input[kx] + input_at + row * F::Input::kPitch * F::Input::kVoxelBytes);
#pragma unroll
      for (int ky = 0; ky < kTaps; ++ky) {
        const int from = (row - ky) / 2;
        if ((row - ky) % 2 == 0 && row >= ky && from < F::kRows) {
#pragma unroll
          for (int n = 0; n < F::kTiles; ++n) {
            mma_k16(sums.taps[ky][kx][n], a, b[from % 2][2 * n], b[from % 2][2 * n + 1]);
          }
        }
      }
    }
  }
}

/// A block's sums: [kz][ky][kx][input channel][out], then the bias.
template <class F>
__device__ __forceinline__ void store_strided_sums(float* to, const StridedWeightSums<F>& sums,
                                                   const StridedWarp<F>& warp) {
  const int group = static_cast<int>(threadIdx.x) >> 2 & 7;
  const int quad = static_cast<int>(threadIdx.x) & 3;
#pragma unroll
  for (int tap = 0; tap < kTaps * kTaps; ++tap) {
#pragma unroll
    for (int n = 0; n < F::kTiles; ++n) {
      const float(&four)[4] = sums.taps[tap / kTaps][tap % kTaps][n];
      const int row = (warp.kz * kTaps * kTaps + tap) * F::kIn + warp.sixteen * 16 + group;
      float* at = to + row * F::kOut + (warp.channels * F::kTiles + n) * 8 + 2 * quad;
      *reinterpret_cast<float2*>(at) = make_float2(four[0], four[1]);
      *reinterpret_cast<float2*>(at + 8 * F::kOut) = make_float2(four[2], four[3]);
    }
  }
  if (warp.has_bias() && group == 0) {
#pragma unroll
    for (int n = 0; n < F::kTiles; ++n) {
      float* at = to + F::kMatrixRows * F::kOut + (warp.channels * F::kTiles + n) * 8 + 2 * quad;
      *reinterpret_cast<float2*>(at) = make_float2(sums.bias[n][0], sums.bias[n][1]);
    }
  }
}

/// One run of planes [begin, end) of the gradient in one column. Plane 2 begin - 1 + i of the input lies in slot
/// i mod kInputSlots.
template <class F>
__device__ __forceinline__ void strided_column(StridedWeightSums<F>& sums, const WeightCall& call, const int2* table,
                                               std::uint32_t shared, const StridedWarp<F>& warp, long long n, int begin,
                                               int end) {
  const int out_groups = static_cast<int>(gridDim.y) / call.slices;
  const int slice = static_cast<int>(blockIdx.y) / out_groups;
  const int out_group = static_cast<int>(blockIdx.y) % out_groups;
  const std::size_t input_plane = static_cast<std::size_t>(call.input_H) * call.input_W * (call.slices * F::kIn * 2);
  const std::size_t gradient_plane = static_cast<std::size_t>(call.H) * call.W * (call.channels * 2);
  const auto* input =
      static_cast<const std::uint8_t*>(call.input) + n * call.input_D * input_plane + slice * F::kIn * 2;
  const auto* gradient =
      static_cast<const std::uint8_t*>(call.gradient) + n * call.D * gradient_plane + out_group * F::kOut * 2;
  const auto load_input = [&](int i) {
    const int z = 2 * begin - 1 + i;
    if (z >= 0 && z < call.input_D) {
      load_plane<typename F::Input, F::kThreads>(input + z * input_plane, table,
                                                 shared + i % F::kInputSlots * F::Input::kBytes);
    }
  };
  const auto load_gradient = [&](int z) {
    load_plane<typename F::Gradient, F::kThreads>(
        gradient + z * gradient_plane, table + F::Input::kEntries,
        shared + F::kGradientAt + (z - begin) % F::kGradientSlots * F::Gradient::kBytes);
  };
  for (int i = 0; i < kTaps; ++i) {
    load_input(i);
  }
  load_gradient(begin);
  commit_copies();
  for (int z = begin; z < end; ++z) {
    const int first = 2 * (z - begin);
    wait_copies<0>();
    __syncthreads();
    if (z + 1 < end) {
      load_input(first + kTaps);
      load_input(first + kTaps + 1);
      load_gradient(z + 1);
    }
    commit_copies();
    const int from = 2 * z - 1 + warp.kz;
    add_strided_plane<F>(sums, warp, (first + warp.kz) % F::kInputSlots * F::Input::kBytes,
                         (z - begin) % F::kGradientSlots * F::Gradient::kBytes, from >= 0 && from < call.input_D);
  }
}

template <class F>
__global__ void __launch_bounds__(F::kThreads, F::kBlocks) strided_weights(const WeightCall call) {
  extern __shared__ __align__(1024) std::uint8_t shared_bytes[];
  const std::uint32_t shared = shared_address(shared_bytes);
  const StridedWarp<F> warp(shared, static_cast<int>(threadIdx.x));
  StridedWeightSums<F> sums = {};
  int2* table = reinterpret_cast<int2*>(shared_bytes + F::kTableAt);
  const Columns<F::kHeight, F::kWidth> columns(call.H, call.W);
  Shares shares(columns.count(call.N), call.D);
  long long index = 0;
  int begin = 0;
  int end = 0;
  while (shares.next(index, begin, end)) {
    const Column column = columns.at(index);
    __syncthreads();
    fill_table<typename F::Input, 2 * F::kWidth, 1, false, F::kThreads>(table, 2 * column.y, 2 * column.x, call.input_H,
                                                                        call.input_W, call.slices * F::kIn * 2);
    fill_table<typename F::Gradient, F::kWidth, 0, false, F::kThreads>(table + F::Input::kEntries, column.y, column.x,
                                                                       call.H, call.W, call.channels * 2);
    __syncthreads();
    strided_column<F>(sums, call, table, shared, warp, column.n, begin, end);
  }
  merge_warps<F::kSums, F::kSharers>(reinterpret_cast<float(&)[F::kSums]>(sums), reinterpret_cast<float*>(shared_bytes),
                                     warp.role, warp.sharer);
  if (warp.sharer == 0) {
    const std::size_t block = static_cast<std::size_t>(blockIdx.y) * gridDim.x + blockIdx.x;
    store_strided_sums<F>(call.partial + block * F::kValues, sums, warp);
  }
}

template <class F>
void launch_strided_weights(const WeightCall& call, int multiprocessors, Stream stream) {
  REGATTA_CUDA(cudaFuncSetAttribute(strided_weights<F>, cudaFuncAttributeMaxDynamicSharedMemorySize, F::kSharedBytes));
  const dim3 grid(divide_up(multiprocessors * F::kBlocks, call.groups), static_cast<unsigned>(call.groups));
  strided_weights<F><<<grid, F::kThreads, F::kSharedBytes, stream>>>(call);
  check_launch("strided_weights");
}

}  // namespace regatta::kernels::conv
