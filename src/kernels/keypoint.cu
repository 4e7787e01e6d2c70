#include <limits>

#include "kernels/keypoint_form.hpp"
#include "kernels/launch.cuh"
#include "kernels/reduce.cuh"
#include "regatta/kernels/keypoint.hpp"

namespace regatta::kernels {
namespace {

constexpr int kThreads = kKeypointThreads;
constexpr int kSpreadWarps = 8;  ///< of a block in the backward pass
constexpr int kSpreadThreads = 32 * kSpreadWarps;

struct Points {
  const float* fixed;
  const float* moving;
  const double* count;
  int points;
  int d, h, w;

  /// How many are real.
  __device__ __forceinline__ int real() const {
    return count == nullptr ? points : min(points, static_cast<int>(__ldg(count)));
  }
};

/// The lower of the eight voxels around a point.
struct Place {
  int low[3];
  float fraction[3];

  __device__ __forceinline__ Place(const float* point, const Points& points) {
    const int lengths[3] = {points.d, points.h, points.w};
#pragma unroll
    for (int axis = 0; axis < 3; ++axis) {
      const float at = fminf(fmaxf(__ldg(point + axis), 0.0F), static_cast<float>(lengths[axis] - 1));
      low[axis] = min(static_cast<int>(at), lengths[axis] - 2);
      fraction[axis] = at - static_cast<float>(low[axis]);
    }
  }

  __device__ __forceinline__ int voxel(int corner, const Points& points) const {
    return ((low[0] + (corner >> 2)) * points.h + low[1] + (corner >> 1 & 1)) * points.w + low[2] + (corner & 1);
  }
};

/// What a corner counts. @param up  0 or 1 along each axis; any other index is none of the corners
__device__ __forceinline__ float corner_weight(const float* fraction, int d, int h, int w) {
  const auto along = [](float f, int up) { return up == 0 ? 1.0F - f : up == 1 ? f : 0.0F; };
  return along(fraction[0], d) * along(fraction[1], h) * along(fraction[2], w);
}

/// From voxels to the unit of the result, by rows.
struct Unit {
  float of[9];
  const double* on_device;

