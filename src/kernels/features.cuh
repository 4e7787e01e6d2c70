// Vectors of 8 channels, and checks of what points to them.
#pragma once

#include "kernels/bf16.cuh"
#include "kernels/launch.cuh"

namespace regatta::kernels {

constexpr int kVector = 8;

struct Eight {
  float v[kVector];
};

__device__ __forceinline__ Eight unpack(const uint4& raw) {
  return {{low_bf16(raw.x), high_bf16(raw.x), low_bf16(raw.y), high_bf16(raw.y), low_bf16(raw.z), high_bf16(raw.z),
           low_bf16(raw.w), high_bf16(raw.w)}};
}

__device__ __forceinline__ uint4 pack(const Eight& e) {
  return {pack_bf16(e.v[0], e.v[1]), pack_bf16(e.v[2], e.v[3]), pack_bf16(e.v[4], e.v[5]), pack_bf16(e.v[6], e.v[7])};
}

/// sum += weight x of
__device__ __forceinline__ void add_to(Eight& sum, float weight, const Eight& of) {
#pragma unroll
  for (int c = 0; c < kVector; ++c) {
    sum.v[c] = fmaf(weight, of.v[c], sum.v[c]);
  }
}

__device__ __forceinline__ Eight scaled(float weight, const Eight& of) {
  Eight product;
#pragma unroll
  for (int c = 0; c < kVector; ++c) {
    product.v[c] = weight * of.v[c];
  }
  return product;
}

inline const uint4* vectors(const Bf16* features) {
  return reinterpret_cast<const uint4*>(features);
}

inline uint4* vectors(Bf16* features) {
  return reinterpret_cast<uint4*>(features);
}

inline void require_features(const char* kernel, const void* features, const char* what) {
  REGATTA_REQUIRE(features != nullptr && is_aligned(features, 16), BugError, kernel, ": ", what,
                  " is missing or not aligned to 16 bytes");
}

}  // namespace regatta::kernels
