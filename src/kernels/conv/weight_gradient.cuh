// Gradient of the weights and the bias of a 3x3x3 convolution of stride 1, by mma.sync: first stage, a sum per block.
//
// dW[tap] = X^T dY: 16 input channels x 8 output channels x 16 voxels along x an instruction, both operands read
// transposed from voxel-major tiles. Blocks march along z as march.cuh does. Warps of the three kz read different
// planes of a ring of output gradients. The bias is the sum of an operand of ones. reduce.cu adds the blocks' sums in a
// fixed order.
#pragma once

#include <cuda_runtime.h>

#include <cstddef>

#include "kernels/conv/calls.hpp"
#include "kernels/conv/loader.cuh"
#include "kernels/conv/merge.cuh"
#include "kernels/conv/weight_gradient.hpp"
#include "kernels/launch.cuh"

namespace regatta::kernels::conv {

/// What a warp is for, and where its lanes read in the first stage.
template <class F>
struct WeightWarp {
  int kz;
  int sixteen;  // of the input channels
  int channels;
  int sharer;
  int role;
  std::uint32_t input[F::kShifts];
  std::uint32_t gradient;

  __device__ WeightWarp(std::uint32_t shared, int thread) {
    const int lane = thread & 31;
    const int warp = thread >> 5;
    role = warp % F::kRoles;
    sharer = warp / F::kRoles;
    kz = role % kTaps;
    sixteen = role / kTaps % F::S::kSixteens;
    channels = role / kTaps / F::S::kSixteens;
    const int x = sharer % F::kShape.warps_x * 16;
    const int y = sharer / F::kShape.warps_x * F::kRows;
    const int matrix = lane >> 3;
    const int within = lane & 7;
#pragma unroll
    for (int shift = 0; shift < F::kShifts; ++shift) {
      const int first = y * F::Input::kPitch + x + (F::S::kPaired ? 2 * shift + (matrix & 1) : shift);
      input[shift] =
          shared + F::Input::offset(first + (matrix >> 1) * 8 + within, F::S::kPaired ? 0 : sixteen * 2 + (matrix & 1));
    }
    gradient = shared + F::kGradientAt +
               F::Gradient::offset(y * F::Gradient::kPitch + x + (matrix & 1) * 8 + within,
                                   channels * F::kTiles + (F::kTiles == 2 ? matrix >> 1 : 0));
  }

  __device__ bool has_bias() const {
    return kz == 1 && sixteen == 0;
  }
};

/// Adds one plane of the input times one plane of the gradient.
template <class F>
__device__ __forceinline__ void add_plane(float (&sums)[kTaps][F::kShifts][F::kTiles][4], float (&bias)[F::kTiles][4],
                                          const WeightWarp<F>& warp, std::uint32_t input_stage,
                                          std::uint32_t gradient_stage, bool with_bias) {
  const std::uint32_t ones[4] = {0x3f803f80U, 0x3f803f80U, 0x3f803f80U, 0x3f803f80U};
  std::uint32_t b[kTaps][F::kTiles * 2];
#pragma unroll
  for (int row = 0; row < F::kRows + 2; ++row) {
    if (row < F::kRows) {
      load_matrices_transposed(b[row % kTaps],
                               warp.gradient + gradient_stage + row * F::Gradient::kPitch * F::Gradient::kVoxelBytes);
      if (with_bias) {
#pragma unroll
        for (int n = 0; n < F::kTiles; ++n) {
          mma_k16(bias[n], ones, b[row % kTaps][2 * n], b[row % kTaps][2 * n + 1]);
        }
      }
    }
    std::uint32_t a[F::kShifts][4];
#pragma unroll
    for (int shift = 0; shift < F::kShifts; ++shift) {
      load_matrices_transposed(a[shift],
                               warp.input[shift] + input_stage + row * F::Input::kPitch * F::Input::kVoxelBytes);
    }
#pragma unroll
    for (int ky = 0; ky < kTaps; ++ky) {
      const int from = row - ky;
      if (from >= 0 && from < F::kRows) {
#pragma unroll
        for (int shift = 0; shift < F::kShifts; ++shift) {
#pragma unroll
          for (int n = 0; n < F::kTiles; ++n) {
            mma_k16(sums[ky][shift][n], a[shift], b[from % kTaps][2 * n], b[from % kTaps][2 * n + 1]);
          }
        }
      }
    }
  }
}

/// The two rings of planes of one column, as they are filled.
template <class F>
struct WeightRings {
  const WeightCall& call;
  const int2* table;
  const std::uint8_t* input;     // the next plane
  const std::uint8_t* gradient;  // the next plane
  std::uint32_t input_stage;
  std::uint32_t gradient_stage;

