#include "kernels/field_march.cuh"

namespace regatta::kernels {
namespace {

template <Penalty kPenalty>
__global__ void __launch_bounds__(kFieldThreads)
    diffusion_forward_kernel(const float* __restrict__ flow, double* __restrict__ parts, FieldShape shape,
                             AxisWeights weights) {
  const FieldThread t(shape);
  const FieldView field(flow, t.volume, shape.voxels);
  int i = t.i;
  Vector3 u = field.at(i);
  AxisSums sums;
#pragma unroll
  for (int k = 0; k < kFieldPlanes; ++k) {
    if (t.z0 + k < shape.d) {
      const Vector3 next = t.z0 + k + 1 < shape.d ? field.at(i + shape.plane) : u;
      add_penalties<kPenalty>(sums, field, t, i, u, next);
      u = next;
      i += shape.plane;
    }
  }
  put_part(sums, weights, parts);
}

template <Penalty kPenalty, class Out>
__global__ void __launch_bounds__(kFieldThreads)
    diffusion_backward_kernel(const float* __restrict__ flow, const float* __restrict__ upstream, Out out,
                              FieldShape shape, AxisWeights loss_weights) {
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
        to.put(i, sum);
      }
      previous = u;
      u = next;
      i += shape.plane;
    }
  }
}

template <Penalty kPenalty>
void launch_backward(const float* flow, const VolumeSize& size, double weight, const float* upstream,
                     const FieldGradient& to, Stream stream) {
  const dim3 blocks = field_blocks(size);
  const FieldShape shape = field_shape(size);
  const AxisWeights weights = axis_weights(size, weight);
  if (to.planar != nullptr) {
    diffusion_backward_kernel<kPenalty>
        <<<blocks, kFieldThreads, 0, stream>>>(flow, upstream, PlanarOut{to.planar}, shape, weights);
  } else {
    diffusion_backward_kernel<kPenalty>
        <<<blocks, kFieldThreads, 0, stream>>>(flow, upstream, PackedOut{to.packed}, shape, weights);
  }
  check_launch("diffusion_backward");
}

}  // namespace

void diffusion_forward(const float* flow, const VolumeSize& size, Penalty penalty, double weight, float* loss,
                       void* scratch, Stream stream) {
  check_field_size("diffusion", size, 2);
  REGATTA_REQUIRE(flow != nullptr && loss != nullptr && scratch != nullptr && penalty != Penalty::kNone, BugError,
                  "diffusion: an array or the penalty is missing");
  auto* parts = static_cast<double*>(scratch);
  const dim3 blocks = field_blocks(size);
  const FieldShape shape = field_shape(size);
  const AxisWeights weights = axis_weights(size, weight);
  if (penalty == Penalty::kSquared) {
    diffusion_forward_kernel<Penalty::kSquared><<<blocks, kFieldThreads, 0, stream>>>(flow, parts, shape, weights);
  } else {
    diffusion_forward_kernel<Penalty::kAbsolute><<<blocks, kFieldThreads, 0, stream>>>(flow, parts, shape, weights);
  }
  check_launch("diffusion_forward");
  sum_field_parts(size, kFieldPlanes, parts, loss, stream);
}

void diffusion_backward(const float* flow, const VolumeSize& size, Penalty penalty, double weight,
                        const float* upstream, const FieldGradient& to_flow, Stream stream) {
  check_field_size("diffusion", size, 2);
  REGATTA_REQUIRE(flow != nullptr && penalty != Penalty::kNone, BugError,
                  "diffusion: the field or the penalty is missing");
  check_gradient("diffusion", to_flow);
  penalty == Penalty::kSquared ? launch_backward<Penalty::kSquared>(flow, size, weight, upstream, to_flow, stream)
                               : launch_backward<Penalty::kAbsolute>(flow, size, weight, upstream, to_flow, stream);
}

}  // namespace regatta::kernels
