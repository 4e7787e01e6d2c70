// Gradient of the weights that read an input through nearest x2 up-sampling, from the sums of fold.hpp: first stage.
// A step: one plane of the input and the three planes of s around it. A warp has one kz, 16 input and kTiles x 8 output
// channels, and holds their nine taps.
#pragma once

#include <cuda_runtime.h>

#include "kernels/conv/calls.hpp"
#include "kernels/conv/fold.cuh"
#include "kernels/conv/fold.hpp"
#include "kernels/conv/loader.cuh"
#include "kernels/launch.cuh"

namespace regatta::kernels::conv {

template <class F>
struct FoldWeightWarp {
  int kz;
  int sixteen;
  int channels;
  std::uint32_t input;
  std::uint32_t gradient[kTaps];

  __device__ explicit FoldWeightWarp(std::uint32_t shared) {
    const int lane = static_cast<int>(threadIdx.x) & 31;
    const int warp = static_cast<int>(threadIdx.x) >> 5;
    kz = warp % kTaps;
    sixteen = warp / kTaps % F::kSixteens;
    channels = warp / kTaps / F::kSixteens;
    const int matrix = lane >> 3;
    const int within = lane & 7;
    input = shared + F::Input::offset((matrix >> 1) * 8 + within, sixteen * 2 + (matrix & 1));
#pragma unroll
    for (int kx = 0; kx < kTaps; ++kx) {
      gradient[kx] = shared + F::kGradientAt +
                     F::Gradient::offset(F::Gradient::voxel((matrix & 1) * 8 + within, kx),
                                         channels * F::kTiles + (F::kTiles == 2 ? matrix >> 1 : 0));
    }
  }
};

template <class F>
struct FoldWeightSums {
  float taps[kTaps][kTaps][F::kTiles][4];  // ky, kx
  float bias[F::kTiles][4];
};

template <class F>
__device__ __forceinline__ void add_folded_plane(FoldWeightSums<F>& sums, const FoldWeightWarp<F>& warp,
                                                 std::uint32_t input_stage, std::uint32_t gradient_stage,
                                                 bool with_bias) {
  const std::uint32_t ones[4] = {0x3f803f80U, 0x3f803f80U, 0x3f803f80U, 0x3f803f80U};
  std::uint32_t b[kTaps][kTaps][F::kTiles * 2];
  const auto load_row = [&](int row) {
#pragma unroll
    for (int kx = 0; kx < kTaps; ++kx) {
      load_matrices_transposed(b[row % kTaps][kx], warp.gradient[kx] + gradient_stage + row * F::Gradient::kRowBytes);
    }
  };
  load_row(0);
#pragma unroll
  for (int y = 0; y < F::kRows; ++y) {
    load_row(2 * y + 1);
    load_row(2 * y + 2);
    std::uint32_t a[4];
    load_matrices_transposed(a, warp.input + input_stage + y * F::Input::kPitch * F::Input::kVoxelBytes);
#pragma unroll
    for (int tap = 0; tap < kTaps * kTaps; ++tap) {
      const std::uint32_t(&from)[F::kTiles * 2] = b[(2 * y + tap / kTaps) % kTaps][tap % kTaps];
#pragma unroll
      for (int n = 0; n < F::kTiles; ++n) {
        mma_k16(sums.taps[tap / kTaps][tap % kTaps][n], a, from[2 * n], from[2 * n + 1]);
        if (tap == 4 && with_bias) {
          mma_k16(sums.bias[n], ones, from[2 * n], from[2 * n + 1]);
        }
      }
    }
  }
}

/// [kz][ky][kx][input channel][out], k counting as in s; then the bias.
template <class F>
__device__ __forceinline__ void store_folded_sums(float* to, const FoldWeightSums<F>& sums,
                                                  const FoldWeightWarp<F>& warp, bool with_bias) {
  const int group = static_cast<int>(threadIdx.x) >> 2 & 7;
  const int quad = static_cast<int>(threadIdx.x) & 3;
#pragma unroll
  for (int i = 0; i < kTaps * kTaps * F::kTiles; ++i) {
    const int tap = i / F::kTiles;
    const int n = i % F::kTiles;
    const float(&four)[4] = sums.taps[tap / kTaps][tap % kTaps][n];
    const int row = ((warp.kz * kTaps * kTaps + tap) * F::kSixteens + warp.sixteen) * 16 + group;
    float* at = to + row * F::kOut + (warp.channels * F::kTiles + n) * 8 + 2 * quad;
    *reinterpret_cast<float2*>(at) = make_float2(four[0], four[1]);
    *reinterpret_cast<float2*>(at + 8 * F::kOut) = make_float2(four[2], four[3]);
  }
  if (with_bias && group == 0) {
#pragma unroll
    for (int n = 0; n < F::kTiles; ++n) {
      float* at = to + F::kMatrixRows * F::kOut + (warp.channels * F::kTiles + n) * 8 + 2 * quad;
      *reinterpret_cast<float2*>(at) = make_float2(sums.bias[n][0], sums.bias[n][1]);
    }
  }
}

/// Plane z of the input and planes `from` .. 2 z + 2 of s; plane j of s lies in slot (j - 2 begin) mod kGradientStages.
template <class F>
__device__ __forceinline__ void load_folded(const WeightCall& call, const int2* table, std::uint32_t shared,
                                            const std::uint8_t* input, const std::uint8_t* gradient, int begin, int z,
                                            int from) {
  const std::size_t plane = static_cast<std::size_t>(call.H) * call.W * F::Input::kVoxelBytes;
  load_plane<typename F::Input, F::kThreads>(input + z * plane, table,
                                             shared + (z - begin) % F::kInputStages * F::Input::kBytes);
  const std::size_t sums = static_cast<std::size_t>(2 * call.H + 1) * (2 * call.W + 1) * (call.channels * 2);
  for (int j = from; j <= 2 * z + 2; ++j) {
    load_plane<typename F::Gradient, F::kThreads>(
        gradient + j * sums, table + F::Input::kEntries,
        shared + F::kGradientAt + (j - 2 * begin) % F::kGradientStages * F::Gradient::kBytes);
  }
}

template <class F>
__global__ void __launch_bounds__(F::kThreads, F::kBlocks) fold_weights(const WeightCall call) {
  extern __shared__ __align__(1024) std::uint8_t shared_bytes[];
  const std::uint32_t shared = shared_address(shared_bytes);
  const int group = static_cast<int>(blockIdx.y);
  const FoldWeightWarp<F> warp(shared);
  const bool with_bias = warp.kz == 1 && warp.sixteen == 0;
  FoldWeightSums<F> sums = {};
  int2* table = reinterpret_cast<int2*>(shared_bytes + F::kTableAt);
  const Columns<F::kHeight, F::kWidth> columns(call.H, call.W);
  Shares shares(columns.count(call.N), call.D);
  long long index = 0;
  int begin = 0;
  int end = 0;
  while (shares.next(index, begin, end)) {
    const Column column = columns.at(index);
    __syncthreads();
    fill_table<typename F::Input, F::kWidth, 0, false, F::kThreads>(table, column.y, column.x, call.H, call.W,
                                                                    F::Input::kVoxelBytes);
    fill_fold_table<typename F::Gradient, F::kThreads>(table + F::Input::kEntries, column.y, column.x, call.H, call.W,
                                                       call.channels * 2);
    __syncthreads();
    const std::size_t planes = static_cast<std::size_t>(column.n) * (2 * call.D + 1);
    const auto* input = static_cast<const std::uint8_t*>(call.input) +
                        static_cast<std::size_t>(column.n) * call.D * call.H * call.W * F::Input::kVoxelBytes;
    const auto* gradient = static_cast<const std::uint8_t*>(call.gradient) +
                           planes * (2 * call.H + 1) * (2 * call.W + 1) * (call.channels * 2) + group * F::kOut * 2;
    const auto load = [&](int z) {
      if (z < end) {
        load_folded<F>(call, table, shared, input, gradient, begin, z, z == begin ? 2 * z : 2 * z + 1);
      }
      commit_copies();
    };
    for (int i = 0; i < F::kShape.ahead; ++i) {
      load(begin + i);
    }
    for (int z = begin; z < end; ++z) {
      wait_copies<F::kShape.ahead - 1>();
      __syncthreads();
      load(z + F::kShape.ahead);
      add_folded_plane<F>(sums, warp, (z - begin) % F::kInputStages * F::Input::kBytes,
                          (2 * (z - begin) + warp.kz) % F::kGradientStages * F::Gradient::kBytes, with_bias);
    }
  }
  const std::size_t block = static_cast<std::size_t>(group) * gridDim.x + blockIdx.x;
  store_folded_sums<F>(call.partial + block * F::kValues, sums, warp, with_bias);
}

template <class F>
void launch_fold_weights(const WeightCall& call, int multiprocessors, Stream stream) {
  REGATTA_CUDA(cudaFuncSetAttribute(fold_weights<F>, cudaFuncAttributeMaxDynamicSharedMemorySize, F::kSharedBytes));
  const dim3 grid(divide_up(multiprocessors * F::kBlocks, call.groups), static_cast<unsigned>(call.groups));
  fold_weights<F><<<grid, F::kThreads, F::kSharedBytes, stream>>>(call);
  check_launch("fold_weights");
}

}  // namespace regatta::kernels::conv