  /// Plane z of the input, plane z + 1 of the gradient.
  __device__ __forceinline__ void load(std::uint32_t shared, int z, int end) {
    if (z >= 0 && z <= end && z < call.D) {
      load_plane<typename F::Input, F::kThreads>(input, table, input_stage);
    }
    if (z + 1 < end) {
      load_plane<typename F::Gradient, F::kThreads, F::kShape.quads ? 8 : 16>(gradient, table + F::Input::kEntries,
                                                                              gradient_stage);
    }
    commit_copies();
    const std::size_t voxels = static_cast<std::size_t>(call.H) * call.W;
    input += voxels * F::Input::kVoxelBytes;
    gradient += voxels * (call.channels * 2);
    input_stage += F::Input::kBytes;
    if (input_stage == shared + F::kGradientAt) {
      input_stage = shared;
    }
    gradient_stage += F::Gradient::kBytes;
    if (gradient_stage == shared + F::kTableAt) {
      gradient_stage = shared + F::kGradientAt;
    }
  }
};

/// A block's sums: [kz][ky][shift][16 input channels][16][out], then the bias.
template <class F>
__device__ __forceinline__ void store_sums(float* to, const float (&sums)[kTaps][F::kShifts][F::kTiles][4],
                                           const float (&bias)[F::kTiles][4], const WeightWarp<F>& warp) {
  const int group = static_cast<int>(threadIdx.x) >> 2 & 7;
  const int quad = static_cast<int>(threadIdx.x) & 3;
#pragma unroll
  for (int tap = 0; tap < kTaps * F::kShifts; ++tap) {
#pragma unroll
    for (int n = 0; n < F::kTiles; ++n) {
      const float(&four)[4] = sums[tap / F::kShifts][tap % F::kShifts][n];
      const int row = ((warp.kz * kTaps * F::kShifts + tap) * F::S::kSixteens + warp.sixteen) * 16 + group;
      float* at = to + row * F::kOut + (warp.channels * F::kTiles + n) * 8 + 2 * quad;
      *reinterpret_cast<float2*>(at) = make_float2(four[0], four[1]);
      *reinterpret_cast<float2*>(at + 8 * F::kOut) = make_float2(four[2], four[3]);
    }
  }
  if (warp.has_bias() && group == 0) {
#pragma unroll
    for (int n = 0; n < F::kTiles; ++n) {
      float* at = to + F::kMatrixRows * F::kOut + (warp.channels * F::kTiles + n) * 8 + 2 * quad;
      *reinterpret_cast<float2*>(at) = make_float2(bias[n][0], bias[n][1]);
    }
  }
}

template <class F>
__global__ void __launch_bounds__(F::kThreads, F::kBlocks) weight_gradient(const WeightCall call) {
  extern __shared__ __align__(1024) std::uint8_t shared_bytes[];
  const std::uint32_t shared = shared_address(shared_bytes);
  const int group = static_cast<int>(blockIdx.y);
  const WeightWarp<F> warp(shared, static_cast<int>(threadIdx.x));
  if constexpr (F::kShape.quads) {
    zero_shared(shared_bytes + F::kGradientAt, F::kGradientStages * F::Gradient::kBytes, F::kThreads);
  }
  struct {
    float taps[kTaps][F::kShifts][F::kTiles][4];
    float bias[F::kTiles][4];
  } sums = {};
  int2* table = reinterpret_cast<int2*>(shared_bytes + F::kTableAt);
  const Columns<F::kHeight, F::kWidth> columns(call.H, call.W);
  Shares shares(columns.count(call.N), call.D);
  long long index = 0;
  int begin = 0;
  int end = 0;
  while (shares.next(index, begin, end)) {
    const Column column = columns.at(index);
    __syncthreads();
    fill_table<typename F::Input, F::kWidth, 1, false, F::kThreads>(table, column.y, column.x, call.H, call.W,
                                                                    F::Input::kVoxelBytes);
    fill_table<typename F::Gradient, F::kWidth, 0, false, F::kThreads>(table + F::Input::kEntries, column.y, column.x,
                                                                       call.H, call.W, call.channels * 2);
    __syncthreads();
    const long long first = (column.n * call.D + begin) * call.H * call.W;
    const long long plane = static_cast<long long>(call.H) * call.W;
    WeightRings<F> rings = {
        call,
        table,
        static_cast<const std::uint8_t*>(call.input) + (first - plane) * F::Input::kVoxelBytes,
        static_cast<const std::uint8_t*>(call.gradient) + first * (call.channels * 2) + group * F::kOut * 2,
        shared,
        shared + F::kGradientAt};
    for (int i = 0; i < F::kStages - 1; ++i) {
      rings.load(shared, begin - 1 + i, end);
    }
    std::uint32_t input_at = 0;
    std::uint32_t gradient_at = (F::kGradientStages - warp.kz) % F::kGradientStages * F::Gradient::kBytes;
    for (int z = begin - 1; z <= end; ++z) {
      wait_copies<F::kStages - 2>();
      __syncthreads();
      rings.load(shared, z + F::kStages - 1, end);
      const int from = z + 1 - warp.kz;  // plane of the gradient
      if (z >= 0 && z < call.D && from >= begin && from < end) {
        add_plane<F>(sums.taps, sums.bias, warp, input_at, gradient_at, warp.has_bias());
      }
      input_at = input_at == (F::kStages - 1) * F::Input::kBytes ? 0 : input_at + F::Input::kBytes;
      gradient_at =
          gradient_at == (F::kGradientStages - 1) * F::Gradient::kBytes ? 0 : gradient_at + F::Gradient::kBytes;
    }
    wait_copies<0>();
  }
  const WeightWarp<F> same(shared, thread_again());
  merge_warps<F::kSums, F::kSharers>(reinterpret_cast<float(&)[F::kSums]>(sums), reinterpret_cast<float*>(shared_bytes),
                                     same.role, same.sharer);
  if (same.sharer == 0) {
    const std::size_t block = static_cast<std::size_t>(group) * gridDim.x + blockIdx.x;
    store_sums<F>(call.partial + block * F::kValues, sums.taps, sums.bias, same);
  }
}

template <class F>
void launch_weights(const WeightCall& call, int multiprocessors, Stream stream) {
  REGATTA_CUDA(cudaFuncSetAttribute(weight_gradient<F>, cudaFuncAttributeMaxDynamicSharedMemorySize, F::kSharedBytes));
  const dim3 grid(static_cast<unsigned>(multiprocessors * F::kBlocks), static_cast<unsigned>(call.groups));
  weight_gradient<F><<<grid, F::kThreads, F::kSharedBytes, stream>>>(call);
  check_launch("weight_gradient");
}

}  // namespace regatta::kernels::conv
