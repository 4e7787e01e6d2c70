// Fields in the forms between the steps of a composition, read and written at a voxel; sampling them.
#pragma once

#include <cuda_fp16.h>

#include "kernels/trilinear.cuh"

namespace regatta::kernels {

__device__ __forceinline__ Vector3 operator+(const Vector3& a, const Vector3& b) {
  return {a.d + b.d, a.h + b.h, a.w + b.w};
}

__device__ __forceinline__ Vector3 operator*(float factor, const Vector3& a) {
  return {factor * a.d, factor * a.h, factor * a.w};
}

__device__ __forceinline__ float dot(const Vector3& a, const Vector3& b) {
  return fmaf(a.d, b.d, fmaf(a.h, b.h, a.w * b.w));
}

/// Keeps the compiler from working out the whole address again at each use.
template <class T>
__device__ __forceinline__ T* as_base(T* pointer) {
  asm("" : "+l"(pointer));
  return pointer;
}

/// A volume's view: `at` reads a voxel, `from` is the view from another voxel on.
struct PlanarRead {
  const float* d;
  const float* h;
  const float* w;

  __device__ __forceinline__ Vector3 at(int i) const { return {__ldg(d + i), __ldg(h + i), __ldg(w + i)}; }
  __device__ __forceinline__ PlanarRead from(int i) const { return {d + i, h + i, w + i}; }
};

/// Planar float32 times a factor.
struct ScaledView {
  PlanarRead field;
  float factor;

  __device__ __forceinline__ Vector3 at(int i) const { return factor * field.at(i); }
  __device__ __forceinline__ ScaledView from(int i) const { return {field.from(i), factor}; }
};

/// Four float16 a voxel.
struct HalfView {
  uint2* data;

  __device__ __forceinline__ Vector3 at(int i) const {
    const uint2 four = __ldg(data + i);
    const float2 two = __half22float2(*reinterpret_cast<const __half2*>(&four.x));
    return {two.x, two.y, __low2float(*reinterpret_cast<const __half2*>(&four.y))};
  }

  __device__ __forceinline__ HalfView from(int i) const { return {data + i}; }

  __device__ __forceinline__ void put(int i, const Vector3& a) const {
    const __half2 first = __floats2half2_rn(a.d, a.h);
    const __half2 second = __floats2half2_rn(a.w, 0.0F);
    data[i] = make_uint2(*reinterpret_cast<const unsigned*>(&first), *reinterpret_cast<const unsigned*>(&second));
  }
};

/// Four float32 a voxel.
struct SingleView {
  float4* data;

  __device__ __forceinline__ Vector3 at(int i) const {
    const float4 four = __ldg(data + i);
    return {four.x, four.y, four.z};
  }

  __device__ __forceinline__ SingleView from(int i) const { return {data + i}; }
  __device__ __forceinline__ void put(int i, const Vector3& a) const { data[i] = make_float4(a.d, a.h, a.w, 0.0F); }
};

/// Whole batches of each: `of` gives a volume's view to read, `to` one to write.
struct PlanarField {
  const float* data;

  __device__ __forceinline__ PlanarRead of(long long volume, int voxels) const {
    const float* first = as_base(data + 3 * volume * voxels);
    return {first, as_base(first + voxels), as_base(first + 2LL * voxels)};
  }
};

struct ScaledField {
  const float* data;
  float factor;

  __device__ __forceinline__ ScaledView of(long long volume, int voxels) const {
    return {PlanarField{data}.of(volume, voxels), factor};
  }
};

struct HalfField {
  uint2* data;

  __device__ __forceinline__ HalfView of(long long volume, int voxels) const {
    return {as_base(data + volume * voxels)};
  }

  __device__ __forceinline__ HalfView to(long long volume, int voxels) const { return {data + volume * voxels}; }
};

struct SingleField {
  float4* data;

  __device__ __forceinline__ SingleView of(long long volume, int voxels) const {
    return {as_base(data + volume * voxels)};
  }

  __device__ __forceinline__ SingleView to(long long volume, int voxels) const { return {data + volume * voxels}; }
};

struct PlanarTo {
  float* data;

