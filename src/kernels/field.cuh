// Displacements on the device: reading them, differences with neighbours, writing their derivatives.
#pragma once

#include <limits>

#include "kernels/bf16.cuh"
#include "kernels/field_form.hpp"
#include "kernels/launch.cuh"
#include "regatta/kernels/diffusion.hpp"

namespace regatta::kernels {

struct Vector3 {
  float d, h, w;
};

__device__ __forceinline__ Vector3 operator-(const Vector3& a, const Vector3& b) {
  return {a.d - b.d, a.h - b.h, a.w - b.w};
}

/// A volume's planar field, [3, d, h, w]. Indexes within a volume have 32 bits: the arithmetic of addresses is what
/// these kernels wait for.
struct FieldView {
  const float* d;
  const float* h;
  const float* w;

  __device__ __forceinline__ FieldView(const float* flow, long long volume, int voxels)
      : d(flow + 3 * volume * voxels), h(d + voxels), w(h + voxels) {}

  __device__ __forceinline__ Vector3 at(int i) const { return {__ldg(d + i), __ldg(h + i), __ldg(w + i)}; }
};

__device__ __forceinline__ Vector3 from_next_lane(const Vector3& a) {
  return {__shfl_down_sync(0xffffffffU, a.d, 1), __shfl_down_sync(0xffffffffU, a.h, 1),
          __shfl_down_sync(0xffffffffU, a.w, 1)};
}

__device__ __forceinline__ Vector3 from_previous_lane(const Vector3& a) {
  return {__shfl_up_sync(0xffffffffU, a.d, 1), __shfl_up_sync(0xffffffffU, a.h, 1),
          __shfl_up_sync(0xffffffffU, a.w, 1)};
}

template <Penalty kPenalty>
__device__ __forceinline__ float penalty_of(const Vector3& a) {
  if constexpr (kPenalty == Penalty::kSquared) {
    return a.d * a.d + a.h * a.h + a.w * a.w;
  } else {
    return fabsf(a.d) + fabsf(a.h) + fabsf(a.w);
  }
}

__device__ __forceinline__ float sign_of(float value) {
  return value > 0.0F ? 1.0F : value < 0.0F ? -1.0F : value;  // 0 and NaN stay
}

/// Adds factor x the penalty's slope (half of it where squared).
template <Penalty kPenalty>
__device__ __forceinline__ void add_slope(Vector3& sum, float factor, const Vector3& a) {
  if constexpr (kPenalty == Penalty::kSquared) {
    sum.d = fmaf(factor, a.d, sum.d);
    sum.h = fmaf(factor, a.h, sum.h);
    sum.w = fmaf(factor, a.w, sum.w);
  } else {
    sum.d = fmaf(factor, sign_of(a.d), sum.d);
    sum.h = fmaf(factor, sign_of(a.h), sum.h);
    sum.w = fmaf(factor, sign_of(a.w), sum.w);
  }
}

/// Per axis: weight over three times the number of differences.
struct AxisWeights {
  float d, h, w;
};

inline AxisWeights axis_weights(const VolumeSize& size, double weight) {
  const auto share = [&](std::int64_t length) {
    const double pairs =
        3.0 * static_cast<double>(size.all()) / static_cast<double>(length) * static_cast<double>(length - 1);
    return static_cast<float>(weight / (3.0 * pairs));
  };
  return {share(size.d), share(size.h), share(size.w)};
}

struct FieldShape {
  int d, h, w;
  int chunks;  ///< of planes in a volume
  int plane;   ///< voxels
  int voxels;
  int quad_plane;  ///< words of pack_quads
};

inline FieldShape field_shape(const VolumeSize& size, int planes = kFieldPlanes) {
  return {static_cast<int>(size.d),
          static_cast<int>(size.h),
          static_cast<int>(size.w),
          static_cast<int>(divide_up(size.d, planes)),
          static_cast<int>(size.plane()),
          static_cast<int>(size.voxels()),
          static_cast<int>((size.h + 1) * (size.w + 1))};
}

inline dim3 field_blocks(const VolumeSize& size, int planes = kFieldPlanes) {
  const FieldGrid grid = field_grid(size, planes);
  return dim3(static_cast<unsigned>(grid.x), static_cast<unsigned>(grid.y), static_cast<unsigned>(grid.z));
}

inline void check_field_size(const char* who, const VolumeSize& size, std::int64_t least) {
  constexpr std::int64_t kMost = std::numeric_limits<int>::max();
  for (const std::int64_t length : {size.d, size.h, size.w}) {
    REGATTA_REQUIRE(length >= least && length <= kMost / 2, BugError, who, ": size ", length, ", at least ", least);
  }
  REGATTA_REQUIRE((size.h + 1) * (size.w + 1) <= kMost / size.d, BugError, who, ": a volume of ", size.d, "x", size.h,
                  "x", size.w, " voxels is too large");
  const FieldGrid grid = field_grid(size);
  REGATTA_REQUIRE(size.n >= 1 && grid.y <= 65535 && grid.z <= 65535, BugError, who, ": too many volumes or planes, ",
                  size.n, " x ", size.d);
}

/// Where a thread stands: its column, held inside the volume, so that all lanes can shuffle.
struct FieldThread {
  int lane, x, y, z0;
  int volume;  ///< index of the volume
  int i;       ///< voxel of the first plane, in the volume
  bool inside;
  bool has_right, has_left;
  int below, above;  ///< offsets to the row after and before; 0 at the border

