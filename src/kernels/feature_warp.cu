// Forward a thread has 8 channels of a voxel. Backward one kernel finds the flow's derivative and what the unit of the
// integer sums depends on, the next one adds, the last one rounds the sums.
#include "kernels/feature_form.hpp"
#include "kernels/features.cuh"
#include "kernels/trilinear.cuh"
#include "regatta/kernels/feature_warp.hpp"

namespace regatta::kernels {
namespace {

constexpr int kThreads = 256;
constexpr int kWidth = 32;
constexpr int kHeight = 8;
constexpr int kMarch = 8;       ///< planes of a thread that adds
constexpr int kWeightBits = 8;  ///< sums of weights are in units of 2^-8, each weight rounded up
constexpr int kSumBits = 30;    ///< that a sum may have

/// Found on the way, zero at first.
struct State {
  unsigned largest;  ///< derivative of the result, as a float's bits
  unsigned weight;   ///< largest sum of weights
  unsigned bad;      ///< whether a point is not finite
  unsigned unused;
};

struct Scratch {
  State* state;
  unsigned* weights;         ///< [N, D, H, W]
  unsigned long long* sums;  ///< [N, D, H, W, C / 2]
};

struct Work {
  FieldShape shape;
  int groups;  ///< vectors of a voxel
  bool padded;

  __device__ __forceinline__ int more() const { return padded ? 2 : 0; }
};

__device__ __forceinline__ Vector3 flow_at(const float* flow, int volume, int voxel, const FieldShape& shape) {
  return FieldView(flow, volume, shape.voxels).at(voxel);
}

/// Offset of corner k from the first, in voxels.
__device__ __forceinline__ int corner(int k, const FieldShape& shape) {
  return (k >> 2) * shape.plane + (k >> 1 & 1) * shape.w + (k & 1);
}

__device__ __forceinline__ float weight_of(int k, const Vector3& f) {
  return ((k & 4) != 0 ? f.d : 1.0F - f.d) * ((k & 2) != 0 ? f.h : 1.0F - f.h) * ((k & 1) != 0 ? f.w : 1.0F - f.w);
}

__device__ __forceinline__ long long first_voxel(int volume, const Place& p, const FieldShape& shape) {
  return static_cast<long long>(volume) * shape.voxels + (p.d * shape.plane + p.h * shape.w + p.w);
}

__global__ void __launch_bounds__(kThreads)
    forward_kernel(const uint4* __restrict__ features, const float* __restrict__ flow, uint4* __restrict__ out,
                   Work work) {
  const FieldShape& shape = work.shape;
  const int more = work.more();
  const unsigned t = blockIdx.x * kThreads + threadIdx.x;
  const int x = static_cast<int>(t / work.groups);
  const int group = static_cast<int>(t % work.groups);
  if (x >= shape.w + more) {
    return;
  }
  const int y = static_cast<int>(blockIdx.y);
  const int volume = static_cast<int>(blockIdx.z) / (shape.d + more);
  const int z = static_cast<int>(blockIdx.z) % (shape.d + more);
  const int edge = more / 2;
  const int from_z = min(max(z - edge, 0), shape.d - 1);
  const int from_y = min(max(y - edge, 0), shape.h - 1);
  const int from_x = min(max(x - edge, 0), shape.w - 1);
  const Vector3 u = flow_at(flow, volume, from_z * shape.plane + from_y * shape.w + from_x, shape);
  const Place p = place_of<Outside::kBorder>(from_z, from_y, from_x, u, shape);
  const uint4* from = features + first_voxel(volume, p, shape) * work.groups + group;
  Eight sum = {};
#pragma unroll
  for (int k = 0; k < 8; ++k) {
    add_to(sum, weight_of(k, p.fraction), unpack(__ldg(from + corner(k, shape) * work.groups)));
  }
  const long long row = static_cast<long long>(blockIdx.z) * (shape.h + more) + y;
  out[(row * (shape.w + more) + x) * work.groups + group] = pack(sum);
}

/// The derivative of the result where it follows a voxel: of its copies in the padding, too.
struct Arriving {
  const uint4* gradient;
  int d, h, w;           ///< of the result
  int low[3], count[3];  ///< copies along each axis are `low` and the next ones but one ...
  int groups;
  int step[3];

