// Convolution 3x3x3 of stride 1, forward and data gradient, by wgmma: for compute capability 9.0 alone.
//
// The march of march.cuh. The left operand is a patch of 8x8 voxels straight from the tile, any shift being a start
// address; the right one has the three taps in z side by side, [kz = 2 | 1 | 0], so that a read of the patch serves
// three output planes. The epilogue of the finished plane and the next loads run while the matrix instructions do.
#pragma once

#include <cuda_runtime.h>

#include <cstddef>

#include "kernels/bf16.cuh"
#include "kernels/conv/calls.hpp"
#include "kernels/conv/epilogue.cuh"
#include "kernels/conv/hopper.hpp"
#include "kernels/conv/loader.cuh"
#include "kernels/conv/wgmma.cuh"
#include "kernels/launch.cuh"

namespace regatta::kernels::conv {

/// A thread's share of its warpgroup's patches: of each, rows 2 warp and 2 warp + 1, voxel x = group, and four
/// consecutive channels of every 16.
template <class F>
struct PatchFinish {
  static constexpr bool kMasked = F::kKey.epilogue == Epilogue::kMask;
  static constexpr int kSixteens = F::kOut / 16;
  using Plane = float[F::kPatches][F::kPlaneSums];
  using Mask = std::uint32_t[F::kPatches][2][kSixteens][2];

  const CallOf<F>& call;
  int channel;
  int channels;
  float bias[kMasked ? 1 : kSixteens * 4];
  float slope_sum = 0.0F;  // of a PReLU's gradient
  long long n = 0;
  int y = 0;
  int x = 0;

  __device__ PatchFinish(const CallOf<F>& call_, int group)
      : call(call_),
        channel(group * F::kOut + 4 * (static_cast<int>(threadIdx.x) & 3)),
        channels(F::kOut * static_cast<int>(gridDim.y)) {
#pragma unroll
    for (int i = 0; i < (kMasked ? 1 : kSixteens * 4); ++i) {
      bias[i] = !kMasked && call.bias != nullptr ? call.bias[channel + i / 4 * 16 + i % 4] : 0.0F;
    }
  }

  __device__ void place(const Column& column) {
    const int warp = static_cast<int>(threadIdx.x) >> 5;
    n = column.n;
    y = column.y + warp / 4 * F::kPatches / F::kShape.patches_x * 8 + warp % 4 * 2;
    x = column.x + warp / 4 * F::kPatches % F::kShape.patches_x * 8 + (static_cast<int>(threadIdx.x) >> 2 & 7);
  }

  __device__ __forceinline__ int y_of(int patch, int row) const {
    return y + patch / F::kShape.patches_x * 8 + row;
  }
  __device__ __forceinline__ int x_of(int patch) const {
    return x + patch % F::kShape.patches_x * 8;
  }

  /// Of this thread's first channel.
  __device__ __forceinline__ std::size_t at(int z, int patch, int row) const {
    const auto voxel = static_cast<std::size_t>(n * call.D + z) * call.H * call.W;
    return (voxel + (y_of(patch, row) * call.W + x_of(patch))) * channels + channel;
  }

  __device__ __forceinline__ void prefetch(Mask& mask, int z) const {
    if constexpr (kMasked) {
#pragma unroll
      for (int i = 0; i < F::kPatches * 2; ++i) {
        if (call.activation != nullptr && y_of(i / 2, i % 2) < call.H && x_of(i / 2) < call.W) {
          const auto* from = static_cast<const __nv_bfloat16*>(call.activation) + at(z, i / 2, i % 2);
#pragma unroll
          for (int k = 0; k < kSixteens; ++k) {
            load_early(mask[i / 2][i % 2][k], from + 16 * k);
          }
        }
      }
    }
  }

  /// Of LeakyReLU or PReLU: read where it is needed, as registers are few.
  __device__ __forceinline__ float slope() const {
    if constexpr (F::kKey.prelu) {
      return call.slope_at != nullptr ? *call.slope_at : call.slope;
    }
    return call.slope;
  }

  /// Two values and what made the input there.
  __device__ __forceinline__ void mask_pair(float& low, float& high, std::uint32_t before, float slope) {
    if constexpr (F::kKey.prelu) {
      slope_sum += apply_prelu_mask(low, high, before, slope);
    } else {
      apply_mask(low, high, before, slope);
    }
  }