  /// @param planes  as the shape's and the grid's
  __device__ __forceinline__ explicit FieldThread(const FieldShape& shape, int planes = kFieldPlanes) {
    lane = static_cast<int>(threadIdx.x) % kFieldWidth;
    x = static_cast<int>(blockIdx.x) * kFieldWidth + lane;
    y = static_cast<int>(blockIdx.y) * kFieldHeight + static_cast<int>(threadIdx.x) / kFieldWidth;
    z0 = static_cast<int>(blockIdx.z) % shape.chunks * planes;
    volume = static_cast<int>(blockIdx.z) / shape.chunks;
    inside = x < shape.w && y < shape.h;
    x = min(x, shape.w - 1);
    y = min(y, shape.h - 1);
    i = z0 * shape.plane + y * shape.w + x;
    has_right = x + 1 < shape.w;
    has_left = x > 0;
    below = y + 1 < shape.h ? shape.w : 0;
    above = y > 0 ? -shape.w : 0;
  }
};

/// A volume's field to be written, planar.
struct PlanarView {
  float* d;
  float* h;
  float* w;

  __device__ __forceinline__ void put(int i, const Vector3& a) const {
    d[i] = a.d;
    h[i] = a.h;
    w[i] = a.w;
  }
};

struct PackedView {
  uint2* data;

  __device__ __forceinline__ void put(int i, const Vector3& a) const {
    data[i] = make_uint2(pack_bf16(a.d, a.h), pack_bf16(a.w, 0.0F));
  }
};

struct PlanarOut {
  float* data;

  __device__ __forceinline__ PlanarView of(long long volume, int voxels) const {
    float* first = data + 3 * volume * voxels;
    return {first, first + voxels, first + 2LL * voxels};
  }
};

struct PackedOut {
  Bf16* data;

  __device__ __forceinline__ PackedView of(long long volume, int voxels) const {
    return {reinterpret_cast<uint2*>(data) + volume * voxels};
  }
};

inline void check_gradient(const char* who, const FieldGradient& to) {
  REGATTA_REQUIRE((to.planar == nullptr) != (to.packed == nullptr), BugError, who,
                  ": one of the planar and the packed gradient is wanted");
  REGATTA_REQUIRE(is_aligned(to.packed, 8), BugError, who, ": the packed gradient is not aligned to 8 bytes");
}

}  // namespace regatta::kernels
