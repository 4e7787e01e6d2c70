#include "kernels/field.cuh"
#include "regatta/kernels/pack.hpp"

namespace regatta::kernels {
namespace {

constexpr int kThreads = 256;
constexpr int kWide = 4;
constexpr int kFours = 2;  ///< a thread's, so that enough reads of bytes are on their way

__device__ __forceinline__ float intensity(unsigned char value) {
  return static_cast<float>(value) * (1.0F / 255.0F);  // in bfloat16 the same as the quotient, for all 256
}

__device__ __forceinline__ float intensity(float value) {
  return value;
}

template <class T>
struct FourOf;

template <>
struct FourOf<unsigned char> {
  using Type = uchar4;
};

template <>
struct FourOf<float> {
  using Type = float4;
};

template <class T>
__global__ void __launch_bounds__(kThreads) pack_pair_kernel(const T* __restrict__ first, const T* __restrict__ second,
                                                             unsigned* __restrict__ pair, long long count) {
  const long long i = static_cast<long long>(blockIdx.x) * kThreads + threadIdx.x;
  if (i < count) {
    pair[i] = pack_bf16(intensity(first[i]), intensity(second[i]));
  }
}

/// @param fours  voxels / 4
template <class T>
__global__ void __launch_bounds__(kThreads) pack_pair_wide_kernel(const typename FourOf<T>::Type* __restrict__ first,
                                                                  const typename FourOf<T>::Type* __restrict__ second,
                                                                  uint4* __restrict__ pair, long long fours) {
  const long long begin = static_cast<long long>(blockIdx.x) * kThreads * kFours + threadIdx.x;
  typename FourOf<T>::Type a[kFours];
  typename FourOf<T>::Type b[kFours];
#pragma unroll
  for (int k = 0; k < kFours; ++k) {
    const long long i = min(begin + k * kThreads, fours - 1);
    a[k] = __ldg(first + i);
    b[k] = __ldg(second + i);
  }
#pragma unroll
  for (int k = 0; k < kFours; ++k) {
    const long long i = begin + k * kThreads;
    if (i < fours) {
      pair[i] =
          make_uint4(pack_bf16(intensity(a[k].x), intensity(b[k].x)), pack_bf16(intensity(a[k].y), intensity(b[k].y)),
                     pack_bf16(intensity(a[k].z), intensity(b[k].z)), pack_bf16(intensity(a[k].w), intensity(b[k].w)));
    }
  }
}

template <class T>
void launch_pair(const void* first, const void* second, const VolumeSize& size, Bf16* pair, Stream stream) {
  const auto* a = static_cast<const T*>(first);
  const auto* b = static_cast<const T*>(second);
  auto* out = reinterpret_cast<unsigned*>(pair);
  const long long count = size.all();
  const std::uintptr_t four = kWide * sizeof(T);
  if (count % kWide == 0 && is_aligned(a, four) && is_aligned(b, four) && is_aligned(out, 16)) {
    using Four = typename FourOf<T>::Type;
    const auto blocks = static_cast<unsigned>(divide_up(count, kThreads * kWide * kFours));
    pack_pair_wide_kernel<T><<<blocks, kThreads, 0, stream>>>(reinterpret_cast<const Four*>(a),
                                                              reinterpret_cast<const Four*>(b),
                                                              reinterpret_cast<uint4*>(out), count / kWide);
  } else {
    const auto blocks = static_cast<unsigned>(divide_up(count, kThreads));
    pack_pair_kernel<T><<<blocks, kThreads, 0, stream>>>(a, b, out, count);
  }
  check_launch("pack_pair");
}

/// blockIdx.y: the volume.
__global__ void __launch_bounds__(kThreads)
    pack_field_kernel(const float* __restrict__ planar, PackedOut packed, int voxels) {
  const int i = static_cast<int>(blockIdx.x * kThreads + threadIdx.x);
  if (i < voxels) {
    packed.of(blockIdx.y, voxels).put(i, FieldView(planar, blockIdx.y, voxels).at(i));
  }
}

__global__ void __launch_bounds__(kThreads)
    unpack_field_kernel(const uint2* __restrict__ packed, PlanarOut planar, int voxels) {
  const int i = static_cast<int>(blockIdx.x * kThreads + threadIdx.x);
  if (i < voxels) {
    const uint2 four = __ldg(packed + static_cast<long long>(blockIdx.y) * voxels + i);
    planar.of(blockIdx.y, voxels).put(i, {low_bf16(four.x), high_bf16(four.x), low_bf16(four.y)});
  }
}

dim3 voxel_blocks(const VolumeSize& size) {
  return dim3(static_cast<unsigned>(divide_up(size.voxels(), kThreads)), static_cast<unsigned>(size.n));
}

void check_field(const void* planar, const void* packed, const VolumeSize& size) {
  check_field_size("pack_field", size, 1);
  REGATTA_REQUIRE(planar != nullptr && packed != nullptr && is_aligned(packed, 8), BugError,
                  "pack_field: an array is missing or not aligned to 8 bytes");
}

}  // namespace

void pack_pair(const void* first, const void* second, ImageType type, const VolumeSize& size, Bf16* pair,
               Stream stream) {
  check_field_size("pack_pair", size, 1);
  REGATTA_REQUIRE(first != nullptr && second != nullptr && pair != nullptr && is_aligned(pair, 4), BugError,
                  "pack_pair: an array is missing or not aligned to 4 bytes");
  type == ImageType::kBytes ? launch_pair<unsigned char>(first, second, size, pair, stream)
                            : launch_pair<float>(first, second, size, pair, stream);
}

void pack_field(const float* planar, const VolumeSize& size, Bf16* packed, Stream stream) {
  check_field(planar, packed, size);
  pack_field_kernel<<<voxel_blocks(size), kThreads, 0, stream>>>(planar, PackedOut{packed},
                                                                 static_cast<int>(size.voxels()));
  check_launch("pack_field");
}

void unpack_field(const Bf16* packed, const VolumeSize& size, float* planar, Stream stream) {
  check_field(planar, packed, size);
  unpack_field_kernel<<<voxel_blocks(size), kThreads, 0, stream>>>(reinterpret_cast<const uint2*>(packed),
                                                                   PlanarOut{planar}, static_cast<int>(size.voxels()));
  check_launch("unpack_field");
}

}  // namespace regatta::kernels