  __device__ __forceinline__ Arriving(const uint4* of_batch, int volume, int z, int y, int x, const Work& work)
      : gradient(of_batch),
        d(work.shape.d + work.more()),
        h(work.shape.h + work.more()),
        w(work.shape.w + work.more()),
        groups(work.groups) {
    const int at[3] = {z, y, x};
    const int sizes[3] = {work.shape.d, work.shape.h, work.shape.w};
#pragma unroll
    for (int axis = 0; axis < 3; ++axis) {
      const int edge = work.padded ? 1 : 0;
      low[axis] = at[axis] == 0 ? 0 : at[axis] + edge;
      const int high = at[axis] == sizes[axis] - 1 ? at[axis] + 2 * edge : at[axis] + edge;
      count[axis] = high - low[axis] + 1;
    }
    gradient += static_cast<long long>(volume) * d * h * w * groups;
  }

  __device__ __forceinline__ bool single() const {
    return count[0] * count[1] * count[2] == 1;
  }

  __device__ __forceinline__ long long voxel(int a, int b, int c) const {
    return (static_cast<long long>(low[0] + a) * h + low[1] + b) * w + low[2] + c;
  }

  __device__ __forceinline__ Eight at(int group) const {
    Eight sum = unpack(__ldg(gradient + voxel(0, 0, 0) * groups + group));
    if (!single()) {
      for (int copy = 1; copy < count[0] * count[1] * count[2]; ++copy) {
        const int c = copy % count[2];
        const int b = copy / count[2] % count[1];
        add_to(sum, 1.0F, unpack(__ldg(gradient + voxel(copy / count[2] / count[1], b, c) * groups + group)));
      }
    }
    return sum;
  }

  /// Channels 2 pair and 2 pair + 1.
  __device__ __forceinline__ float2 pair_at(int pair) const {
    const auto* pairs = reinterpret_cast<const unsigned*>(gradient);
    const unsigned first = __ldg(pairs + voxel(0, 0, 0) * 4 * groups + pair);
    float2 sum = {low_bf16(first), high_bf16(first)};
    if (!single()) {
      for (int copy = 1; copy < count[0] * count[1] * count[2]; ++copy) {
        const int c = copy % count[2];
        const int b = copy / count[2] % count[1];
        const unsigned raw = __ldg(pairs + voxel(copy / count[2] / count[1], b, c) * 4 * groups + pair);
        sum.x += low_bf16(raw);
        sum.y += high_bf16(raw);
      }
    }
    return sum;
  }
};

/// The largest over the block goes to `to`. All threads call it, once a kernel.
__device__ __forceinline__ void put_block_largest(unsigned value, unsigned* to) {
  __shared__ unsigned of_warps[kThreads / 32];
  value = __reduce_max_sync(0xffffffffU, value);
  if (threadIdx.x % 32 == 0) {
    of_warps[threadIdx.x / 32] = value;
  }
  __syncthreads();
  if (threadIdx.x == 0) {
    for (int warp = 1; warp < kThreads / 32; ++warp) {
      value = max(value, of_warps[warp]);
    }
    if (value > 0) {
      atomicMax(to, value);
    }
  }
}

/// The flow's derivative: those of the eight corners' products with what arrives are interpolated.
__global__ void __launch_bounds__(kThreads)
    flow_kernel(const uint4* __restrict__ features, const float* __restrict__ flow, const uint4* __restrict__ gradient,
                float* __restrict__ to_flow, Scratch scratch, Work work) {
  const FieldShape& shape = work.shape;
  const int x = static_cast<int>(blockIdx.x) * kWidth + static_cast<int>(threadIdx.x) % kWidth;
  const int y = static_cast<int>(blockIdx.y) * kHeight + static_cast<int>(threadIdx.x) / kWidth;
  const int volume = static_cast<int>(blockIdx.z) / shape.d;
  const int z = static_cast<int>(blockIdx.z) % shape.d;
  unsigned largest = 0;
  if (x < shape.w && y < shape.h) {
    const int voxel = z * shape.plane + y * shape.w + x;
    const Vector3 u = flow_at(flow, volume, voxel, shape);
    const Place p = place_of<Outside::kBorder>(z, y, x, u, shape);
    const long long first = first_voxel(volume, p, shape);
    const Arriving arriving(gradient, volume, z, y, x, work);
    float products[8] = {};
    float most = 0.0F;
    bool bad = false;
#pragma unroll 1
    for (int group = 0; group < work.groups; ++group) {
      const Eight g = arriving.at(group);
#pragma unroll
      for (int k = 0; k < 8; ++k) {
        const Eight value = unpack(__ldg(features + (first + corner(k, shape)) * work.groups + group));
#pragma unroll
        for (int c = 0; c < kVector; ++c) {
          products[k] = fmaf(g.v[c], value.v[c], products[k]);
        }
      }
#pragma unroll
      for (int c = 0; c < kVector; ++c) {
        most = fmaxf(most, fabsf(g.v[c]));
        bad |= !(fabsf(g.v[c]) < INFINITY);
      }
    }
    Vector3 slope;
    interpolate<true>(products, p.fraction, slope);
    float* to = to_flow + 3LL * volume * shape.voxels + voxel;
    // A held component has no derivative, unless it is not a number.
    to[0] = p.slope.d * slope.d;
    to[shape.voxels] = p.slope.h * slope.h;
    to[2LL * shape.voxels] = p.slope.w * slope.w;
    largest = __float_as_uint(most);
    if (bad || !(fabsf(p.fraction.d + p.fraction.h + p.fraction.w) < INFINITY)) {
      scratch.state->bad = 1;
    }
#pragma unroll
    for (int k = 0; k < 8; ++k) {
      const int weight = __float2int_ru(weight_of(k, p.fraction) * static_cast<float>(1 << kWeightBits));
      if (weight > 0) {
        atomicAdd(scratch.weights + first + corner(k, shape), static_cast<unsigned>(weight));
      }
    }
  }
  put_block_largest(largest, &scratch.state->largest);
}

__global__ void __launch_bounds__(kThreads) weight_kernel(Scratch scratch, long long voxels) {
  unsigned largest = 0;
  for (long long i = static_cast<long long>(blockIdx.x) * kThreads + threadIdx.x; i < voxels;
       i += static_cast<long long>(gridDim.x) * kThreads) {
    largest = max(largest, scratch.weights[i]);
  }
  put_block_largest(largest, &scratch.state->weight);
}

/// Exponent of the sums' unit: the largest derivative times the largest sum of weights has at most `kSumBits` bits.
__device__ __forceinline__ int unit_exponent(const State& state) {
  const int derivative = static_cast<int>(state.largest >> 23 & 255U) - 126;
  const int weight = 32 - __clz(static_cast<int>(state.weight)) - kWeightBits;
  return min(max(derivative + weight - kSumBits, -126), 126);
}

__device__ __forceinline__ float two_to(int exponent) {
  return __int_as_float((exponent + 127) << 23);
}

/// Two integers in one: the lower one borrows from the upper one, and gives back when they are taken apart.
struct TwoSums {
  int low = 0;
  int high = 0;

