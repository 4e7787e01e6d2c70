// The derivative of a field as sums of integers: exact, so the same in any order. A sum that leaves 32 bits notes what
// it carries; `settle` and `enlarge` then give all sums a larger unit. Both do nothing otherwise.
#pragma once

#include "kernels/field_view.cuh"

namespace regatta::kernels {

constexpr int kFixedBits = 24;  ///< of the largest derivative that enters a step; 7 more for what leaves it

/// On the device. One step after the other uses it.
struct FixedState {
  unsigned largest;        ///< of the derivative that enters the step, as the bits of a float
  unsigned largest_local;  ///< of what the step has written: at its voxels,
  unsigned largest_splat;  ///< and what a block has added
  float unit;              ///< of the integers that enter the step; NaN: a number was not finite, or carries were lost
  unsigned carries;        ///< noted by the step
  unsigned bad;            ///< not 0: the unit will be NaN
  unsigned settled;        ///< carries that `enlarge` has to apply
  int shift;               ///< by which it makes the unit larger, as a power of two
  unsigned finished_blocks;  ///< of `enlarge`
};

struct FixedCarry {
  long long element;
  long long times;  ///< 2^32
};

/// What a step adds to, and where it notes what does not fit.
struct FixedSums {
  int* values;  ///< [n, 3, d, h, w]
  FixedState* state;
  FixedCarry* carries;
  unsigned capacity;
};

/// e with magnitude < 2^e; at least -99, so that units are normal numbers.
__device__ __forceinline__ int exponent_above(unsigned bits) {
  return static_cast<int>(max(bits, 27U << 23) >> 23) - 126;
}

__device__ __forceinline__ float power_of_two(int exponent) {
  return __uint_as_float(static_cast<unsigned>(exponent + 127) << 23);
}

/// The exponent of the unit in which the step writes.
__device__ __forceinline__ int fixed_exponent(const FixedState* state) {
  return exponent_above(state->largest) - kFixedBits;
}

__device__ __forceinline__ unsigned magnitude_bits(float value) {
  return __float_as_uint(value) & 0x7fffffffU;
}

__device__ __forceinline__ unsigned magnitude_bits(const Vector3& a) {
  return max(max(magnitude_bits(a.d), magnitude_bits(a.h)), magnitude_bits(a.w));
}

__device__ __forceinline__ void note_carry(const FixedSums& to, long long element, long long times) {
  const unsigned at = atomicAdd(&to.state->carries, 1U);
  if (at < to.capacity) {
    to.carries[at] = {element, times};
  }
}

constexpr float kTwo31 = 2147483648.0F;
constexpr float kTwo62 = 4611686018427387904.0F;

/// To the nearest integer; what is no number of 62 bits spoils the step.
__device__ __forceinline__ long long to_long(const FixedSums& to, float scaled) {
  if (!(fabsf(scaled) < kTwo62)) {
    to.state->bad = 1;
    return 0;
  }
  return __float2ll_rn(scaled);
}

/// With a pointer of any base; returns what was there.
__device__ __forceinline__ int atomic_add(int* to, int value) {
  int before;
  asm volatile("atom.global.add.s32 %0, [%1], %2;" : "=r"(before) : "l"(to), "r"(value) : "memory");
  return before;
}

/// Below 0 if before + added leaves 32 bits.
__device__ __forceinline__ int leaves(int before, int added) {
  const int sum = static_cast<int>(static_cast<unsigned>(before) + static_cast<unsigned>(added));
  return (before ^ sum) & (added ^ sum);
}

/// Stores a first value that may be anything.
__device__ __forceinline__ void put_large(const FixedSums& to, long long element, float scaled) {
  const long long value = to_long(to, scaled);
  const int low = static_cast<int>(value);
  to.values[element] = low;
  if (value != low) {
    note_carry(to, element, (value - low) >> 32);
  }
}

/// Adds a vector, in the sums' unit, at a voxel. @param element  of its first component
__device__ __forceinline__ void add_vector(const FixedSums& to, long long element, int voxels, const Vector3& scaled) {
  const long long value[3] = {to_long(to, scaled.d), to_long(to, scaled.h), to_long(to, scaled.w)};
  int before[3];
#pragma unroll
  for (int c = 0; c < 3; ++c) {
    before[c] = atomicAdd(to.values + element + static_cast<long long>(c) * voxels, static_cast<int>(value[c]));
  }
#pragma unroll
  for (int c = 0; c < 3; ++c) {
    const int low = static_cast<int>(value[c]);
    const long long times = ((value[c] - low) >> 32) + (leaves(before[c], low) < 0 ? (low < 0 ? -1 : 1) : 0);
    if (times != 0) {
      note_carry(to, element + static_cast<long long>(c) * voxels, times);
    }
  }
}

/// The largest over the block goes to *to. All threads call it, once a kernel.
__device__ __forceinline__ void put_largest(unsigned bits, unsigned* to) {
  __shared__ unsigned of_warps[kFieldThreads / 32];
  bits = __reduce_max_sync(0xffffffffU, bits);
  if (threadIdx.x % 32 == 0) {
    of_warps[threadIdx.x / 32] = bits;
  }
  __syncthreads();
  if (threadIdx.x < 32) {
    bits = __reduce_max_sync(0xffffffffU, threadIdx.x < kFieldThreads / 32 ? of_warps[threadIdx.x] : 0U);
    if (threadIdx.x == 0 && bits > 0) {
      atomicMax(to, bits);
    }
  }
}

/// Integers that a step reads, as floats.
struct FixedView {
  const int* d;
  const int* h;
  const int* w;
  float unit;

  __device__ __forceinline__ Vector3 at(int i) const {
    return {unit * static_cast<float>(__ldg(d + i)), unit * static_cast<float>(__ldg(h + i)),
            unit * static_cast<float>(__ldg(w + i))};
  }
};

struct FixedGradient {
  const int* values;
  const FixedState* state;

  __device__ __forceinline__ FixedView of(long long volume, int voxels) const {
    const int* first = as_base(values + 3 * volume * voxels);
    return {first, as_base(first + voxels), as_base(first + 2LL * voxels), state->unit};
  }
};

/// Queues the pieces; `elements` are 3 n voxels.
void find_largest(const float* gradient, long long elements, FixedState* state, Stream stream);

/// The end of a step. @param workspace  [elements], overwritten if there were carries
void settle(const FixedSums& sums, long long elements, int* workspace, std::uint32_t* overflows, Stream stream);

/// to = factor x sums. @param to  planar may be the sums' own memory
void put_gradient(const FixedSums& sums, const VolumeSize& size, float factor, const FieldGradient& to, Stream stream);

}  // namespace regatta::kernels