  __device__ __forceinline__ PlanarView to(long long volume, int voxels) const {
    return PlanarOut{data}.of(volume, voxels);
  }
};

__device__ __forceinline__ float lesser(float a, float b) {  // NaN stays
  float out;
  asm("min.NaN.f32 %0, %1, %2;" : "=f"(out) : "f"(a), "f"(b));
  return out;
}

__device__ __forceinline__ float greater(float a, float b) {
  float out;
  asm("max.NaN.f32 %0, %1, %2;" : "=f"(out) : "f"(a), "f"(b));
  return out;
}

/// As `hold`, with fewer operations. Along an axis of one voxel the lower one is -1, with weight 0.
__device__ __forceinline__ void hold_inside(int index, float displacement, int size, int& lower, float& fraction,
                                            float& slope) {
  const auto least = static_cast<float>(-index);
  const auto most = static_cast<float>(size - 1 - index);
  const float held = greater(lesser(displacement, most), least);
  const int whole = min(__float2int_rd(held), size - 2 - index);
  lower = index + whole;
  fraction = held - static_cast<float>(whole);
  slope = displacement > least && displacement < most ? 1.0F : 0.0F;
}

template <Outside kOutside>
__device__ __forceinline__ Place field_place(int z, int y, int x, const Vector3& u, const FieldShape& shape) {
  if constexpr (kOutside == Outside::kZero) {
    return place_of<kOutside>(z, y, x, u, shape);
  } else {
    Place p;
    hold_inside(z, u.d, shape.d, p.d, p.fraction.d, p.slope.d);
    hold_inside(y, u.h, shape.h, p.h, p.fraction.h, p.slope.h);
    hold_inside(x, u.w, shape.w, p.w, p.fraction.w, p.slope.w);
    return p;
  }
}

/// Of the columns (h, w) of the eight voxels, in the order (0, 0), (0, 1), (1, 0), (1, 1).
__device__ __forceinline__ void column_weights(const Vector3& f, float (&weights)[4]) {
  const float both = f.h * f.w;
  weights[0] = 1.0F - f.h - f.w + both;
  weights[1] = f.w - both;
  weights[2] = f.h - both;
  weights[3] = both;
}

/// Of the voxel 4 d + 2 h + w.
__device__ __forceinline__ void corner_weights(const Vector3& f, float (&weights)[8]) {
  float columns[4];
  column_weights(f, columns);
#pragma unroll
  for (int k = 0; k < 4; ++k) {
    weights[k + 4] = f.d * columns[k];
    weights[k] = columns[k] - weights[k + 4];
  }
}

/// Calls visit(k, value) for the eight voxels around a place, k = 4 d + 2 h + w; zeros outside.
template <class View, class Visit>
__device__ __forceinline__ void visit_field_corners(const View& field, const Place& p, const FieldShape& shape,
                                                    const Visit& visit) {
  const unsigned first = static_cast<unsigned>(p.d) * shape.plane + static_cast<unsigned>(p.h) * shape.w + p.w;
  if (is_index(p.d, shape.d - 1) && is_index(p.h, shape.h - 1) && is_index(p.w, shape.w - 1)) {
    const View rows[4] = {field.from(static_cast<int>(first)), field.from(static_cast<int>(first + shape.w)),
                          field.from(static_cast<int>(first + shape.plane)),
                          field.from(static_cast<int>(first + shape.plane + shape.w))};
#pragma unroll
    for (int k = 0; k < 8; ++k) {
      visit(k, rows[k >> 1].at(k & 1));
    }
  } else {
#pragma unroll
    for (int k = 0; k < 8; ++k) {
      const bool inside = is_index(beyond(p.d, k >> 2), shape.d) && is_index(beyond(p.h, k >> 1 & 1), shape.h) &&
                          is_index(beyond(p.w, k & 1), shape.w);
      const unsigned at = first + (k >> 2) * shape.plane + (k >> 1 & 1) * shape.w + (k & 1);
      visit(k, inside ? field.at(static_cast<int>(at)) : Vector3{0.0F, 0.0F, 0.0F});
    }
  }
}

}  // namespace regatta::kernels
