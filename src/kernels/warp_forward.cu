#include <type_traits>

#include "kernels/field_march.cuh"
#include "kernels/fixed_point.cuh"
#include "kernels/warp_launch.cuh"

namespace regatta::kernels {
namespace {

constexpr int kQuadRows = 8;  ///< a thread's; two bytes of a row serve two quads

__global__ void __launch_bounds__(kFieldThreads)
    pack_quads_kernel(const std::uint8_t* __restrict__ image, std::uint32_t* __restrict__ quads, FieldShape shape) {
  const int columns = shape.w + 1;
  const int thread = static_cast<int>(blockIdx.x) * kFieldThreads + static_cast<int>(threadIdx.x);
  const int x = thread % columns - 1;
  const int first = thread / columns * kQuadRows;  // row of quads: one more than that of voxels
  const long long z = blockIdx.y;                  // of all volumes
  image += z * shape.plane;
  quads += z * shape.quad_plane + x + 1;
  const auto pair = [&](int y) {
    unsigned two = 0;
    if (is_index(y, shape.h)) {
      const std::uint8_t* from = image + y * shape.w + x;
      two = x >= 0 ? __ldg(from) : 0U;
      two |= x + 1 < shape.w ? static_cast<unsigned>(__ldg(from + 1)) << 8 : 0U;
    }
    return two;
  };
  unsigned upper = pair(first - 1);
#pragma unroll
  for (int row = first; row < first + kQuadRows; ++row) {
    if (row <= shape.h) {
      const unsigned lower = pair(row);
      quads[row * columns] = upper | lower << 16;
      upper = lower;
    }
  }
}

/// A longer march reads fewer displacements twice, which only the penalty needs.
constexpr int forward_planes(Penalty penalty) {
  return penalty == Penalty::kNone ? kFieldPlanes : kLongMarch;
}

/// @param factor  from the image's units to the output's
__device__ __forceinline__ void put_intensity(float* out, float value, float factor) {
  *out = value * factor;
}

__device__ __forceinline__ void put_intensity(std::uint32_t* out, float value, float factor) {
  *out = round_fixed_point(value * factor);
}

template <SourceType kType, Outside kOutside, Penalty kPenalty, class Out>
__global__ void __launch_bounds__(kFieldThreads)
    warp_forward_kernel(const typename SourceOf<kType>::Type* __restrict__ image, const float* __restrict__ flow,
                        Out* __restrict__ out, double* __restrict__ parts, FieldShape shape, AxisWeights weights) {
  constexpr float kOutOne = std::is_same_v<Out, float> ? 1.0F : static_cast<float>(kFixedPointOne);
  constexpr float kFactor = kOutOne / SourceOf<kType>::kOne;
  constexpr bool kPenalised = kPenalty != Penalty::kNone;
  constexpr int kPlanes = forward_planes(kPenalty);
  const FieldThread t(shape, kPlanes);
  const FieldView field(flow, t.volume, shape.voxels);
  const auto* of_volume = image + t.volume * source_elements<kType>(shape);
  Out* to = out + static_cast<long long>(t.volume) * shape.voxels;
  int i = t.i;
  Vector3 u = field.at(i);
  AxisSums sums;
#pragma unroll
  for (int k = 0; k < kPlanes; ++k) {
    const int z = t.z0 + k;
    if (z < shape.d) {
      const bool wanted = z + 1 < shape.d && (kPenalised || k + 1 < kPlanes);
      const Vector3 next = wanted ? field.at(i + shape.plane) : u;
      Vector3 unused;
      const float value = sample<kType, kOutside, false>(of_volume, z, t.y, t.x, u, shape, unused);
      if constexpr (kPenalised) {
        add_penalties<kPenalty>(sums, field, t, i, u, next);
      }
      if (t.inside) {
        put_intensity(to + i, value, kFactor);
      }
      u = next;
      i += shape.plane;
    }
  }
  if constexpr (kPenalised) {
    put_part(sums, weights, parts);
  }
}

struct LaunchForward {
  const WarpForward& work;
  Stream stream;

  template <SourceType kType, Outside kOutside, Penalty kPenalty, class Out>
  void queue(Out* out) const {
    const auto* image = static_cast<const typename SourceOf<kType>::Type*>(work.source.data);
    const AxisWeights weights = kPenalty == Penalty::kNone ? AxisWeights{} : axis_weights(work.size, work.weight);
    constexpr int kPlanes = forward_planes(kPenalty);
    warp_forward_kernel<kType, kOutside, kPenalty><<<field_blocks(work.size, kPlanes), kFieldThreads, 0, stream>>>(
        image, work.flow, out, static_cast<double*>(work.scratch), field_shape(work.size, kPlanes), weights);
    check_launch("warp_forward");
  }

  template <SourceType kType, Outside kOutside, Penalty kPenalty>
  void run() const {
    if (work.warped != nullptr) {
      queue<kType, kOutside, kPenalty>(work.warped);
    } else {
      queue<kType, kOutside, kPenalty>(work.fixed_point);
    }
  }
};

}  // namespace

void pack_quads(const std::uint8_t* image, const VolumeSize& size, std::uint32_t* quads, Stream stream) {
  check_field_size("pack_quads", size, 1);
  const std::int64_t planes = size.n * size.d;
  REGATTA_REQUIRE(image != nullptr && quads != nullptr && planes <= 65535, BugError,
                  "pack_quads: an array is missing, or too many planes");
  const std::int64_t threads = (size.w + 1) * divide_up(size.h + 1, kQuadRows);
  const dim3 blocks(static_cast<unsigned>(divide_up(threads, kFieldThreads)), static_cast<unsigned>(planes));
  pack_quads_kernel<<<blocks, kFieldThreads, 0, stream>>>(image, quads, field_shape(size));
  check_launch("pack_quads");
}

void warp_forward(const WarpForward& work, Stream stream) {
  check_warp(work.source, work.flow, work.size, work.penalty);
  REGATTA_REQUIRE((work.warped == nullptr) != (work.fixed_point == nullptr), BugError,
                  "warp: one of the float32 and the fixed-point image is wanted");
  REGATTA_REQUIRE(work.penalty == Penalty::kNone || (work.loss != nullptr && work.scratch != nullptr), BugError,
                  "warp: the penalty's loss or scratch is missing");
  choose_warp(work.source, work.penalty, LaunchForward{work, stream});
  if (work.penalty != Penalty::kNone) {
    sum_field_parts(work.size, kLongMarch, static_cast<const double*>(work.scratch), work.loss, stream);
  }
}

}  // namespace regatta::kernels
