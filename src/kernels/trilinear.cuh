// Trilinear sampling with its gradient, of images in the forms of warp.hpp.
#pragma once

#include "kernels/field.cuh"
#include "regatta/kernels/warp.hpp"

namespace regatta::kernels {

/// The lower of the eight voxels around a point, and how far the point is from it.
struct Place {
  int d, h, w;
  Vector3 fraction;
  Vector3 slope;  ///< kBorder: 0 where the point is held, else 1
};

__device__ __forceinline__ bool is_index(int index, int size) {
  return static_cast<unsigned>(index) < static_cast<unsigned>(size);
}

/// index + step without the overflow of signed numbers.
__device__ __forceinline__ int beyond(int index, int step) {
  return static_cast<int>(static_cast<unsigned>(index) + static_cast<unsigned>(step));
}

/// The integer part is taken from the displacement, so that its fraction keeps all digits. Sums wrap around: far
/// outside stays outside.
__device__ __forceinline__ int lower_index(int index, float displacement) {
  return beyond(index, __float2int_rd(displacement));
}

constexpr int kFar = 1 << 30;

/// One axis of a point that is held between the outer voxels' centres. NaN stays in the fraction.
__device__ __forceinline__ void hold(int index, float displacement, int size, int& lower, float& fraction,
                                     float& slope) {
  lower = index + max(min(__float2int_rd(displacement), kFar), -kFar);
  fraction = displacement - floorf(displacement);
  slope = 1.0F;
  if (lower < 0 || (lower == 0 && fraction == 0.0F)) {
    lower = 0;
    fraction = 0.0F;
    slope = 0.0F;
  } else if (lower >= size - 1) {
    lower = max(size - 2, 0);
    fraction = size > 1 ? 1.0F : 0.0F;
    slope = 0.0F;
  }
}

template <Outside kOutside>
__device__ __forceinline__ Place place_of(int z, int y, int x, const Vector3& u, const FieldShape& shape) {
  Place p;
  if constexpr (kOutside == Outside::kZero) {
    p.d = lower_index(z, u.d);
    p.h = lower_index(y, u.h);
    p.w = lower_index(x, u.w);
    p.fraction = {u.d - floorf(u.d), u.h - floorf(u.h), u.w - floorf(u.w)};
  } else {
    hold(z, u.d, shape.d, p.d, p.fraction.d, p.slope.d);
    hold(y, u.h, shape.h, p.h, p.fraction.h, p.slope.h);
    hold(x, u.w, shape.w, p.w, p.fraction.w, p.slope.w);
  }
  return p;
}

/// A byte as float by its bits: conversions are slow.
__device__ __forceinline__ float byte_to_float(unsigned byte) {
  return __uint_as_float(0x4B000000U | byte) - 8388608.0F;
}

template <int kWhich>
__device__ __forceinline__ float byte_of(unsigned quad) {
  return __uint_as_float(__byte_perm(quad, 0x4B000000U, 0x7440U + kWhich)) - 8388608.0F;
}

__device__ __forceinline__ float read_voxel(const unsigned char* from) {
  return byte_to_float(__ldg(from));
}

__device__ __forceinline__ float read_voxel(const float* from) {
  return __ldg(from);
}

/// The eight voxels, index 4 d + 2 h + w, in the image's own units; 0 outside. Indexes of voxels outside wrap around
/// and are not read.
template <class T>
__device__ __forceinline__ void read_corners(const T* image, const Place& p, const FieldShape& shape, float (&c)[8]) {
  const unsigned first = static_cast<unsigned>(p.d) * shape.plane + static_cast<unsigned>(p.h) * shape.w + p.w;
  if (is_index(p.d, shape.d - 1) && is_index(p.h, shape.h - 1) && is_index(p.w, shape.w - 1)) {
    const T* from = image + first;
    const T* below = from + shape.w;
    c[0] = read_voxel(from);
    c[1] = read_voxel(from + 1);
    c[2] = read_voxel(below);
    c[3] = read_voxel(below + 1);
    from += shape.plane;
    below += shape.plane;
    c[4] = read_voxel(from);
    c[5] = read_voxel(from + 1);
    c[6] = read_voxel(below);
    c[7] = read_voxel(below + 1);
  } else {
#pragma unroll
    for (int k = 0; k < 8; ++k) {
      const bool inside = is_index(beyond(p.d, k >> 2), shape.d) && is_index(beyond(p.h, k >> 1 & 1), shape.h) &&
                          is_index(beyond(p.w, k & 1), shape.w);
      const unsigned at = first + (k >> 2) * shape.plane + (k >> 1 & 1) * shape.w + (k & 1);
      c[k] = inside ? read_voxel(image + at) : 0.0F;
    }
  }
}

/// The same from quads, which have a row and a column of zeros around.
__device__ __forceinline__ void read_corners(const std::uint32_t* quads, const Place& p, const FieldShape& shape,
                                             float (&c)[8]) {
  unsigned lower = 0;
  unsigned upper = 0;
  const int h = beyond(p.h, 1);
  const int w = beyond(p.w, 1);
  if (is_index(h, shape.h + 1) && is_index(w, shape.w + 1)) {
    const unsigned first = static_cast<unsigned>(p.d) * shape.quad_plane + static_cast<unsigned>(h * (shape.w + 1) + w);
    if (is_index(p.d, shape.d)) {
      lower = __ldg(quads + first);
    }
    if (is_index(beyond(p.d, 1), shape.d)) {
      upper = __ldg(quads + (first + shape.quad_plane));
    }
  }
  c[0] = byte_of<0>(lower);
  c[1] = byte_of<1>(lower);
  c[2] = byte_of<2>(lower);
  c[3] = byte_of<3>(lower);
  c[4] = byte_of<0>(upper);
  c[5] = byte_of<1>(upper);
  c[6] = byte_of<2>(upper);
  c[7] = byte_of<3>(upper);
}

/// @param gradient  with respect to the displacement; written where kGradient
template <bool kGradient>
__device__ __forceinline__ float interpolate(const float (&c)[8], const Vector3& f, Vector3& gradient) {
  const float w00 = c[1] - c[0];
  const float w01 = c[3] - c[2];
  const float w10 = c[5] - c[4];
  const float w11 = c[7] - c[6];
  const float e00 = fmaf(f.w, w00, c[0]);
  const float e01 = fmaf(f.w, w01, c[2]);
  const float e10 = fmaf(f.w, w10, c[4]);
  const float e11 = fmaf(f.w, w11, c[6]);
  const float h0 = e01 - e00;
  const float h1 = e11 - e10;
  const float f0 = fmaf(f.h, h0, e00);
  const float f1 = fmaf(f.h, h1, e10);
  if constexpr (kGradient) {
    const float w0 = fmaf(f.h, w01 - w00, w00);
    const float w1 = fmaf(f.h, w11 - w10, w10);
    gradient = {f1 - f0, fmaf(f.d, h1 - h0, h0), fmaf(f.d, w1 - w0, w0)};
  }
  return fmaf(f.d, f1 - f0, f0);
}

/// How the kernels see an image of each form, and the value of 1.0 in its units.
template <SourceType kType>
struct SourceOf;

template <>
struct SourceOf<SourceType::kBytes> {
  using Type = unsigned char;
  static constexpr float kOne = 255.0F;
};

template <>
struct SourceOf<SourceType::kFloats> {
  using Type = float;
  static constexpr float kOne = 1.0F;
};

template <>
struct SourceOf<SourceType::kQuads> {
  using Type = std::uint32_t;
  static constexpr float kOne = 255.0F;
};

/// Elements of one volume.
template <SourceType kType>
__device__ __forceinline__ long long source_elements(const FieldShape& shape) {
  if constexpr (kType == SourceType::kQuads) {
    return static_cast<long long>(shape.d) * shape.quad_plane;
  } else {
    return shape.voxels;
  }
}

template <SourceType kType, Outside kOutside, bool kGradient>
__device__ __forceinline__ float sample(const typename SourceOf<kType>::Type* image, int z, int y, int x,
                                        const Vector3& u, const FieldShape& shape, Vector3& gradient) {
  const Place place = place_of<kOutside>(z, y, x, u, shape);
  float corners[8];
  read_corners(image, place, shape, corners);
  const float value = interpolate<kGradient>(corners, place.fraction, gradient);
  if constexpr (kGradient && kOutside == Outside::kBorder) {
    gradient = {gradient.d * place.slope.d, gradient.h * place.slope.h, gradient.w * place.slope.w};
  }
  return value;
}

}  // namespace regatta::kernels
