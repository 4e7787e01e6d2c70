// Gradient of the weights that read the raw images, 2 channels, stride 1 or 2: first stage.
//
// 16 output channels x (4 kx, 2 channels) x 16 voxels along x an instruction. The left operand is the gradient, read
// transposed; the right one is put together from 4-byte loads, a voxel each. The fourth kx is dropped in the second
// stage.
#pragma once

#include <cuda_runtime.h>

#include "kernels/conv/calls.hpp"
#include "kernels/conv/loader.cuh"
#include "kernels/conv/merge.cuh"
#include "kernels/conv/thin.hpp"
#include "kernels/launch.cuh"

namespace regatta::kernels::conv {

template <class F>
struct ThinWeightSums {
  float taps[kTaps][kTaps][F::kSixteens][4];  // kz, ky
  float bias[F::kSixteens][4];
};

/// Of one input row: voxels 2 quad, 2 quad + 1 and 8 further, at kx and channel of this lane's column.
template <class F>
__device__ __forceinline__ void load_thin_row(std::uint32_t (&b)[2], std::uint32_t row, std::uint32_t halves) {
#pragma unroll
  for (int i = 0; i < 2; ++i) {
    const std::uint32_t low = load_shared(row + F::Input::row_offset(0, F::kStride * 8 * i));
    const std::uint32_t high = load_shared(row + F::Input::row_offset(0, F::kStride * (8 * i + 1)));
    b[i] = __byte_perm(low, high, halves);
  }
}

/// Planes z - 1, z, z + 1 of the input (`planes`: their addresses; bit kz of `real`: within the volume) and plane z of
/// the gradient.
template <class F>
__device__ __forceinline__ void add_thin_products(ThinWeightSums<F>& sums, const std::uint32_t (&planes)[kTaps],
                                                  unsigned real, std::uint32_t halves,
                                                  const std::uint32_t (&gradient)[F::kSixteens]) {
  constexpr std::uint32_t kOnes = 0x3f803f80U;
  std::uint32_t b[kTaps][kTaps][2] = {};
#pragma unroll
  for (int row = 0; row < F::kStride * (F::kRows - 1) + kTaps; ++row) {
#pragma unroll
    for (int kz = 0; kz < kTaps; ++kz) {
      if ((real >> kz & 1U) != 0) {
        load_thin_row<F>(b[kz][row % kTaps], planes[kz] + F::Input::row_offset(row, 0), halves);
      }
    }
    if (row < 2 || (row - 2) % F::kStride != 0) {
      continue;
    }
    const int y = (row - 2) / F::kStride;
#pragma unroll
    for (int m = 0; m < F::kSixteens; ++m) {
      std::uint32_t a[4] = {};
      const std::uint32_t from_row = gradient[m] + y * F::Gradient::kPitch * F::Gradient::kVoxelBytes;
      if constexpr (F::kOut == 8) {
        std::uint32_t half[2];
        load_matrices_transposed(half, from_row);
        a[0] = half[0];
        a[2] = half[1];
      } else {
        load_matrices_transposed(a, from_row);
      }
#pragma unroll
      for (int tap = 0; tap < kTaps * kTaps; ++tap) {
        const std::uint32_t(&from)[2] = b[tap / kTaps][(row - 2 + tap % kTaps) % kTaps];
        mma_k16(sums.taps[tap / kTaps][tap % kTaps][m], a, from[0], from[1]);
      }
      mma_k16(sums.bias[m], a, kOnes, kOnes);
    }
  }
}

/// [kz][ky][kx, channel][out], then the bias.
template <class F>
__device__ __forceinline__ void store_thin_sums(float* to, const ThinWeightSums<F>& sums) {
  const int group = static_cast<int>(threadIdx.x) >> 2 & 7;
  const int quad = static_cast<int>(threadIdx.x) & 3;
#pragma unroll
  for (int i = 0; i < kTaps * kTaps * F::kSixteens; ++i) {
    const int tap = i / F::kSixteens;
    const int m = i % F::kSixteens;
    const float(&four)[4] = sums.taps[tap / kTaps][tap % kTaps][m];
    float* at = to + (tap * F::kColumns + 2 * quad) * F::kOut + m * 16 + group;
    at[0] = four[0];
    at[F::kOut] = four[1];
    if constexpr (F::kOut > 8) {
      at[8] = four[2];
      at[F::kOut + 8] = four[3];
    }
  }
  if (quad == 0) {
#pragma unroll
    for (int m = 0; m < F::kSixteens; ++m) {
      to[F::kMatrixRows * F::kOut + m * 16 + group] = sums.bias[m][0];
      if constexpr (F::kOut > 8) {
        to[F::kMatrixRows * F::kOut + m * 16 + group + 8] = sums.bias[m][2];
      }
    }
  }
}

template <class F>
__device__ __forceinline__ void thin_weights_column(ThinWeightSums<F>& sums, const WeightCall& call, const int2* table,
                                                    std::uint32_t shared, long long n, int begin, int end,
                                                    std::uint32_t input_lane, std::uint32_t halves,
                                                    const std::uint32_t (&gradient_lane)[F::kSixteens]) {
  const std::size_t input_plane = static_cast<std::size_t>(call.input_H) * call.input_W * F::Input::kVoxelBytes;
  const std::size_t gradient_plane = static_cast<std::size_t>(call.H) * call.W * (call.channels * 2);
  const auto* input = static_cast<const std::uint8_t*>(call.input) + n * call.input_D * input_plane;
  const auto* gradient = static_cast<const std::uint8_t*>(call.gradient) + n * call.D * gradient_plane +
                         static_cast<int>(blockIdx.y) * F::kOut * 2;
  // input plane stride begin - 1 + i lies in slot i mod kInputSlots
  const auto load_input = [&](int i) {
    const int z = F::kStride * begin - 1 + i;
    if (z >= 0 && z < call.input_D) {
      load_plane<typename F::Input, F::kThreads, 4>(input + z * input_plane, table,
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
    const int first = F::kStride * (z - begin);
    wait_copies<0>();
    __syncthreads();
    if (z + 1 < end) {
      for (int i = 0; i < F::kStride; ++i) {
        load_input(first + kTaps + i);
      }
      load_gradient(z + 1);
    }
    commit_copies();
    std::uint32_t planes[kTaps];
    unsigned real = 0;
#pragma unroll
    for (int kz = 0; kz < kTaps; ++kz) {
      const int from = F::kStride * z - 1 + kz;
      real |= from >= 0 && from < call.input_D ? 1U << kz : 0U;
      planes[kz] = input_lane + (first + kz) % F::kInputSlots * F::Input::kBytes;
    }
    std::uint32_t at[F::kSixteens];
#pragma unroll
    for (int m = 0; m < F::kSixteens; ++m) {
      at[m] = gradient_lane[m] + (z - begin) % F::kGradientSlots * F::Gradient::kBytes;
    }
    add_thin_products<F>(sums, planes, real, halves, at);
  }
}

template <class F>
__global__ void __launch_bounds__(F::kThreads, F::kBlocks) thin_weights(const WeightCall call) {
  extern __shared__ __align__(1024) std::uint8_t shared_bytes[];
  const std::uint32_t shared = shared_address(shared_bytes);
  const int lane = static_cast<int>(threadIdx.x) & 31;
  const int warp = static_cast<int>(threadIdx.x) >> 5;
  const int x = warp % F::kShape.warps_x * 16;
  const int y = warp / F::kShape.warps_x * F::kRows;
  const int column_of = lane >> 2;  // kx, channel
  const std::uint32_t input_lane =
      shared + F::Input::row_offset(F::kStride * y, F::kStride * (x + 2 * (lane & 3)) + (column_of >> 1));
  const std::uint32_t halves = (column_of & 1) != 0 ? 0x7632U : 0x5410U;
  std::uint32_t gradient_lane[F::kSixteens];
#pragma unroll
  for (int m = 0; m < F::kSixteens; ++m) {
    // of 8 channels two matrices are read, by the addresses of the first 16 lanes
    const int eight = F::kOut == 8 ? lane >> 3 & 1 : lane >> 4;
    const int chunk = F::kOut == 8 ? 0 : m * 2 + (lane >> 3 & 1);
    const int voxel = y * F::Gradient::kPitch + x + eight * 8 + (lane & 7);
    gradient_lane[m] = shared + F::kGradientAt + F::Gradient::offset(voxel, chunk);
  }
  ThinWeightSums<F> sums = {};
  int2* table = reinterpret_cast<int2*>(shared_bytes + F::kTableAt);
  const Columns<F::kHeight, F::kWidth> columns(call.H, call.W);
  Shares shares(columns.count(call.N), call.D);
  long long index = 0;
  int begin = 0;
  int end = 0;
  while (shares.next(index, begin, end)) {
    const Column column = columns.at(index);
    __syncthreads();
    fill_table<typename F::Input, F::kStride * F::kWidth, 1, false, F::kThreads>(
        table, F::kStride * column.y, F::kStride * column.x, call.input_H, call.input_W, F::Input::kVoxelBytes);
    fill_table<typename F::Gradient, F::kWidth, 0, false, F::kThreads>(table + F::Input::kEntries, column.y, column.x,
                                                                       call.H, call.W, call.channels * 2);
    __syncthreads();
    thin_weights_column<F>(sums, call, table, shared, column.n, begin, end, input_lane, halves, gradient_lane);
  }
  merge_warps<F::kSums, F::kSharers>(reinterpret_cast<float(&)[F::kSums]>(sums), reinterpret_cast<float*>(shared_bytes),
                                     0, warp);
  if (warp == 0) {
    const std::size_t block = static_cast<std::size_t>(blockIdx.y) * gridDim.x + blockIdx.x;
    store_thin_sums<F>(call.partial + block * F::kValues, sums);
  }
}

template <class F>
void launch_thin_weights(const WeightCall& call, int multiprocessors, Stream stream) {
  REGATTA_CUDA(cudaFuncSetAttribute(thin_weights<F>, cudaFuncAttributeMaxDynamicSharedMemorySize, F::kSharedBytes));
  const dim3 grid(divide_up(multiprocessors * F::kBlocks, call.groups), static_cast<unsigned>(call.groups));
  thin_weights<F><<<grid, F::kThreads, F::kSharedBytes, stream>>>(call);
  check_launch("thin_weights");
}

}  // namespace regatta::kernels::conv
