#include "kernels/fixed_gradient.cuh"

#include <algorithm>

namespace regatta::kernels {
namespace {

constexpr int kThreads = 256;
constexpr int kSettleThreads = 1024;
constexpr int kEnlargeBlocks = 512;

/// @param fours  elements / 4 where the array is aligned for that, else 0
__global__ void __launch_bounds__(kFieldThreads)
    largest_kernel(const float* __restrict__ gradient, long long elements, long long fours, FixedState* state) {
  const long long stride = static_cast<long long>(gridDim.x) * kFieldThreads;
  const long long first = static_cast<long long>(blockIdx.x) * kFieldThreads + threadIdx.x;
  unsigned largest = 0;
#pragma unroll 4
  for (long long i = first; i < fours; i += stride) {
    const float4 four = __ldg(reinterpret_cast<const float4*>(gradient) + i);
    largest = max(
        max(max(magnitude_bits(four.x), magnitude_bits(four.y)), max(magnitude_bits(four.z), magnitude_bits(four.w))),
        largest);
  }
  for (long long i = 4 * fours + first; i < elements; i += stride) {
    largest = max(largest, magnitude_bits(__ldg(gradient + i)));
  }
  put_largest(largest, &state->largest);
}

/// The largest number of times 2^32 that a sum has carried. The block's threads all get it.
__device__ __forceinline__ unsigned long long largest_carry(const FixedSums& sums, unsigned count, int* workspace,
                                                            bool& fits) {
  __shared__ unsigned largest;
  if (threadIdx.x == 0) {
    largest = 0;
  }
  for (unsigned i = threadIdx.x; i < count; i += kSettleThreads) {
    workspace[sums.carries[i].element] = 0;
  }
  __syncthreads();
  for (unsigned i = threadIdx.x; i < count; i += kSettleThreads) {
    const long long times = sums.carries[i].times;
    fits = fits && times == static_cast<int>(times);
    atomicAdd(workspace + sums.carries[i].element, static_cast<int>(times));
  }
  __syncthreads();
  for (unsigned i = threadIdx.x; i < count; i += kSettleThreads) {
    atomicMax(&largest, static_cast<unsigned>(abs(workspace[sums.carries[i].element])));
  }
  __syncthreads();
  return largest;
}

/// One block: the unit of what the step has written, and whether `enlarge` has to work.
__global__ void __launch_bounds__(kSettleThreads)
    settle_kernel(FixedSums sums, int* workspace, std::uint32_t* overflows) {
  FixedState& state = *sums.state;
  const unsigned noted = state.carries;
  const unsigned count = min(noted, sums.capacity);
  bool fits = noted == count;
  unsigned long long carried = 0;
  if (count > 0) {
    carried = largest_carry(sums, count, workspace, fits);
  }
  fits = __syncthreads_and(fits && carried < (1U << 30)) != 0;
  if (threadIdx.x != 0) {
    return;
  }
  const float largest = __uint_as_float(state.largest_local) + __uint_as_float(state.largest_splat);
  const bool bad = state.bad != 0 || !fits || !isfinite(__uint_as_float(state.largest)) || !isfinite(largest);
  // |sum| <= (carried + 1/2) 2^32, to be below 2^31 in the new unit.
  const int shift = carried > 0 && !bad ? 64 - __clzll(static_cast<long long>(2 * carried + 1)) : 0;
  const int exponent = fixed_exponent(&state) + shift;
  state.unit = bad || exponent > 127 ? __int_as_float(0x7fffffff) : power_of_two(exponent);
  state.bad = bad ? 1 : 0;
  state.shift = shift;
  state.settled = shift > 0 ? count : 0;
  state.finished_blocks = 0;
  state.carries = 0;
  state.largest = bad ? 0x7fc00000U : __float_as_uint(largest);
  state.largest_local = 0;
  state.largest_splat = 0;
  if (shift > 0 && overflows != nullptr) {
    atomicAdd(overflows, 1U);
  }
}

/// sum -> sum / 2^shift, to the nearest, with what was carried. The last block to finish adds that: it is a multiple of
/// the new unit.
__global__ void __launch_bounds__(kThreads) enlarge_kernel(FixedSums sums, long long elements) {
  const int shift = sums.state->shift;
  if (shift == 0) {
    return;
  }
  const long long stride = static_cast<long long>(gridDim.x) * kThreads;
  for (long long i = static_cast<long long>(blockIdx.x) * kThreads + threadIdx.x; i < elements; i += stride) {
    sums.values[i] = static_cast<int>((sums.values[i] + (1LL << (shift - 1))) >> shift);
  }
  __shared__ bool is_last;
  __threadfence();
  __syncthreads();
  if (threadIdx.x == 0) {
    is_last = atomicAdd(&sums.state->finished_blocks, 1U) == gridDim.x - 1;
  }
  __syncthreads();
  if (is_last) {
    __threadfence();
    for (unsigned i = threadIdx.x; i < sums.state->settled; i += kThreads) {
      const FixedCarry carry = sums.carries[i];
      atomicAdd(sums.values + carry.element, static_cast<int>(carry.times << (32 - shift)));
    }
  }
}

/// blockIdx.y: the volume.
template <class Out>
__global__ void __launch_bounds__(kThreads)
    put_gradient_kernel(const int* values, const FixedState* __restrict__ state, float factor, Out out, int voxels) {
  const int i = static_cast<int>(blockIdx.x * kThreads + threadIdx.x);
  if (i < voxels) {
    const float scale = state->unit * factor;
    const int* from = values + 3LL * blockIdx.y * voxels + i;
    const Vector3 value = {scale * static_cast<float>(from[0]), scale * static_cast<float>(from[voxels]),
                           scale * static_cast<float>(from[2LL * voxels])};
    out.of(blockIdx.y, voxels).put(i, value);
  }
}

}  // namespace

void find_largest(const float* gradient, long long elements, FixedState* state, Stream stream) {
  REGATTA_CUDA(cudaMemsetAsync(state, 0, sizeof(FixedState), stream));
  const auto blocks = static_cast<unsigned>(std::min(divide_up(elements, kFieldThreads * 16), 2048LL));
  const long long fours = is_aligned(gradient, 16) ? elements / 4 : 0;
  largest_kernel<<<blocks, kFieldThreads, 0, stream>>>(gradient, elements, fours, state);
  check_launch("compose: largest");
}

void settle(const FixedSums& sums, long long elements, int* workspace, std::uint32_t* overflows, Stream stream) {
  settle_kernel<<<1, kSettleThreads, 0, stream>>>(sums, workspace, overflows);
  check_launch("compose: settle");
  const auto blocks = static_cast<unsigned>(std::min<long long>(divide_up(elements, kThreads), kEnlargeBlocks));
  enlarge_kernel<<<blocks, kThreads, 0, stream>>>(sums, elements);
  check_launch("compose: enlarge");
}

void put_gradient(const FixedSums& sums, const VolumeSize& size, float factor, const FieldGradient& to, Stream stream) {
  const dim3 blocks(static_cast<unsigned>(divide_up(size.voxels(), kThreads)), static_cast<unsigned>(size.n));
  const auto voxels = static_cast<int>(size.voxels());
  if (to.planar != nullptr) {
    put_gradient_kernel<<<blocks, kThreads, 0, stream>>>(sums.values, sums.state, factor, PlanarOut{to.planar}, voxels);
  } else {
    put_gradient_kernel<<<blocks, kThreads, 0, stream>>>(sums.values, sums.state, factor, PackedOut{to.packed}, voxels);
  }
  check_launch("compose: put gradient");
}

}  // namespace regatta::kernels
