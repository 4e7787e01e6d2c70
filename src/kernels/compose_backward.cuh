// The two halves of a composition's backward pass: what arrives at the inner field's own voxels, and what the outer
// field's voxels receive from all that were sampled there (a splat).
#pragma once

#include <type_traits>

#include "kernels/splat_box.cuh"

namespace regatta::kernels {

/// Where the inner field's derivative goes, or nowhere.
struct FloatSink {
  PlanarOut out;

  __device__ __forceinline__ float scale() const { return 1.0F; }

  __device__ __forceinline__ void put(long long volume, int voxels, int i, const Vector3& a, unsigned) const {
    if (out.data != nullptr) {
      out.of(volume, voxels).put(i, a);
    }
  }

  __device__ __forceinline__ void put_block_largest(unsigned) const {}
};

struct FixedSink {
  FixedSums sums;

  __device__ __forceinline__ float scale() const { return power_of_two(-fixed_exponent(sums.state)); }

  __device__ __forceinline__ void put(long long volume, int voxels, int i, const Vector3& a, unsigned largest) const {
    const long long first = 3 * volume * voxels + i;
    if (__uint_as_float(largest) < kTwo31) {
      int* to = sums.values + first;
      to[0] = __float2int_rn(a.d);
      to[voxels] = __float2int_rn(a.h);
      to[2LL * voxels] = __float2int_rn(a.w);
    } else {
      put_large(sums, first, a.d);
      put_large(sums, first + voxels, a.h);
      put_large(sums, first + 2LL * voxels, a.w);
    }
  }

  __device__ __forceinline__ void put_block_largest(unsigned bits) const {
    put_largest(__float_as_uint(__uint_as_float(bits) * power_of_two(fixed_exponent(sums.state))),
                &sums.state->largest_local);
  }
};

/// As splat_blocks: registers without spills.
template <class Outer>
constexpr int local_blocks() {
  return std::is_same_v<Outer, HalfField> ? 4 : std::is_same_v<Outer, SingleField> ? 2 : 3;
}

/// to_inner = g (if the inner field was added) + g . (gradient of outer at p + inner(p)), and the boxes of the splat.
/// @param boxes  nullptr: not wanted
template <Outside kOutside, class Outer, class Inner, class Gradient, class Sink>
__global__ void __launch_bounds__(kFieldThreads, local_blocks<Outer>())
    local_kernel(Outer outer_field, Inner inner_field, Gradient gradient, Sink sink, SplatBox* boxes, FixedState* state,
                 float inner_factor, FieldShape shape) {
  const FieldThread t(shape, kSplatPlanes);
  const auto outer = outer_field.of(t.volume, shape.voxels);
  const auto inner = inner_field.of(t.volume, shape.voxels);
  const auto from = gradient.of(t.volume, shape.voxels);
  const float scale = sink.scale();
  const int planes = t.inside ? min(kSplatPlanes, shape.d - t.z0) : 0;
  PointExtent extent = no_points();
  unsigned largest = 0;
  bool bad = false;
#pragma unroll 1
  for (int k = 0; k < planes; ++k) {
    const int i = t.i + k * shape.plane;
    const Vector3 u = inner.at(i);
    const Vector3 g = from.at(i);
    const Place place = field_place<kOutside>(t.z0 + k, t.y, t.x, u, shape);
    if (touches<kOutside>(place, shape)) {
      include(extent, place, g);
    }
    bad = bad || !isfinite(place.fraction.d + place.fraction.h + place.fraction.w);
    float products[8];
    visit_field_corners(outer, place, shape,
                        [&](int corner, const Vector3& value) { products[corner] = dot(g, value); });
    Vector3 slope;
    interpolate<true>(products, place.fraction, slope);
    if constexpr (kOutside == Outside::kBorder) {
      slope = {slope.d * place.slope.d, slope.h * place.slope.h, slope.w * place.slope.w};
    }
    const Vector3 sum = {scale * fmaf(inner_factor, g.d, slope.d), scale * fmaf(inner_factor, g.h, slope.h),
                         scale * fmaf(inner_factor, g.w, slope.w)};
    const unsigned bits = magnitude_bits(sum);
    largest = max(largest, bits);
    sink.put(t.volume, shape.voxels, i, sum, bits);
  }
  sink.put_block_largest(largest);
  if (boxes != nullptr) {
    if (bad) {
      state->bad = 1;
    }
    put_box(extent, boxes, state);
  }
}

template <class Outer, class Inner, class Gradient, class Sink>
void queue_local(Outer outer, Inner inner, Gradient gradient, Sink sink, SplatBox* boxes, FixedState* state,
                 const VolumeSize& size, Outside outside, bool add_inner, Stream stream) {
  const dim3 blocks = field_blocks(size, kSplatPlanes);
  const FieldShape shape = field_shape(size, kSplatPlanes);
  const float factor = add_inner ? 1.0F : 0.0F;
  if (outside == Outside::kBorder) {
    local_kernel<Outside::kBorder>
        <<<blocks, kFieldThreads, 0, stream>>>(outer, inner, gradient, sink, boxes, state, factor, shape);
  } else {
    local_kernel<Outside::kZero>
        <<<blocks, kFieldThreads, 0, stream>>>(outer, inner, gradient, sink, boxes, state, factor, shape);
  }
  check_launch("compose: local");
}

}  // namespace regatta::kernels