  __device__ __forceinline__ void add_to(unsigned long long* to) const {
    const unsigned long long both = (static_cast<unsigned long long>(static_cast<unsigned>(high)) << 32) +
                                    static_cast<unsigned long long>(static_cast<long long>(low));
    if (both != 0) {
      atomicAdd(to, both);
    }
  }
};

constexpr int kPairs = 2;  ///< of channels, a thread's

/// Additions of a thread to the four upper corners of its last point. They are mostly the lower ones of the next.
struct Carried {
  TwoSums sums[4][kPairs];
  int voxel = -1;

  __device__ __forceinline__ void add_to(unsigned long long* to, int pairs, int apart, const FieldShape& shape) {
    if (voxel >= 0) {
#pragma unroll
      for (int k = 0; k < 4; ++k) {
#pragma unroll
        for (int j = 0; j < kPairs; ++j) {
          sums[k][j].add_to(to + static_cast<long long>(voxel + corner(k, shape)) * pairs + j * apart);
          sums[k][j] = {};
        }
      }
    }
  }
};

/// Neighbours along w meet in the same corners: what a thread has for its two right ones goes to the thread of the next
/// voxel, `lanes` further, if those are its left ones.
struct Meeting {
  bool takes, gives;

  /// @param first  lower corner of the thread's point; below 0: it has none
  __device__ __forceinline__ Meeting(int first, int lanes) {
    const int lane = static_cast<int>(threadIdx.x) % 32;
    const int before = __shfl_up_sync(0xffffffffU, first, lanes);
    const int after = __shfl_down_sync(0xffffffffU, first, lanes);
    takes = lane >= lanes && before >= 0 && before + 1 == first;
    gives = lane + lanes < 32 && first >= 0 && first + 1 == after;
  }

