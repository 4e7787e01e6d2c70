// Stencils: a thread marches along D, what its neighbours have read is in the cache. Every voxel gathers its own
// derivative.
#include "kernels/field_march.cuh"
#include "kernels/field_penalty_form.hpp"
#include "kernels/field_view.cuh"

namespace regatta::kernels {
namespace {

__device__ __forceinline__ Vector3 cross(const Vector3& a, const Vector3& b) {
  return {a.h * b.w - a.w * b.h, a.w * b.d - a.d * b.w, a.d * b.h - a.h * b.d};
}

__device__ __forceinline__ void put_sum(float value, double* parts) {
  const float sum = block_sum<kFieldThreads>(value);
  if (threadIdx.x == 0) {
    parts[(static_cast<long long>(blockIdx.z) * gridDim.y + blockIdx.y) * gridDim.x + blockIdx.x] = sum;
  }
}

// Folding.

/// How p + flow(p) changes with a step along each axis.
struct Jacobian {
  Vector3 d, h, w;

  __device__ __forceinline__ Jacobian(const FieldView& field, int i, const FieldShape& shape) {
    const Vector3 here = field.at(i);
    d = field.at(i + shape.plane) - here;
    h = field.at(i + shape.w) - here;
    w = field.at(i + 1) - here;
    d.d += 1.0F;
    h.h += 1.0F;
    w.w += 1.0F;
  }
};

__global__ void __launch_bounds__(kFieldThreads)
    folding_forward_kernel(const float* __restrict__ flow, FieldShape shape, double* __restrict__ parts) {
  const FieldThread t(shape, kPenaltyPlanes);
  const FieldView field(flow, t.volume, shape.voxels);
  const int end = min(t.z0 + kPenaltyPlanes, shape.d - 1);
  const bool counts = t.inside && t.has_right && t.below != 0;
  float sum = 0.0F;
  if (counts) {
    int i = t.i;
#pragma unroll 2
    for (int z = t.z0; z < end; ++z, i += shape.plane) {
      const Jacobian j(field, i, shape);
      const float determinant = dot(j.d, cross(j.h, j.w));
      sum += determinant > 0.0F ? 0.0F : -determinant;  // NaN stays
    }
  }
  put_sum(sum, parts);
}

/// The derivative of a voxel's determinant with respect to its Jacobian, where that folds; else zeros.
struct Fold {
  Vector3 d = {0.0F, 0.0F, 0.0F};
  Vector3 h = {0.0F, 0.0F, 0.0F};
  Vector3 w = {0.0F, 0.0F, 0.0F};

