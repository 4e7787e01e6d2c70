// Gradient of the weights and the bias of a 3x3x3 or 5x5x5 convolution of stride 1, by mma.sync: first stage, a sum per
// block.
//
// dW[tap] = X^T dY: 16 input channels x 8 output channels x 16 voxels along x an instruction, both operands read
// transposed from voxel-major tiles. Blocks march along z as march.cuh does. Warps of different kz read different
// planes of a ring of output gradients. The bias is the sum of an operand of ones. reduce.cu adds the blocks' sums in a
// fixed order.
#pragma once

#include <cuda_runtime.h>

#include <cstddef>

#include "kernels/bf16.cuh"
#include "kernels/conv/calls.hpp"
#include "kernels/conv/loader.cuh"
#include "kernels/conv/merge.cuh"
#include "kernels/conv/weight_gradient.hpp"
#include "kernels/launch.cuh"

namespace regatta::kernels::conv {

/// What a warp is for, and where its lanes read: in the first stage at first.
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
    kz = role % F::kEdge;
    sixteen = role / F::kEdge % F::S::kSixteens;
    channels = role / F::kEdge / F::S::kSixteens;
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

  /// Moves both by these many bytes: added here, so that no sum of lane and stage needs a register of its own.
  __device__ __forceinline__ void move(std::uint32_t input_by, std::uint32_t gradient_by) {
#pragma unroll
    for (std::uint32_t& at : input) {
      at += input_by;
    }
    gradient += gradient_by;
  }

  __device__ bool has_bias() const {
    return kz == F::kReach && sixteen == 0;
  }
};

/// Adds row `row` of the input times the rows of the gradient that it meets, `b` being the last of those. Large kernels
/// hold one shift at a time: their sums leave no registers for more.
template <class F>
__device__ __forceinline__ void multiply_row(float (&sums)[F::kEdge][F::kShifts][F::kTiles][4],
                                             const WeightWarp<F>& warp, int row_at, int row,
                                             const std::uint32_t (&b)[F::kEdge][F::kTiles * 2]) {
  constexpr bool kAllShifts = F::kEdge == kTaps;
  std::uint32_t a[kAllShifts ? F::kShifts : 1][4];
  if constexpr (kAllShifts) {
#pragma unroll
    for (int shift = 0; shift < F::kShifts; ++shift) {
      load_matrices_transposed(a[shift], warp.input[shift] + row_at);
    }
  }
#pragma unroll
  for (int i = 0; i < F::kEdge * F::kShifts; ++i) {
    const int ky = kAllShifts ? i / F::kShifts : i % F::kEdge;
    const int shift = kAllShifts ? i % F::kShifts : i / F::kEdge;
    const int from = row - ky;
    if (!kAllShifts && ky == 0) {
      load_matrices_transposed(a[0], warp.input[shift] + row_at);
    }
    if (from >= 0 && from < F::kRows) {
#pragma unroll
      for (int n = 0; n < F::kTiles; ++n) {
        mma_k16(sums[ky][shift][n], a[kAllShifts ? shift : 0], b[from % F::kEdge][2 * n],
                b[from % F::kEdge][2 * n + 1]);
      }
    }
  }
}

/// Adds one plane of the input times one plane of the gradient.
template <class F>
__device__ __forceinline__ void add_plane(float (&sums)[F::kEdge][F::kShifts][F::kTiles][4],
                                          float (&bias)[F::kTiles][F::kBiasSums], const WeightWarp<F>& warp,
                                          bool with_bias) {
  const std::uint32_t ones[4] = {0x3f803f80U, 0x3f803f80U, 0x3f803f80U, 0x3f803f80U};
  std::uint32_t b[F::kEdge][F::kTiles * 2];
#pragma unroll
  for (int row = 0; row < F::kRows + F::kEdge - 1; ++row) {
    if (row < F::kRows) {
      load_matrices_transposed(b[row % F::kEdge], warp.gradient + row * F::Gradient::kPitch * F::Gradient::kVoxelBytes);
      if (with_bias) {
#pragma unroll
        for (int n = 0; n < F::kTiles; ++n) {
          const std::uint32_t(&pairs)[F::kTiles * 2] = b[row % F::kEdge];
          if constexpr (F::kBiasSums == 4) {
            mma_k16(bias[n], ones, pairs[2 * n], pairs[2 * n + 1]);
          } else {
            bias[n][0] += low_bf16(pairs[2 * n]) + high_bf16(pairs[2 * n]) + low_bf16(pairs[2 * n + 1]) +
                          high_bf16(pairs[2 * n + 1]);
          }
        }
      }
    }
    multiply_row<F>(sums, warp, row * F::Input::kPitch * F::Input::kVoxelBytes, row, b);
  }
}

