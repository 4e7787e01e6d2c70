#include "kernels/field_march.cuh"
#include "kernels/warp_launch.cuh"

namespace regatta::kernels {
namespace {

template <SourceType kType, Outside kOutside, Penalty kPenalty, class Out>
__global__ void __launch_bounds__(kFieldThreads)
    warp_backward_kernel(const typename SourceOf<kType>::Type* __restrict__ image, const float* __restrict__ flow,
                         const float* __restrict__ to_warped, const float* __restrict__ upstream, Out out,
                         FieldShape shape, AxisWeights loss_weights) {
  constexpr bool kPenalised = kPenalty != Penalty::kNone;
  const FieldThread t(shape);
  AxisWeights weights = loss_weights;
  if constexpr (kPenalised) {
    weights = slope_weights<kPenalty>(loss_weights, upstream);
  }
  const FieldView field(flow, t.volume, shape.voxels);
  const auto* of_volume = image + t.volume * source_elements<kType>(shape);
  const float* from = to_warped + static_cast<long long>(t.volume) * shape.voxels;
  const auto to = out.of(t.volume, shape.voxels);
  int i = t.i;
  Vector3 u = field.at(i);
  Vector3 previous = kPenalised && t.z0 > 0 ? field.at(i - shape.plane) : u;
#pragma unroll
  for (int k = 0; k < kFieldPlanes; ++k) {
    const int z = t.z0 + k;
    if (z < shape.d) {
      const bool wanted = z + 1 < shape.d && (kPenalised || k + 1 < kFieldPlanes);
      const Vector3 next = wanted ? field.at(i + shape.plane) : u;
      Vector3 sum;
      sample<kType, kOutside, true>(of_volume, z, t.y, t.x, u, shape, sum);
      const float factor = __ldg(from + i) * (1.0F / SourceOf<kType>::kOne);
      sum = {factor * sum.d, factor * sum.h, factor * sum.w};
      if constexpr (kPenalised) {
        add_slopes<kPenalty>(sum, field, t, i, previous, u, next, weights);
        previous = u;
      }
      if (t.inside) {
        to.put(i, sum);
      }
      u = next;
      i += shape.plane;
    }
  }
}

struct LaunchBackward {
  const WarpBackward& work;
  Stream stream;

  template <SourceType kType, Outside kOutside, Penalty kPenalty, class Out>
  void queue(Out out) const {
    const auto* image = static_cast<const typename SourceOf<kType>::Type*>(work.source.data);
    const AxisWeights weights = kPenalty == Penalty::kNone ? AxisWeights{} : axis_weights(work.size, work.weight);
    warp_backward_kernel<kType, kOutside, kPenalty><<<field_blocks(work.size), kFieldThreads, 0, stream>>>(
        image, work.flow, work.to_warped, work.upstream, out, field_shape(work.size), weights);
    check_launch("warp_backward");
  }

  template <SourceType kType, Outside kOutside, Penalty kPenalty>
  void run() const {
    if (work.to_flow.planar != nullptr) {
      queue<kType, kOutside, kPenalty>(PlanarOut{work.to_flow.planar});
    } else {
      queue<kType, kOutside, kPenalty>(PackedOut{work.to_flow.packed});
    }
  }
};

}  // namespace

void warp_backward(const WarpBackward& work, Stream stream) {
  check_warp(work.source, work.flow, work.size, work.penalty);
  REGATTA_REQUIRE(work.to_warped != nullptr, BugError, "warp: the derivative of the warped image is missing");
  check_gradient("warp", work.to_flow);
  choose_warp(work.source, work.penalty, LaunchBackward{work, stream});
}

}  // namespace regatta::kernels
