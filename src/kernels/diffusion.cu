#include <cmath>

#include "kernels/field_march.cuh"

namespace regatta::kernels {
namespace {

/// The units of LKU-Net are a factor of the component, here, times one of the axis, which is part of the weights.
struct OfComponents {
  Vector3 factors;

  __device__ __forceinline__ Vector3 operator()(const Vector3& a) const {
    return {factors.d * a.d, factors.h * a.h, factors.w * a.w};
  }
};

OfComponents lku_components(const VolumeSize& size, double power) {
  const auto factor = [&](std::int64_t length) {
    return static_cast<float>(std::pow(static_cast<double>(length - 1), -power));
  };
  return {{factor(size.d), factor(size.h), factor(size.w)}};
}

AxisWeights lku_weights(const VolumeSize& size, double weight, double power) {
  const AxisWeights in_voxels = axis_weights(size, weight);
  const auto scaled = [&](float of_axis, std::int64_t length) {
    return static_cast<float>(of_axis * std::pow(static_cast<double>(length), power));
  };
  return {scaled(in_voxels.d, size.d), scaled(in_voxels.h, size.h), scaled(in_voxels.w, size.w)};
}

template <Penalty kPenalty>
constexpr double kPower = kPenalty == Penalty::kSquared ? 2.0 : 1.0;

template <Penalty kPenalty, class Units>
__global__ void __launch_bounds__(kFieldThreads)
    diffusion_forward_kernel(const float* __restrict__ flow, double* __restrict__ parts, FieldShape shape,
                             AxisWeights weights, Units units) {
  const FieldThread t(shape);
  const FieldView field(flow, t.volume, shape.voxels);
  int i = t.i;
  Vector3 u = field.at(i);
  AxisSums sums;
#pragma unroll
  for (int k = 0; k < kFieldPlanes; ++k) {
    if (t.z0 + k < shape.d) {
      const Vector3 next = t.z0 + k + 1 < shape.d ? field.at(i + shape.plane) : u;
      add_penalties<kPenalty>(sums, field, t, i, u, next, units);
      u = next;
      i += shape.plane;
    }
  }
  put_part(sums, weights, parts);
}

/// @param units  to the power of the penalty: they come after the sum
template <Penalty kPenalty, class Out, class Units>
__global__ void __launch_bounds__(kFieldThreads)
    diffusion_backward_kernel(const float* __restrict__ flow, const float* __restrict__ upstream, Out out,
                              FieldShape shape, AxisWeights loss_weights, Units units) {
  const FieldThread t(shape);
  const AxisWeights weights = slope_weights<kPenalty>(loss_weights, upstream);
  const FieldView field(flow, t.volume, shape.voxels);
  const auto to = out.of(t.volume, shape.voxels);
  int i = t.i;
  Vector3 u = field.at(i);
  Vector3 previous = t.z0 > 0 ? field.at(i - shape.plane) : u;
#pragma unroll
  for (int k = 0; k < kFieldPlanes; ++k) {
    if (t.z0 + k < shape.d) {
      const Vector3 next = t.z0 + k + 1 < shape.d ? field.at(i + shape.plane) : u;
      Vector3 sum = {0.0F, 0.0F, 0.0F};
      add_slopes<kPenalty>(sum, field, t, i, previous, u, next, weights);
      if (t.inside) {
        to.put(i, units(sum));
      }
      previous = u;
      u = next;
      i += shape.plane;
    }
  }
}

template <Penalty kPenalty>
void launch_forward(const float* flow, const VolumeSize& size, double weight, DiffusionUnits units, double* parts,
                    Stream stream) {
  const dim3 blocks = field_blocks(size);
  const FieldShape shape = field_shape(size);
  if (units == DiffusionUnits::kVoxels) {
    diffusion_forward_kernel<kPenalty>
        <<<blocks, kFieldThreads, 0, stream>>>(flow, parts, shape, axis_weights(size, weight), Voxels{});
  } else {
    const AxisWeights weights = lku_weights(size, weight, kPower<kPenalty>);
    diffusion_forward_kernel<kPenalty>
        <<<blocks, kFieldThreads, 0, stream>>>(flow, parts, shape, weights, lku_components(size, 1.0));
  }
  check_launch("diffusion_forward");
}

/// @param out  PlanarOut or PackedOut
template <Penalty kPenalty, class Out>
void launch_backward(const float* flow, const VolumeSize& size, double weight, DiffusionUnits units,
                     const float* upstream, const Out& out, Stream stream) {
  const dim3 blocks = field_blocks(size);
  const FieldShape shape = field_shape(size);
  if (units == DiffusionUnits::kVoxels) {
    diffusion_backward_kernel<kPenalty>
        <<<blocks, kFieldThreads, 0, stream>>>(flow, upstream, out, shape, axis_weights(size, weight), Voxels{});
  } else {
    constexpr double kOf = kPower<kPenalty>;
    diffusion_backward_kernel<kPenalty><<<blocks, kFieldThreads, 0, stream>>>(
        flow, upstream, out, shape, lku_weights(size, weight, kOf), lku_components(size, kOf));
  }
  check_launch("diffusion_backward");
}

template <Penalty kPenalty>
void launch_backward_to(const float* flow, const VolumeSize& size, double weight, DiffusionUnits units,
                        const float* upstream, const FieldGradient& to, Stream stream) {
  if (to.planar != nullptr) {
    launch_backward<kPenalty>(flow, size, weight, units, upstream, PlanarOut{to.planar}, stream);
  } else {
    launch_backward<kPenalty>(flow, size, weight, units, upstream, PackedOut{to.packed}, stream);
  }
}

}  // namespace

void diffusion_forward(const float* flow, const VolumeSize& size, Penalty penalty, double weight, float* loss,
                       void* scratch, Stream stream, DiffusionUnits units) {
  check_field_size("diffusion", size, 2);
  REGATTA_REQUIRE(flow != nullptr && loss != nullptr && scratch != nullptr && penalty != Penalty::kNone, BugError,
                  "diffusion: an array or the penalty is missing");
  auto* parts = static_cast<double*>(scratch);
  const auto launch =
      penalty == Penalty::kSquared ? launch_forward<Penalty::kSquared> : launch_forward<Penalty::kAbsolute>;
  launch(flow, size, weight, units, parts, stream);
  sum_field_parts(size, kFieldPlanes, parts, loss, stream);
}

void diffusion_backward(const float* flow, const VolumeSize& size, Penalty penalty, double weight,
                        const float* upstream, const FieldGradient& to_flow, Stream stream, DiffusionUnits units) {
  check_field_size("diffusion", size, 2);
  REGATTA_REQUIRE(flow != nullptr && penalty != Penalty::kNone, BugError,
                  "diffusion: the field or the penalty is missing");
  check_gradient("diffusion", to_flow);
  const auto launch =
      penalty == Penalty::kSquared ? launch_backward_to<Penalty::kSquared> : launch_backward_to<Penalty::kAbsolute>;
  launch(flow, size, weight, units, upstream, to_flow, stream);
}

}  // namespace regatta::kernels