  /// Both ends call it. @return what the thread takes
  __device__ __forceinline__ TwoSums pass(const TwoSums& right, int lanes) const {
    const TwoSums passed = {__shfl_up_sync(0xffffffffU, right.low, lanes),
                            __shfl_up_sync(0xffffffffU, right.high, lanes)};
    return takes ? passed : TwoSums{};
  }
};

/// A thread has pairs `lane` and `lane` + C / 4 of `kMarch` voxels along d.
__global__ void __launch_bounds__(kThreads)
    add_kernel(const float* __restrict__ flow, const uint4* __restrict__ gradient, Scratch scratch, Work work) {
  const FieldShape& shape = work.shape;
  const int lanes = 2 * work.groups;
  const unsigned t = blockIdx.x * kThreads + threadIdx.x;
  const int x = static_cast<int>(t / lanes);
  const int lane = static_cast<int>(t % lanes);
  const int y = static_cast<int>(blockIdx.y);
  const int volume = static_cast<int>(blockIdx.z) / shape.chunks;
  const int z0 = static_cast<int>(blockIdx.z) % shape.chunks * kMarch;
  const bool inside = x < shape.w;  // threads beyond stay for the exchange
  const float scale = two_to(-unit_exponent(*scratch.state));
  const int pairs = 2 * lanes;
  unsigned long long* sums = scratch.sums + static_cast<long long>(volume) * shape.voxels * pairs + lane;
  Carried carried;
#pragma unroll 1
  for (int z = z0; z < min(z0 + kMarch, shape.d); ++z) {
    Place p = {};
    int first = -2;
    TwoSums lower[4][kPairs];
    if (inside) {
      p = place_of<Outside::kBorder>(z, y, x, flow_at(flow, volume, z * shape.plane + y * shape.w + x, shape), shape);
      first = p.d * shape.plane + p.h * shape.w + p.w;
      if (carried.voxel != first) {
        carried.add_to(sums, pairs, lanes, shape);
      }
      const Arriving arriving(gradient, volume, z, y, x, work);
#pragma unroll
      for (int j = 0; j < kPairs; ++j) {
        const float2 g = arriving.pair_at(lane + j * lanes);
#pragma unroll
        for (int k = 0; k < 4; ++k) {
          const float low = scale * weight_of(k, p.fraction);
          const float high = scale * weight_of(k + 4, p.fraction);
          lower[k][j] = carried.sums[k][j];
          lower[k][j].low += __float2int_rn(low * g.x);
          lower[k][j].high += __float2int_rn(low * g.y);
          carried.sums[k][j] = {__float2int_rn(high * g.x), __float2int_rn(high * g.y)};
        }
      }
      carried.voxel = first + shape.plane;
    }
    const Meeting meeting(first, lanes);
#pragma unroll
    for (int j = 0; j < kPairs; ++j) {
#pragma unroll
      for (int k = 0; k < 4; k += 2) {
        const TwoSums taken = meeting.pass(lower[k + 1][j], lanes);
        if (inside) {
          unsigned long long* to = sums + static_cast<long long>(first + corner(k, shape)) * pairs + j * lanes;
          lower[k][j].low += taken.low;
          lower[k][j].high += taken.high;
          lower[k][j].add_to(to);
          if (!meeting.gives) {
            lower[k + 1][j].add_to(to + pairs);
          }
        }
      }
    }
  }
  carried.add_to(sums, pairs, lanes, shape);
}

__global__ void __launch_bounds__(kThreads)
    round_kernel(Scratch scratch, uint4* __restrict__ to_features, long long vectors) {
  const State state = *scratch.state;
  const bool bad = state.bad != 0 || state.largest >= 0x7f800000U;
  const float unit = bad ? NAN : two_to(unit_exponent(state));
  for (long long i = static_cast<long long>(blockIdx.x) * kThreads + threadIdx.x; i < vectors;
       i += static_cast<long long>(gridDim.x) * kThreads) {
    const auto* from = reinterpret_cast<const ulonglong2*>(scratch.sums + 4 * i);
    const ulonglong2 pairs[2] = {from[0], from[1]};
    const unsigned long long raw[4] = {pairs[0].x, pairs[0].y, pairs[1].x, pairs[1].y};
    Eight values;
#pragma unroll
    for (int k = 0; k < 4; ++k) {
      const int low = static_cast<int>(static_cast<unsigned>(raw[k]));
      const int high = static_cast<int>((raw[k] - static_cast<unsigned long long>(static_cast<long long>(low))) >> 32);
      values.v[2 * k] = unit * static_cast<float>(low);
      values.v[2 * k + 1] = unit * static_cast<float>(high);
    }
    to_features[i] = pack(values);
  }
}

Work work_of(const FeatureWarpShape& shape, const Capability& chip) {
  REGATTA_REQUIRE(has_form(shape, chip), BugError, "warp of ", shape.channels, " channels, ", shape.size.d, "x",
                  shape.size.h, "x", shape.size.w, " voxels: no kernel");
  return {field_shape(shape.size, kMarch), shape.channels / kVector, shape.padded};
}

void require_inputs(const char* who, const Bf16* features, const float* flow) {
  require_features(who, features, "the features");
  REGATTA_REQUIRE(flow != nullptr, BugError, who, ": no flow");
}

dim3 blocks_of_rows(std::int64_t threads_of_row, std::int64_t rows, std::int64_t planes) {
  return {static_cast<unsigned>(divide_up(threads_of_row, kThreads)), static_cast<unsigned>(rows),
          static_cast<unsigned>(planes)};
}

}  // namespace

void feature_warp_forward(const FeatureWarpShape& shape, const FeatureWarpForward& arrays, const Capability& chip,
                          Stream stream) {
  const Work work = work_of(shape, chip);
  require_inputs("feature_warp_forward", arrays.features, arrays.flow);
  require_features("feature_warp_forward", arrays.out, "the result");
  const VolumeSize to = shape.output_size();
  forward_kernel<<<blocks_of_rows(to.w * work.groups, to.h, to.n * to.d), kThreads, 0, stream>>>(
      vectors(arrays.features), arrays.flow, vectors(arrays.out), work);
  check_launch("feature_warp_forward");
}

void feature_warp_backward(const FeatureWarpShape& shape, const FeatureWarpBackward& arrays, const Capability& chip,
                           Stream stream) {
  const Work work = work_of(shape, chip);
  require_inputs("feature_warp_backward", arrays.features, arrays.flow);
  require_features("feature_warp_backward", arrays.output_gradient, "the result's gradient");
  require_features("feature_warp_backward", arrays.to_features, "the features' gradient");
  require_features("feature_warp_backward", arrays.scratch, "the scratch");
  REGATTA_REQUIRE(arrays.to_flow != nullptr, BugError, "feature_warp_backward: no gradient of the flow");
  const VolumeSize& size = shape.size;
  const long long voxels = size.all();
  Scratch scratch;
  scratch.state = static_cast<State*>(arrays.scratch);
  scratch.sums = reinterpret_cast<unsigned long long*>(scratch.state + 1);
  scratch.weights = reinterpret_cast<unsigned*>(scratch.sums + voxels * shape.channels / 2);
  REGATTA_CUDA(cudaMemsetAsync(arrays.scratch, 0, feature_warp_scratch_bytes(shape), stream));
  const dim3 tiles(static_cast<unsigned>(divide_up(size.w, kWidth)), static_cast<unsigned>(divide_up(size.h, kHeight)),
                   static_cast<unsigned>(size.n * size.d));
  flow_kernel<<<tiles, kThreads, 0, stream>>>(vectors(arrays.features), arrays.flow, vectors(arrays.output_gradient),
                                              arrays.to_flow, scratch, work);
  check_launch("feature_warp_backward flow");
  const auto some_blocks = [&](long long count) {
    constexpr int kOfMultiprocessor = 8;
    return static_cast<unsigned>(std::min<long long>(divide_up(count, kThreads),
                                                     static_cast<long long>(chip.multiprocessors) * kOfMultiprocessor));
  };
  weight_kernel<<<some_blocks(voxels), kThreads, 0, stream>>>(scratch, voxels);
  check_launch("feature_warp_backward weights");
  add_kernel<<<blocks_of_rows(size.w * 2 * work.groups, size.h, size.n * work.shape.chunks), kThreads, 0, stream>>>(
      arrays.flow, vectors(arrays.output_gradient), scratch, work);
  check_launch("feature_warp_backward features");
  const long long of_features = voxels * work.groups;
  round_kernel<<<some_blocks(of_features), kThreads, 0, stream>>>(scratch, vectors(arrays.to_features), of_features);
  check_launch("feature_warp_backward");
}

}  // namespace regatta::kernels