  __device__ __forceinline__ Fold(const FieldView& field, int i, const FieldShape& shape, bool exists) {
    if (exists) {
      const Jacobian j(field, i, shape);
      const Vector3 of_d = cross(j.h, j.w);
      if (dot(j.d, of_d) < 0.0F) {
        d = of_d;
        h = cross(j.w, j.d);
        w = cross(j.d, j.h);
      }
    }
  }
};

/// @param share  of a voxel in the mean
__global__ void __launch_bounds__(kFieldThreads, 3)
    folding_backward_kernel(const float* __restrict__ flow, FieldShape shape, float share,
                            const float* __restrict__ upstream, float* __restrict__ to_flow) {
  const FieldThread t(shape, kPenaltyPlanes);
  const FieldView field(flow, t.volume, shape.voxels);
  const PlanarView to = PlanarOut{to_flow}.of(t.volume, shape.voxels);
  const float factor = share * (upstream == nullptr ? 1.0F : __ldg(upstream));
  const int end = min(t.z0 + kPenaltyPlanes, shape.d);
  const bool has_below = t.below != 0;
  if (!t.inside) {
    return;
  }
  int i = t.i;
  Vector3 before = Fold(field, i - shape.plane, shape, t.z0 > 0 && t.has_right && has_below).d;
#pragma unroll 1
  for (int z = t.z0; z < end; ++z, i += shape.plane) {
    const bool has_next = z + 1 < shape.d;
    const Fold here(field, i, shape, has_next && t.has_right && has_below);
    const Vector3 left = Fold(field, i - 1, shape, has_next && t.has_left && has_below).w;
    const Vector3 above = Fold(field, i - shape.w, shape, has_next && t.has_right && t.above != 0).h;
    to.put(i, factor * ((here.d - before) + (here.h - above) + (here.w - left)));
    before = here.d;
  }
}

// Bending: a component at a time. Differences of close numbers come first: they are exact.

/// Four times the second derivative at `at`. @param step  two voxels
__device__ __forceinline__ float second(float before, float at, float after) {
  return (after - at) - (at - before);
}

/// The same along one axis, and along two.
__device__ __forceinline__ float second_along(const float* at, int step) {
  return second(__ldg(at - 2 * step), __ldg(at), __ldg(at + 2 * step));
}

__device__ __forceinline__ float mixed_along(const float* at, int a, int b) {
  return (__ldg(at + a + b) - __ldg(at + a - b)) - (__ldg(at - a + b) - __ldg(at - a - b));
}

/// Whether second derivatives are taken at index + o, o = -2 .. 2, by bits.
__device__ __forceinline__ unsigned inner_bits(int index, int size) {
  unsigned bits = 0;
#pragma unroll
  for (int o = -2; o <= 2; ++o) {
    bits |= index + o >= 2 && index + o < size - 2 ? 1U << (o + 2) : 0U;
  }
  return bits;
}

__device__ __forceinline__ bool has_bit(unsigned bits, int offset) {
  return (bits >> (offset + 2) & 1U) != 0U;
}

constexpr unsigned kAllInner = 31;

/// The volumes of `shape` are components here.
__global__ void __launch_bounds__(kFieldThreads)
    bending_forward_kernel(const float* __restrict__ flow, FieldShape shape, double* __restrict__ parts) {
  const FieldThread t(shape, kPenaltyPlanes);
  const int end = min(t.z0 + kPenaltyPlanes, shape.d - 2);
  const bool counts = t.inside && has_bit(inner_bits(t.x, shape.w), 0) && has_bit(inner_bits(t.y, shape.h), 0);
  const int first = max(t.z0, 2);
  const float* at = flow + static_cast<long long>(t.volume) * shape.voxels + t.i + (first - t.z0) * shape.plane;
  float straight = 0.0F;
  float mixed = 0.0F;
  if (counts) {
#pragma unroll 2
    for (int z = first; z < end; ++z, at += shape.plane) {
      const float dd = second_along(at, shape.plane);
      const float hh = second_along(at, shape.w);
      const float ww = second_along(at, 1);
      const float dh = mixed_along(at, shape.plane, shape.w);
      const float dw = mixed_along(at, shape.plane, 1);
      const float hw = mixed_along(at, shape.w, 1);
      straight += dd * dd + hh * hh + ww * ww;
      mixed += dh * dh + dw * dw + hw * hw;
    }
  }
  put_sum(straight + 2.0F * mixed, parts);
}

/// Where all second derivatives around count: the sum over axes of `second`, of itself.
__device__ __forceinline__ float bending_slope(const float* at, const int (&steps)[3]) {
  const float u = __ldg(at);
  float near[3][2];  // two voxels before and after
  float laplacian = 0.0F;
#pragma unroll
  for (int a = 0; a < 3; ++a) {
    near[a][0] = __ldg(at - 2 * steps[a]);
    near[a][1] = __ldg(at + 2 * steps[a]);
    laplacian += second(near[a][0], u, near[a][1]);
  }
  float sum = 0.0F;
#pragma unroll
  for (int a = 0; a < 3; ++a) {
#pragma unroll
    for (int side = 0; side < 2; ++side) {
      const float* there = side == 0 ? at - 2 * steps[a] : at + 2 * steps[a];
      const float centre = near[a][side];
      float other =
          side == 0 ? second(__ldg(there - 2 * steps[a]), centre, u) : second(u, centre, __ldg(there + 2 * steps[a]));
#pragma unroll
      for (int k = 1; k < 3; ++k) {
        const int step = 2 * steps[(a + k) % 3];
        other += second(__ldg(there - step), centre, __ldg(there + step));
      }
      sum += other - laplacian;
    }
  }
  return sum;
}

/// The same near the border. @param inner  of each axis, see `inner_bits`
__device__ __forceinline__ float border_slope(const float* at, const int (&steps)[3], const unsigned (&inner)[3]) {
  float sum = 0.0F;
#pragma unroll
  for (int a = 0; a < 3; ++a) {
    const int b = (a + 1) % 3;
    const int c = (a + 2) % 3;
    if (has_bit(inner[b], 0) && has_bit(inner[c], 0)) {
#pragma unroll
      for (int offset = -2; offset <= 2; offset += 2) {
        if (has_bit(inner[a], offset)) {
          sum += (offset == 0 ? -2.0F : 1.0F) * second_along(at + offset * steps[a], steps[a]);
        }
      }
    }
    if (has_bit(inner[c], 0)) {
#pragma unroll
      for (int corner = 0; corner < 4; ++corner) {
        const int of_a = (corner & 1) != 0 ? 1 : -1;
        const int of_b = (corner & 2) != 0 ? 1 : -1;
        if (has_bit(inner[a], of_a) && has_bit(inner[b], of_b)) {
          sum += static_cast<float>(2 * of_a * of_b) *
                 mixed_along(at + of_a * steps[a] + of_b * steps[b], steps[a], steps[b]);
        }
      }
    }
  }
  return sum;
}

__global__ void __launch_bounds__(kFieldThreads, 4)
    bending_backward_kernel(const float* __restrict__ flow, FieldShape shape, float share,
                            const float* __restrict__ upstream, float* __restrict__ to_flow) {
  const FieldThread t(shape, kPenaltyPlanes);
  const long long first = static_cast<long long>(t.volume) * shape.voxels + t.i;
  const float* at = flow + first;
  float* to = to_flow + first;
  const float factor = share * (upstream == nullptr ? 1.0F : __ldg(upstream));
  const int steps[3] = {shape.plane, shape.w, 1};
  const int end = min(t.z0 + kPenaltyPlanes, shape.d);
  unsigned inner[3] = {0U, inner_bits(t.y, shape.h), inner_bits(t.x, shape.w)};
  const bool in_plane = __all_sync(0xffffffffU, (inner[1] & inner[2]) == kAllInner) != 0;
#pragma unroll 1
  for (int z = t.z0; z < end; ++z, at += shape.plane, to += shape.plane) {
    inner[0] = inner_bits(z, shape.d);
    const float sum = in_plane && inner[0] == kAllInner ? bending_slope(at, steps) : border_slope(at, steps, inner);
    if (t.inside) {
      *to = factor * sum;
    }
  }
}

/// The size with each component as a volume.
VolumeSize by_component(const VolumeSize& size) {
  return {3 * size.n, size.d, size.h, size.w};
}

void check_penalty(FieldPenalty penalty, const float* flow, const VolumeSize& size) {
  check_field_size("field penalty", by_component(size), penalty == FieldPenalty::kFolding ? 2 : 5);
  REGATTA_REQUIRE(flow != nullptr, BugError, "field penalty: the field is missing");
}

}  // namespace

void field_penalty_forward(FieldPenalty penalty, const float* flow, const VolumeSize& size, float* loss, void* scratch,
                           Stream stream) {
  check_penalty(penalty, flow, size);
  REGATTA_REQUIRE(loss != nullptr && scratch != nullptr && is_aligned(scratch, 8), BugError,
                  "field penalty: the loss or the scratch is missing, or this not aligned to 8 bytes");
  auto* parts = static_cast<double*>(scratch);
  const bool folds = penalty == FieldPenalty::kFolding;
  const VolumeSize volumes = folds ? size : by_component(size);
  const FieldShape shape = field_shape(volumes, kPenaltyPlanes);
  const auto kernel = folds ? folding_forward_kernel : bending_forward_kernel;
  kernel<<<field_blocks(volumes, kPenaltyPlanes), kFieldThreads, 0, stream>>>(flow, shape, parts);
  check_launch("field_penalty_forward");
  const FieldGrid grid = field_grid(volumes, kPenaltyPlanes);
  const double scale = (folds ? 1.0 : 1.0 / 48.0) / inner_voxels(penalty, size);
  sum_parts(parts, grid.x * grid.y * grid.z, scale, loss, stream);
}

void field_penalty_backward(FieldPenalty penalty, const float* flow, const VolumeSize& size, const float* upstream,
                            float* to_flow, Stream stream) {
  check_penalty(penalty, flow, size);
  REGATTA_REQUIRE(to_flow != nullptr, BugError, "field penalty: the derivative's array is missing");
  const bool folds = penalty == FieldPenalty::kFolding;
  const VolumeSize volumes = folds ? size : by_component(size);
  const FieldShape shape = field_shape(volumes, kPenaltyPlanes);
  const auto share = static_cast<float>((folds ? 1.0 : 1.0 / 24.0) / inner_voxels(penalty, size));
  const auto kernel = folds ? folding_backward_kernel : bending_backward_kernel;
  kernel<<<field_blocks(volumes, kPenaltyPlanes), kFieldThreads, 0, stream>>>(flow, shape, share, upstream, to_flow);
  check_launch("field_penalty_backward");
}

}  // namespace regatta::kernels