  /// Four channels at `element`.
  __device__ __forceinline__ void activate(float (&value)[4], std::size_t element, float slope) const {
    if constexpr (F::kKey.prelu) {
      if (call.raw != nullptr) {
        auto* to = static_cast<__nv_bfloat16*>(call.raw) + element;
        *reinterpret_cast<uint2*>(to) = make_uint2(pack_bf16(value[0], value[1]), pack_bf16(value[2], value[3]));
      }
    }
#pragma unroll
    for (float& v : value) {  // a trained slope may be negative or above 1
      v = F::kKey.prelu ? (v > 0.0F ? v : v * slope) : fmaxf(v, v * slope);
    }
  }

  __device__ __forceinline__ void store(const Plane& plane, const Mask& mask, int z) {
    const float by = slope();
#pragma unroll
    for (int i = 0; i < F::kPatches * 2 * kSixteens; ++i) {
      const int patch = i / (2 * kSixteens);
      const int row = i / kSixteens % 2;
      const int k = i % kSixteens;
      const float* sums = plane[patch] + 8 * k + 2 * row;
      float value[4] = {sums[0], sums[1], sums[4], sums[5]};
      if (y_of(patch, row) >= call.H || x_of(patch) >= call.W) {
        continue;
      }
      const std::size_t element = at(z, patch, row) + 16 * k;
      if constexpr (kMasked) {
        if (call.activation != nullptr) {
          mask_pair(value[0], value[1], mask[patch][row][k][0], by);
          mask_pair(value[2], value[3], mask[patch][row][k][1], by);
        }
      } else {
#pragma unroll
        for (int j = 0; j < 4; ++j) {
          value[j] += bias[4 * k + j];
        }
        activate(value, element, by);
      }
      auto* to = static_cast<__nv_bfloat16*>(call.out) + element;
      *reinterpret_cast<uint2*>(to) = make_uint2(pack_bf16(value[0], value[1]), pack_bf16(value[2], value[3]));
    }
  }
};

/// Queues the products of the plane in `stage`.
template <class F>
__device__ __forceinline__ void multiply_patches(float (&sums)[F::kPatches][F::kSums], std::uint32_t stage,
                                                 std::uint32_t weights) {
  constexpr int kVoxel = F::Input::kVoxelBytes;
  // how the bits of an address are mixed: over 128, 64 or 32 bytes, or not
  constexpr std::uint64_t kSwizzle = F::kShape.in == 64 ? 1 : F::kShape.in == 32 ? 2 : F::kShape.in == 16 ? 3 : 0;
  const int first = static_cast<int>(threadIdx.x) / 128 * F::kPatches;
  const int corner = first / F::kShape.patches_x * 8 * F::Input::kPitch + first % F::kShape.patches_x * 8;
  const std::uint64_t a = matrix_descriptor(stage + corner * kVoxel, 16, F::Input::kPitch * kVoxel) | (kSwizzle << 62);
  const std::uint64_t b = matrix_descriptor(weights, kTaps * F::kOut * 16, 128);
#pragma unroll
  for (int tap = 0; tap < F::S::kSixteens * F::S::kShifts * kTaps; ++tap) {
    const int ky = tap % kTaps;
    const int shift = tap / kTaps % F::S::kShifts * (F::S::kPaired ? 2 : 1);
    const int step = tap / kTaps / F::S::kShifts;
#pragma unroll
    for (int patch = 0; patch < F::kPatches; ++patch) {
      const int row = patch / F::kShape.patches_x * 8 + ky;
      const int voxel = row * F::Input::kPitch + patch % F::kShape.patches_x * 8 + shift;
      wgmma(sums[patch], a + (step * 32 + voxel * kVoxel) / 16, b + tap * (F::kTapBytes / 16));
    }
  }
}

/// The oldest plane leaves, the others move down, a fresh one begins. `zero` is 0 in a way that the compiler cannot
/// know: additions keep the sums in their registers, plain moves would not.
template <class F>
__device__ __forceinline__ void rotate(float (&sums)[F::kPatches][F::kSums], typename PatchFinish<F>::Plane& plane,
                                       float zero) {
#pragma unroll
  for (int patch = 0; patch < F::kPatches; ++patch) {
#pragma unroll
    for (int i = 0; i < F::kPlaneSums; ++i) {
      plane[patch][i] = sums[patch][i] + zero;
    }
#pragma unroll
    for (int i = 0; i < F::kSums - F::kPlaneSums; ++i) {
      sums[patch][i] = sums[patch][i + F::kPlaneSums] + zero;
    }
#pragma unroll
    for (int i = F::kSums - F::kPlaneSums; i < F::kSums; ++i) {
      sums[patch][i] = zero;
    }
  }
}

/// One run of planes [begin, end) of one column.
template <class F>
__device__ __forceinline__ void hopper_column(const CallOf<F>& call, const int2* table, std::uint32_t shared,
                                              long long n, int begin, int end, PatchFinish<F>& finish) {
  constexpr int kVoxelBytes = F::kQuads ? 8 : F::Input::kVoxelBytes;
  const std::size_t plane_bytes = static_cast<std::size_t>(call.H) * call.W * kVoxelBytes;
  const auto* input = static_cast<const std::uint8_t*>(F::kQuads ? call.thin : call.wide[0]) + n * call.D * plane_bytes;
  const float zero = __int_as_float(call.D >> 30);
  std::uint32_t queued_at = 0;
  const auto load = [&](int z) {
    if (z <= end) {
      const bool real = z >= 0 && z < call.D;
      load_plane<typename F::Input, F::kThreads, F::kQuads ? 8 : 16>(input + (real ? z * plane_bytes : 0), table,
                                                                     shared + F::kStageAt + queued_at, real);
    }
    commit_copies();
    queued_at = queued_at == (F::kStages - 1) * F::Input::kBytes ? 0 : queued_at + F::Input::kBytes;
  };
  for (int i = 0; i < F::kStages - 1; ++i) {
    load(begin - 1 + i);
  }
  float sums[F::kPatches][F::kSums];
#pragma unroll
  for (auto& patch : sums) {
#pragma unroll
    for (float& sum : patch) {
      sum = zero;
    }
  }
  typename PatchFinish<F>::Plane plane;
  typename PatchFinish<F>::Mask mask;
  std::uint32_t at = 0;
  for (int z = begin - 1; z <= end; ++z) {  // planes of the input; z - 2 of the output leaves meanwhile
    wait_copies<F::kStages - 2>();
    fence_for_wgmma();
    __syncthreads();
#pragma unroll
    for (auto& patch : sums) {
      hold(patch);
    }
    if (z - 2 >= begin) {
      finish.prefetch(mask, z - 2);
    }
    begin_wgmma();
    multiply_patches<F>(sums, shared + F::kStageAt + at, shared);
    commit_wgmma();
    load(z + F::kStages - 1);
    if (z - 2 >= begin) {
      finish.store(plane, mask, z - 2);
    }
    wait_wgmma();
#pragma unroll
    for (auto& patch : sums) {
      hold(patch);
    }
    rotate<F>(sums, plane, zero);
    at = at == (F::kStages - 1) * F::Input::kBytes ? 0 : at + F::Input::kBytes;
  }
  finish.prefetch(mask, end - 1);
  finish.store(plane, mask, end - 1);
  wait_copies<0>();
}

template <class F>
__global__ void __launch_bounds__(F::kThreads, F::kBlocks) hopper(const CallOf<F> call) {
  extern __shared__ __align__(1024) std::uint8_t shared_bytes[];
  const int group = static_cast<int>(blockIdx.y);
  const uint4* weights = static_cast<const uint4*>(call.weights) + group * (F::kWeightBytes / 16);
  for (int i = static_cast<int>(threadIdx.x); i < F::kWeightBytes / 16; i += F::kThreads) {
    reinterpret_cast<uint4*>(shared_bytes)[i] = weights[i];
  }
  if constexpr (F::kQuads) {
    zero_shared(shared_bytes + F::kStageAt, F::kStages * F::Input::kBytes, F::kThreads);
  }
  PatchFinish<F> finish(call, group);
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
                                                                    F::kQuads ? 8 : F::Input::kVoxelBytes);
    __syncthreads();
    finish.place(column);
    hopper_column<F>(call, table, shared_address(shared_bytes), column.n, begin, end, finish);
  }
  if constexpr (F::kKey.prelu && F::kKey.epilogue == Epilogue::kMask) {
    float* partial = call.slope_partial == nullptr ? nullptr : call.slope_partial + blockIdx.y * gridDim.x + blockIdx.x;
    store_slope_sum<F::kThreads>(finish.slope_sum, reinterpret_cast<float*>(shared_bytes), partial);
  }
}

template <class F>
void launch_hopper(const ExtendedCall& call, int multiprocessors, Stream stream) {
  REGATTA_CUDA(cudaFuncSetAttribute(hopper<F>, cudaFuncAttributeMaxDynamicSharedMemorySize, F::kSharedBytes));
  const dim3 grid(divide_up(multiprocessors * F::kBlocks, call.groups), static_cast<unsigned>(call.groups));
  hopper<F><<<grid, F::kThreads, F::kSharedBytes, stream>>>(call);
  check_launch("hopper");
}

}  // namespace regatta::kernels::conv
