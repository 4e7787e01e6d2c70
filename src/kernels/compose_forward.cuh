// outer(p + inner(p)) + inner(p): a thread samples some planes of its column.
#pragma once

#include "kernels/field_view.cuh"

namespace regatta::kernels {

constexpr int kComposePlanes = 4;  ///< a thread's

template <Outside kOutside, class Outer, class Inner, class Out>
__global__ void __launch_bounds__(kFieldThreads)
    compose_kernel(Outer outer_field, Inner inner_field, Out out, float inner_factor, FieldShape shape) {
  const FieldThread t(shape, kComposePlanes);
  const auto outer = outer_field.of(t.volume, shape.voxels);
  const auto inner = inner_field.of(t.volume, shape.voxels);
  const auto to = out.to(t.volume, shape.voxels);
  if (!t.inside) {
    return;
  }
#pragma unroll 1
  for (int k = 0; k < kComposePlanes; ++k) {
    const int z = t.z0 + k;
    const int i = t.i + k * shape.plane;
    if (z < shape.d) {
      const Vector3 u = inner.at(i);
      const Place place = field_place<kOutside>(z, t.y, t.x, u, shape);
      float weights[8];
      corner_weights(place.fraction, weights);
      Vector3 sum = inner_factor * u;
      visit_field_corners(outer, place, shape, [&](int corner, const Vector3& value) {
        sum.d = fmaf(weights[corner], value.d, sum.d);
        sum.h = fmaf(weights[corner], value.h, sum.h);
        sum.w = fmaf(weights[corner], value.w, sum.w);
      });
      to.put(i, sum);
    }
  }
}

template <class Outer, class Inner, class Out>
void queue_compose(Outer outer, Inner inner, Out out, const VolumeSize& size, Outside outside, bool add_inner,
                   Stream stream) {
  const dim3 blocks = field_blocks(size, kComposePlanes);
  const FieldShape shape = field_shape(size, kComposePlanes);
  const float factor = add_inner ? 1.0F : 0.0F;
  if (outside == Outside::kBorder) {
    compose_kernel<Outside::kBorder><<<blocks, kFieldThreads, 0, stream>>>(outer, inner, out, factor, shape);
  } else {
    compose_kernel<Outside::kZero><<<blocks, kFieldThreads, 0, stream>>>(outer, inner, out, factor, shape);
  }
  check_launch("compose");
}

}  // namespace regatta::kernels
