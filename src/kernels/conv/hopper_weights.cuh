// Gradient of the weights of a 3x3x3 or 5x5x5 convolution of stride 1, 64 by 64 channels at a time, by wgmma: for
// compute capability 9.0 alone. First stage, a sum per block; the bias is summed elsewhere.
//
// Rows of the left operand are input channels, columns of the right one (row of the gradient, output channel), and 16
// voxels along x are summed by an instruction; both operands come straight from voxel-major tiles. The rows of the
// gradient that meet one row of the input lie one after the other, so that one read of the input serves three taps; a
// shift along x is a start address. A block marches along z.
#pragma once

#include <cuda_runtime.h>

#include <cstddef>

#include "kernels/conv/calls.hpp"
#include "kernels/conv/hopper_weights.hpp"
#include "kernels/conv/loader.cuh"
#include "kernels/conv/wgmma.cuh"
#include "kernels/launch.cuh"

namespace regatta::kernels::conv {

/// Of the kernel: a column of taps, and whether it exists.
struct TapPair {
  int kz;
  int kx;
  bool real;
};

template <class F>
struct HopperWeightSums {
  float first[F::kFirstSums];
  float second[F::kSecondSums > 0 ? F::kSecondSums : 1];
};

/// Where this block's group reads: slices of the input's and the output's channels, and pairs from `pair` on.
template <class F>
struct HopperWeightGroup {
  int slice;
  int out;
  int pair;

  __device__ explicit HopperWeightGroup(int slices) {
    const int group = static_cast<int>(blockIdx.y);
    const int outs = static_cast<int>(gridDim.y) / slices / F::kPairGroups;
    slice = group / F::kPairGroups / outs;
    out = group / F::kPairGroups % outs;
    pair = group % F::kPairGroups * F::kWarpgroups;
  }