/// From one voxel of the input to the next. Large kernels, which have no register left, take no slices.
template <class F>
__device__ __forceinline__ int voxel_bytes(const WeightCall& call) {
  return F::kEdge == kTaps ? call.pitch * 2 : F::Input::kVoxelBytes;
}

/// The two rings of planes of one column, as they are filled.
template <class F>
struct WeightRings {
  const WeightCall& call;
  const int2* table;
  int plane;  // n D + z of the input's next one
  std::uint32_t input_stage;
  std::uint32_t gradient_stage;

  /// Plane z of the input, plane z + kReach of the gradient.
  __device__ __forceinline__ void load(std::uint32_t shared, int z, int end) {
    const long long voxels = static_cast<long long>(call.H) * call.W;
    if (z >= 0 && z < end + F::kReach && z < call.D) {
      const auto* input = static_cast<const std::uint8_t*>(call.input);
      load_plane<typename F::Input, F::kThreads>(input + plane * voxels * voxel_bytes<F>(call), table, input_stage);
    }
    if (z + F::kReach < end) {
      const auto* gradient = static_cast<const std::uint8_t*>(call.gradient) + blockIdx.y * (F::kOut * 2);
      load_plane<typename F::Gradient, F::kThreads, F::kShape.quads ? 8 : 16>(
          gradient + (plane + F::kReach) * voxels * (call.channels * 2), table + F::Input::kEntries, gradient_stage);
    }
    commit_copies();
    ++plane;
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

/// The bias of output channels 2 quad and 2 quad + 1.
template <class F>
__device__ __forceinline__ float2 bias_pair(const float (&bias)[F::kBiasSums], int quad) {
  if constexpr (F::kBiasSums == 4) {
    return make_float2(bias[0], bias[1]);
  } else {  // lane 4 c + i has a quarter of channel c
    float sum = bias[0] + __shfl_xor_sync(0xffffffffU, bias[0], 1);
    sum += __shfl_xor_sync(0xffffffffU, sum, 2);
    return make_float2(__shfl_sync(0xffffffffU, sum, 8 * quad), __shfl_sync(0xffffffffU, sum, 8 * quad + 4));
  }
}

/// A block's sums: [kz][ky][shift][16 input channels][16][out], then the bias.
template <class F>
__device__ __forceinline__ void store_sums(float* to, const float (&sums)[F::kEdge][F::kShifts][F::kTiles][4],
                                           const float (&bias)[F::kTiles][F::kBiasSums], const WeightWarp<F>& warp) {
  const int group = static_cast<int>(threadIdx.x) >> 2 & 7;
  const int quad = static_cast<int>(threadIdx.x) & 3;
#pragma unroll
  for (int tap = 0; tap < F::kEdge * F::kShifts; ++tap) {
#pragma unroll
    for (int n = 0; n < F::kTiles; ++n) {
      const float(&four)[4] = sums[tap / F::kShifts][tap % F::kShifts][n];
      const int row = ((warp.kz * F::kEdge * F::kShifts + tap) * F::S::kSixteens + warp.sixteen) * 16 + group;
      float* at = to + row * F::kOut + (warp.channels * F::kTiles + n) * 8 + 2 * quad;
      *reinterpret_cast<float2*>(at) = make_float2(four[0], four[1]);
      *reinterpret_cast<float2*>(at + 8 * F::kOut) = make_float2(four[2], four[3]);
    }
  }
  if (warp.has_bias()) {
#pragma unroll
    for (int n = 0; n < F::kTiles; ++n) {
      float* at = to + F::kMatrixRows * F::kOut + (warp.channels * F::kTiles + n) * 8 + 2 * quad;
      const float2 two = bias_pair<F>(bias[n], quad);
      if (group == 0) {
        *reinterpret_cast<float2*>(at) = two;
      }
    }
  }
}

/// The block's next run of planes [begin, end) of one column. `at` counts (column, z) pairs, below 0 at first; all else
/// is found again each time, as the sums leave no registers to keep it.
template <class F>
__device__ __forceinline__ bool next_run(const WeightCall& call, long long& at, Column& column, int& begin, int& end) {
  const Columns<F::kHeight, F::kWidth> columns(read_again(call.H), read_again(call.W));
  Shares shares(columns.count(call.N), read_again(call.D));
  shares.at = at < 0 ? shares.at : at;
  long long index = 0;
  const bool more = shares.next(index, begin, end);
  at = shares.at;
  column = columns.at(index);
  return more;
}

template <class F>
__global__ void __launch_bounds__(F::kThreads, F::kBlocks) weight_gradient(const WeightCall call) {
  extern __shared__ __align__(1024) std::uint8_t shared_bytes[];
  const std::uint32_t shared = shared_address(shared_bytes);
  WeightWarp<F> warp(shared, static_cast<int>(threadIdx.x));
  if constexpr (F::kShape.quads) {
    zero_shared(shared_bytes + F::kGradientAt, F::kGradientStages * F::Gradient::kBytes, F::kThreads);
  }
  struct {
    float taps[F::kEdge][F::kShifts][F::kTiles][4];
    float bias[F::kTiles][F::kBiasSums];
  } sums = {};
  int2* table = reinterpret_cast<int2*>(shared_bytes + F::kTableAt);
  long long at = -1;
  Column column = {};
  int begin = 0;
  int end = 0;
  while (next_run<F>(call, at, column, begin, end)) {
    __syncthreads();
    fill_table<typename F::Input, F::kWidth, F::kReach, false, F::kThreads>(table, column.y, column.x, call.H, call.W,
                                                                            voxel_bytes<F>(call));
    fill_table<typename F::Gradient, F::kWidth, 0, false, F::kThreads>(table + F::Input::kEntries, column.y, column.x,
                                                                       call.H, call.W, call.channels * 2);
    __syncthreads();
    WeightRings<F> rings = {call, table, static_cast<int>(column.n) * call.D + begin - F::kReach, shared,
                            shared + F::kGradientAt};
    for (int i = 0; i < F::kStages - 1; ++i) {
      rings.load(shared, begin - F::kReach + i, end);
    }
    int input_at = 0;
    int gradient_at = (F::kGradientStages - warp.kz) % F::kGradientStages * F::Gradient::kBytes;
    warp.move(0, gradient_at);
    for (int z = begin - F::kReach; z < end + F::kReach; ++z) {
      wait_copies<F::kStages - 2>();
      __syncthreads();
      rings.load(shared, z + F::kStages - 1, end);
      const int from = z + F::kReach - warp.kz;  // plane of the gradient
      if (z >= 0 && z < call.D && from >= begin && from < end) {
        add_plane<F>(sums.taps, sums.bias, warp, warp.has_bias());
      }
      const int input_by = input_at == (F::kStages - 1) * F::Input::kBytes ? -input_at : F::Input::kBytes;
      const int gradient_by =
          gradient_at == (F::kGradientStages - 1) * F::Gradient::kBytes ? -gradient_at : F::Gradient::kBytes;
      input_at += input_by;
      gradient_at += gradient_by;
      warp.move(input_by, gradient_by);
    }
    warp.move(-input_at, -gradient_at);
    wait_copies<0>();
  }
  const WeightWarp<F> same(shared, thread_again());
  merge_warps<F::kSums, F::kSharers>(reinterpret_cast<float(&)[F::kSums]>(sums), reinterpret_cast<float*>(shared_bytes),
                                     same.role, same.sharer);
  if (same.sharer == 0) {
    const std::size_t block = static_cast<std::size_t>(blockIdx.y) * gridDim.x + blockIdx.x;
    store_sums<F>(call.partial + block * F::kValues, sums.taps, sums.bias, same);
  }
}

template <class F>
void launch_weights(const WeightCall& call, int multiprocessors, Stream stream) {
  REGATTA_CUDA(cudaFuncSetAttribute(weight_gradient<F>, cudaFuncAttributeMaxDynamicSharedMemorySize, F::kSharedBytes));
  const dim3 grid(divide_up(multiprocessors * F::kBlocks, call.groups), static_cast<unsigned>(call.groups));
  weight_gradient<F><<<grid, F::kThreads, F::kSharedBytes, stream>>>(call);
  check_launch("weight_gradient");
}

}  // namespace regatta::kernels::conv