  __device__ __forceinline__ float at(int i) const {
    return on_device == nullptr ? of[i] : static_cast<float>(__ldg(on_device + i));
  }
};

template <bool kSquared>
__global__ void __launch_bounds__(kThreads, 1)
    keypoint_forward_kernel(const float* __restrict__ flow, Points points, Unit unit, float* __restrict__ slopes,
                            double* __restrict__ parts) {
  const int p = static_cast<int>(blockIdx.x) * kThreads + static_cast<int>(threadIdx.x);
  const int real = points.real();
  double value = 0.0;
  if (p < points.points) {
    float to_error[3] = {};
    if (p < real) {
      const Place place(points.fixed + 3 * p, points);
      const long long voxels = static_cast<long long>(points.d) * points.h * points.w;
      float error[3];
#pragma unroll
      for (int c = 0; c < 3; ++c) {
        error[c] = __ldg(points.fixed + 3 * p + c) - __ldg(points.moving + 3 * p + c);
      }
#pragma unroll
      for (int k = 0; k < 8; ++k) {
        const float weight = corner_weight(place.fraction, k >> 2, k >> 1 & 1, k & 1);
        const float* at = flow + place.voxel(k, points);
#pragma unroll
        for (int c = 0; c < 3; ++c) {
          error[c] = fmaf(weight, __ldg(at + c * voxels), error[c]);
        }
      }
      const float share = 1.0F / (static_cast<float>(real) * (kSquared ? 3.0F : 1.0F));
      float in_unit[3];
      float length = 0.0F;
#pragma unroll
      for (int row = 0; row < 3; ++row) {
        in_unit[row] = unit.at(3 * row) * error[0] + unit.at(3 * row + 1) * error[1] + unit.at(3 * row + 2) * error[2];
        length = fmaf(in_unit[row], in_unit[row], length);
      }
      const float distance = sqrtf(length);
      value = share * (kSquared ? length : distance);
      const float factor = share * (kSquared ? 2.0F : 1.0F / fmaxf(distance, static_cast<float>(kKeypointLeast)));
#pragma unroll
      for (int c = 0; c < 3; ++c) {
        to_error[c] = factor * (unit.at(c) * in_unit[0] + unit.at(3 + c) * in_unit[1] + unit.at(6 + c) * in_unit[2]);
      }
    }
#pragma unroll
    for (int c = 0; c < 3; ++c) {
      slopes[3 * p + c] = to_error[c];
    }
  }
  value = block_sum<kThreads>(value);
  if (threadIdx.x == 0) {
    parts[blockIdx.x] = value;
  }
}

struct Spread {
  int low[3];
  float fraction[3];
  float slope[3];
};

/// Adds what a point adds to the eight voxels of another one. @param d, h, w  from its lower voxel to the other one's
__device__ __forceinline__ void add_spread(float (&sums)[8][3], const Spread& from, int d, int h, int w) {
#pragma unroll
  for (int k = 0; k < 8; ++k) {
    const float weight = corner_weight(from.fraction, d + (k >> 2), h + (k >> 1 & 1), w + (k & 1));
#pragma unroll
    for (int c = 0; c < 3; ++c) {
      sums[k][c] = fmaf(weight, from.slope[c], sums[k][c]);
    }
  }
}

__device__ __forceinline__ bool is_near(int offset) {
  return static_cast<unsigned>(offset + 1) <= 2U;
}

/// Each point looks for those whose voxels are its own, and sums up what they add to its eight: a warp looks for 32
/// points, and the warps of a block share the others. All points see the others in the same parts and order.
__global__ void __launch_bounds__(kSpreadThreads)
    keypoint_backward_kernel(Points points, const float* __restrict__ slopes, const float* __restrict__ upstream,
                             float* __restrict__ to_flow) {
  __shared__ Spread others[kSpreadThreads];
  __shared__ float of_warps[kSpreadWarps][24][33];
  const int real = points.real();
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const int warp = static_cast<int>(threadIdx.x) / 32;
  const int own = static_cast<int>(blockIdx.x) * 32 + lane;
  const Place place(points.fixed + 3 * min(own, points.points - 1), points);
  float sums[8][3] = {};
  for (int first = 0; first < real; first += kSpreadThreads) {
    const int q = min(first + static_cast<int>(threadIdx.x), points.points - 1);
    const Place other(points.fixed + 3 * q, points);
    __syncthreads();
#pragma unroll
    for (int axis = 0; axis < 3; ++axis) {
      others[threadIdx.x].low[axis] = other.low[axis];
      others[threadIdx.x].fraction[axis] = other.fraction[axis];
      others[threadIdx.x].slope[axis] = __ldg(slopes + 3 * q + axis);
    }
    __syncthreads();
    const int end = min(32, real - first - 32 * warp);
#pragma unroll 4
    for (int i = 0; i < end; ++i) {
      const Spread& at = others[32 * warp + i];
      const int d = place.low[0] - at.low[0];
      const int h = place.low[1] - at.low[1];
      const int w = place.low[2] - at.low[2];
      if (is_near(d) && is_near(h) && is_near(w)) {
        add_spread(sums, at, d, h, w);
      }
    }
  }
#pragma unroll
  for (int i = 0; i < 24; ++i) {
    of_warps[warp][i][lane] = sums[i / 3][i % 3];
  }
  __syncthreads();
  if (own < real) {
    const float factor = upstream == nullptr ? 1.0F : __ldg(upstream);
    const long long voxels = static_cast<long long>(points.d) * points.h * points.w;
    float* to = to_flow + place.voxel(warp, points);  // a warp writes one of the eight
#pragma unroll
    for (int c = 0; c < 3; ++c) {
      float sum = 0.0F;
#pragma unroll
      for (int part = 0; part < kSpreadWarps; ++part) {
        sum += of_warps[part][3 * warp + c][lane];
      }
      to[c * voxels] = factor * sum;
    }
  }
}

Points check_points(const KeypointWork& work) {
  REGATTA_REQUIRE(work.flow != nullptr && work.fixed != nullptr && work.moving != nullptr, BugError,
                  "keypoint: an array is missing");
  REGATTA_REQUIRE(work.points >= 1 && work.points <= kMostKeypoints, BugError, "keypoint: ", work.points, " points");
  for (const std::int64_t length : {work.size.d, work.size.h, work.size.w}) {
    REGATTA_REQUIRE(length >= 2 && length <= std::numeric_limits<int>::max() / 2, BugError, "keypoint: size ", length);
  }
  REGATTA_REQUIRE(work.size.n == 1 && work.size.plane() <= std::numeric_limits<int>::max() / work.size.d, BugError,
                  "keypoint: ", work.size.n, " volumes of ", work.size.d, "x", work.size.h, "x", work.size.w,
                  " voxels");
  return {work.fixed,
          work.moving,
          work.count,
          work.points,
          static_cast<int>(work.size.d),
          static_cast<int>(work.size.h),
          static_cast<int>(work.size.w)};
}

Unit unit_of(const KeypointWork& work) {
  Unit unit{};
  if (work.squared) {
    unit.of[0] = static_cast<float>(2.0 / static_cast<double>(work.size.d));
    unit.of[4] = static_cast<float>(2.0 / static_cast<double>(work.size.h));
    unit.of[8] = static_cast<float>(2.0 / static_cast<double>(work.size.w));
  } else {
    unit.on_device = work.axes_on_device;
    for (std::size_t i = 0; i < 9; ++i) {
      unit.of[i] = static_cast<float>(work.axes_mm[i]);
    }
  }
  return unit;
}

}  // namespace

void keypoint_forward(const KeypointWork& work, float* slopes, float* loss, void* scratch, Stream stream) {
  const Points points = check_points(work);
  REGATTA_REQUIRE(slopes != nullptr && loss != nullptr && scratch != nullptr && is_aligned(scratch, 8), BugError,
                  "keypoint: an array is missing, or the scratch not aligned to 8 bytes");
  auto* parts = static_cast<double*>(scratch);
  const auto blocks = static_cast<unsigned>(divide_up(work.points, kThreads));
  const auto kernel = work.squared ? keypoint_forward_kernel<true> : keypoint_forward_kernel<false>;
  kernel<<<blocks, kThreads, 0, stream>>>(work.flow, points, unit_of(work), slopes, parts);
  check_launch("keypoint_forward");
  sum_parts(parts, blocks, 1.0, loss, stream);
}

void keypoint_backward(const KeypointWork& work, const float* slopes, const float* upstream, float* to_flow,
                       Stream stream) {
  const Points points = check_points(work);
  REGATTA_REQUIRE(slopes != nullptr && to_flow != nullptr, BugError, "keypoint: an array is missing");
  const auto bytes = 3 * static_cast<std::size_t>(work.size.voxels()) * sizeof(float);
  REGATTA_CUDA(cudaMemsetAsync(to_flow, 0, bytes, stream));
  const auto blocks = static_cast<unsigned>(divide_up(work.points, 32));
  keypoint_backward_kernel<<<blocks, kSpreadThreads, 0, stream>>>(points, slopes, upstream, to_flow);
  check_launch("keypoint_backward");
}

}  // namespace regatta::kernels