  __device__ TapPair pair_of(int warpgroup) const {
    const int p = pair + warpgroup;
    return {p / F::kEdge, p % F::kEdge, p < F::kPairs};
  }
};

/// Queues the products of one plane of the input and one of the gradient.
template <class F>
__device__ __forceinline__ void multiply_planes(HopperWeightSums<F>& sums, std::uint32_t input,
                                                std::uint32_t gradient) {
  constexpr std::uint64_t kSwizzle = std::uint64_t{1} << 62;  // over 128 bytes
  constexpr int kInputRow = F::Input::kPitch * F::Input::kVoxelBytes;
  constexpr int kGradientRow = F::Gradient::kPitch * F::Gradient::kVoxelBytes;
  constexpr int kEight = 8 * 128;
  const std::uint64_t a = matrix_descriptor(input, kEight, kEight) | kSwizzle;
  const std::uint64_t b = matrix_descriptor(gradient, kGradientRow, kEight) | kSwizzle;
#pragma unroll
  for (int row = 0; row < F::kHeight; ++row) {
    wgmma_transposed(sums.first, a + row * (kInputRow / 16), b + row * (kGradientRow / 16));
    if constexpr (F::kSecondSums > 0) {
      wgmma_transposed(sums.second, a + row * (kInputRow / 16), b + (row + 3) * (kGradientRow / 16));
    }
  }
}

/// One run of planes [begin, end) of the input in one column.
template <class F>
__device__ __forceinline__ void hopper_weight_column(HopperWeightSums<F>& sums, const WeightCall& call,
                                                     const int2* table, std::uint32_t shared,
                                                     const HopperWeightGroup<F>& group, const TapPair& pair,
                                                     long long n, int begin, int end) {
  const int depth = group.pair / F::kEdge;  // the first pair's kz; others of the block may have the next
  const long long plane = static_cast<long long>(call.H) * call.W;
  const auto* input = static_cast<const std::uint8_t*>(call.input) + group.slice * F::kIn * 2;
  const auto* gradient = static_cast<const std::uint8_t*>(call.gradient) + group.out * F::kOut * 2;
  const long long input_bytes = plane * (call.slices * F::kIn * 2);
  const long long gradient_bytes = plane * (call.channels * 2);
  // plane z of the input meets plane z + kReach - kz of the gradient, which lies in the slot of that number
  const auto slot = [&](int q) { return static_cast<std::uint32_t>((q - begin + F::kEdge) % F::kGradientSlots); };
  const auto load_gradient = [&](int q) {
    if (q >= 0 && q < call.D) {
      load_plane<typename F::Gradient, F::kThreads>(gradient + (n * call.D + q) * gradient_bytes,
                                                    table + F::Input::kEntries,
                                                    shared + F::kGradientAt + slot(q) * F::Gradient::kBytes);
    }
  };
  const auto load = [&](int z) {
    load_plane<typename F::Input, F::kThreads>(input + (n * call.D + z) * input_bytes, table,
                                               shared + (z - begin) % F::kInputSlots * F::Input::kBytes);
    load_gradient(z + F::kReach - depth);
    commit_copies();
  };
  if constexpr (F::kTwoDepths) {
    load_gradient(begin + F::kReach - depth - 1);
  }
  load(begin);
  for (int z = begin; z < end; ++z) {
    wait_copies<0>();
    fence_for_wgmma();
    __syncthreads();
    const int q = z + F::kReach - pair.kz;
    const bool real = pair.real && q >= 0 && q < call.D;
    hold(sums.first);
    hold(sums.second);
    if (real) {
      begin_wgmma();
      multiply_planes<F>(sums,
                         shared + (z - begin) % F::kInputSlots * F::Input::kBytes + pair.kx * F::Input::kVoxelBytes,
                         shared + F::kGradientAt + slot(q) * F::Gradient::kBytes);
      commit_wgmma();
    }
    if (z + 1 < end) {
      load(z + 1);
    }
    wait_wgmma();
    hold(sums.first);
    hold(sums.second);
  }
}

/// [pair][ky][input channel][output channel]. Columns of the sums count rows of the gradient, the last ky first.
template <class F>
__device__ __forceinline__ void store_hopper_sums(float* to, const HopperWeightSums<F>& sums) {
  const int thread = static_cast<int>(threadIdx.x);
  const int channel = (thread >> 5) % 4 * 16 + (thread >> 2 & 7);
  to += (thread / 128 * F::kEdge * F::kIn + channel) * F::kOut + 2 * (thread & 3);
#pragma unroll
  for (int i = 0; i < F::kEdge * 8; ++i) {
    const int ky = F::kEdge - 1 - i / 8;
    float* at = to + ky * F::kIn * F::kOut + i % 8 * 8;
    float four[4];
#pragma unroll
    for (int j = 0; j < 4; ++j) {
      four[j] = i < 24 ? sums.first[i < 24 ? 4 * i + j : 0] : sums.second[i < 24 ? 0 : 4 * (i - 24) + j];
    }
    *reinterpret_cast<float2*>(at) = make_float2(four[0], four[1]);
    *reinterpret_cast<float2*>(at + 8 * F::kOut) = make_float2(four[2], four[3]);
  }
}

template <class F>
__global__ void __launch_bounds__(F::kThreads, F::kBlocks) hopper_weights(const WeightCall call) {
  extern __shared__ __align__(1024) std::uint8_t shared_bytes[];
  const std::uint32_t shared = shared_address(shared_bytes);
  const HopperWeightGroup<F> group(call.slices);
  const TapPair pair = group.pair_of(static_cast<int>(threadIdx.x) / 128);
  HopperWeightSums<F> sums = {};
  int2* table = reinterpret_cast<int2*>(shared_bytes + F::kTableAt);
  const Columns<F::kHeight, F::kWidth> columns(call.H, call.W);
  Shares shares(columns.count(call.N), call.D);
  long long index = 0;
  int begin = 0;
  int end = 0;
  while (shares.next(index, begin, end)) {
    const Column column = columns.at(index);
    __syncthreads();
    // of the input a border along x, of the gradient one along y
    fill_table<typename F::Input, F::kWidth, F::kReach, false, F::kThreads>(table, column.y + F::kReach, column.x,
                                                                            call.H, call.W, call.slices * F::kIn * 2);
    fill_table<typename F::Gradient, F::kWidth, 0, false, F::kThreads>(table + F::Input::kEntries, column.y - F::kReach,
                                                                       column.x, call.H, call.W, call.channels * 2);
    __syncthreads();
    hopper_weight_column<F>(sums, call, table, shared, group, pair, column.n, begin, end);
  }
  const std::size_t block = static_cast<std::size_t>(blockIdx.y) * gridDim.x + blockIdx.x;
  store_hopper_sums<F>(call.partial + block * F::kValues, sums);
}

template <class F>
void launch_hopper_weights(const WeightCall& call, int /*multiprocessors*/, Stream stream) {
  REGATTA_CUDA(cudaFuncSetAttribute(hopper_weights<F>, cudaFuncAttributeMaxDynamicSharedMemorySize, F::kSharedBytes));
  const dim3 grid(static_cast<unsigned>(call.blocks), static_cast<unsigned>(call.groups));
  hopper_weights<F><<<grid, F::kThreads, F::kSharedBytes, stream>>>(call);
  check_launch("hopper_weights");
}

}  // namespace regatta::kernels::conv
