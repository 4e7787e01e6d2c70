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

/// Four times the second derivative, from the values two voxels before and after.
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

/// 1 where second derivatives are taken, 0 in the border of two voxels: at an index and up to two beside it.
struct InnerMask {
  float before_2, before, here, after, after_2;

  __device__ __forceinline__ InnerMask(int index, int size)
      : before_2(is_inner(index - 2, size)),
        before(is_inner(index - 1, size)),
        here(is_inner(index, size)),
        after(is_inner(index + 1, size)),
        after_2(is_inner(index + 2, size)) {}

  __device__ __forceinline__ static float is_inner(int index, int size) {
    return index >= 2 && index < size - 2 ? 1.0F : 0.0F;
  }
};

/// The volumes of `shape` are components here.
__global__ void __launch_bounds__(kFieldThreads)
    bending_forward_kernel(const float* __restrict__ flow, FieldShape shape, double* __restrict__ parts) {
  const FieldThread t(shape, kPenaltyPlanes);
  const int end = min(t.z0 + kPenaltyPlanes, shape.d - 2);
  const bool counts = t.inside && InnerMask::is_inner(t.x, shape.w) * InnerMask::is_inner(t.y, shape.h) > 0.0F;
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

/// A plane's parts of the derivative. With M the mask of an axis, D its second differences and C its central ones, the
/// derivative is the sum of D'MD along each axis and twice C'MC along each two, with the masks of the axes left over.
struct PlanePart {
  float slopes;  ///< C'MC along each of both axes, to be taken along D too
  float whole;   ///< what does not reach beyond the plane

  /// What the masks exclude is read from other rows or planes, and counts 0.
  /// @param u  at `at`
  /// @param row  elements between rows
  template <bool kWhole>
  __device__ __forceinline__ void take(const float* at, float u, int row, const InnerMask& h, const InnerMask& w) {
    const float left = __ldg(at - 2);
    const float right = __ldg(at + 2);
    const float up = __ldg(at - 2 * row);
    const float down = __ldg(at + 2 * row);
    const float along_w = w.before * (u - left) - w.after * (right - u);
    const float along_h = h.before * (u - up) - h.after * (down - u);
    slopes = w.here * along_h + h.here * along_w;
    if constexpr (kWhole) {
      const float straight_w = w.before_2 * second(__ldg(at - 4), left, u) +
                               w.after_2 * second(u, right, __ldg(at + 4)) - 2.0F * w.here * second(left, u, right);
      const float straight_h = h.before_2 * second(__ldg(at - 4 * row), up, u) +
                               h.after_2 * second(u, down, __ldg(at + 4 * row)) - 2.0F * h.here * second(up, u, down);
      const float above = w.before * (up - __ldg(at - 2 * row - 2)) - w.after * (__ldg(at - 2 * row + 2) - up);
      const float below = w.before * (down - __ldg(at + 2 * row - 2)) - w.after * (__ldg(at + 2 * row + 2) - down);
      const float mixed = h.before * (along_w - above) - h.after * (below - along_w);
      whole = h.here * straight_w + w.here * straight_h + 2.0F * mixed;
    }
  }
};

/// A thread's column: planes z0 - 2 .. z0 + kBendingPlanes + 1 are taken one after the other, and two planes later the
/// derivative is complete.
__global__ void __launch_bounds__(kFieldThreads, 4)
    bending_backward_kernel(const float* __restrict__ flow, FieldShape shape, float share,
                            const float* __restrict__ upstream, float* __restrict__ to_flow) {
  constexpr int kTaken = kBendingPlanes + 4;
  const FieldThread t(shape, kBendingPlanes);
  const long long first = static_cast<long long>(t.volume) * shape.voxels + t.y * shape.w + t.x;
  const float* column = flow + first;
  float* to = to_flow + first;
  const float factor = share * (upstream == nullptr ? 1.0F : __ldg(upstream));
  const InnerMask h(t.y, shape.h);
  const InnerMask w(t.x, shape.w);
  const float in_plane = h.here * w.here;
  const auto is_inner = [&](int z) { return z >= 2 && z < shape.d - 2; };
  const auto read = [&](int z) { return z >= 0 && z < shape.d ? __ldg(column + z * shape.plane) : 0.0F; };
  float u[kTaken + 4];     // from plane z0 - 4 on
  float straight[kTaken];  // second differences along D, 0 where they do not count; from plane z0 - 2 on
  PlanePart parts[kTaken];
#pragma unroll
  for (int k = 0; k < 4; ++k) {
    u[k] = read(t.z0 - 4 + k);
  }
#pragma unroll
  for (int k = 0; k < kTaken; ++k) {
    const int z = t.z0 - 2 + k;
    u[k + 4] = read(z + 2);
    straight[k] = is_inner(z) ? second(u[k], u[k + 2], u[k + 4]) : 0.0F;
    parts[k] = {0.0F, 0.0F};
    if (z >= 1 && z < shape.d - 1) {  // all that is read lies in the volume, and no other plane counts
      constexpr auto kOwn = [](int plane) { return plane >= 2 && plane < kBendingPlanes + 2; };
      if (kOwn(k)) {
        parts[k].take<true>(column + z * shape.plane, u[k + 2], shape.w, h, w);
      } else {
        parts[k].take<false>(column + z * shape.plane, u[k + 2], shape.w, h, w);
      }
    }
    if (k >= 4 && z - 2 < shape.d) {
      const int out = z - 2;
      float sum = in_plane * second(straight[k - 4], straight[k - 2], straight[k]);
      sum += is_inner(out) ? parts[k - 2].whole : 0.0F;
      const float before = is_inner(out - 1) ? parts[k - 2].slopes - parts[k - 4].slopes : 0.0F;
      const float after = is_inner(out + 1) ? parts[k].slopes - parts[k - 2].slopes : 0.0F;
      sum += 2.0F * (before - after);
      if (t.inside) {
        to[out * shape.plane] = factor * sum;
      }
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
  const int planes = folds ? kPenaltyPlanes : kBendingPlanes;
  const FieldShape shape = field_shape(volumes, planes);
  const auto share = static_cast<float>((folds ? 1.0 : 1.0 / 24.0) / inner_voxels(penalty, size));
  const auto kernel = folds ? folding_backward_kernel : bending_backward_kernel;
  kernel<<<field_blocks(volumes, planes), kFieldThreads, 0, stream>>>(flow, shape, share, upstream, to_flow);
  check_launch("field_penalty_backward");
}

}  // namespace regatta::kernels
