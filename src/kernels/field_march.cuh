// The march of a thread over its planes: the displacement above is the next one's own, that to the right comes by
// shuffle, those in the rows beside are read again.
#pragma once

#include "kernels/field.cuh"
#include "kernels/reduce.cuh"

namespace regatta::kernels {

/// Sums of the penalty along each axis.
struct AxisSums {
  float d = 0.0F;
  float h = 0.0F;
  float w = 0.0F;
};

/// Units of differences, applied to them.
struct Voxels {
  __device__ __forceinline__ Vector3 operator()(const Vector3& difference) const { return difference; }
};

template <Penalty kPenalty, class Units = Voxels>
__device__ __forceinline__ void add_penalties(AxisSums& sums, const FieldView& field, const FieldThread& t, int i,
                                              const Vector3& u, const Vector3& next, const Units& units = {}) {
  Vector3 right = from_next_lane(u);  // at the last column the same one
  if (t.lane == kFieldWidth - 1 && t.has_right) {
    right = field.at(i + 1);
  }
  if (t.inside) {
    sums.w += penalty_of<kPenalty>(units(right - u));
    sums.h += penalty_of<kPenalty>(units(field.at(i + t.below) - u));
    sums.d += penalty_of<kPenalty>(units(next - u));
  }
}

/// Adds the penalty's derivative at one voxel. @param weights  twice those of the loss where squared
template <Penalty kPenalty>
__device__ __forceinline__ void add_slopes(Vector3& sum, const FieldView& field, const FieldThread& t, int i,
                                           const Vector3& previous, const Vector3& u, const Vector3& next,
                                           const AxisWeights& weights) {
  Vector3 right = from_next_lane(u);
  Vector3 left = from_previous_lane(u);
  if (t.lane == kFieldWidth - 1 && t.has_right) {
    right = field.at(i + 1);
  }
  if (t.lane == 0 && t.has_left) {
    left = field.at(i - 1);
  }
  add_slope<kPenalty>(sum, weights.w, u - right);
  add_slope<kPenalty>(sum, weights.w, u - left);
  add_slope<kPenalty>(sum, weights.h, u - field.at(i + t.below));
  add_slope<kPenalty>(sum, weights.h, u - field.at(i + t.above));
  add_slope<kPenalty>(sum, weights.d, u - next);
  add_slope<kPenalty>(sum, weights.d, u - previous);
}

__device__ __forceinline__ void put_part(const AxisSums& sums, const AxisWeights& weights, double* parts) {
  const float sum = block_sum<kFieldThreads>(sums.d * weights.d + sums.h * weights.h + sums.w * weights.w);
  if (threadIdx.x == 0) {
    parts[(static_cast<long long>(blockIdx.z) * gridDim.y + blockIdx.y) * gridDim.x + blockIdx.x] = sum;
  }
}

/// The weights of a backward pass.
template <Penalty kPenalty>
__device__ __forceinline__ AxisWeights slope_weights(const AxisWeights& weights, const float* upstream) {
  const float factor = (kPenalty == Penalty::kSquared ? 2.0F : 1.0F) * (upstream == nullptr ? 1.0F : __ldg(upstream));
  return {factor * weights.d, factor * weights.h, factor * weights.w};
}

inline void sum_field_parts(const VolumeSize& size, int planes, const double* parts, float* loss, Stream stream) {
  const FieldGrid grid = field_grid(size, planes);
  sum_parts(parts, grid.x * grid.y * grid.z, 1.0, loss, stream);
}

}  // namespace regatta::kernels
