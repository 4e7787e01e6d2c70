// Three launches for each pass: sums of blocks, sums of channels, results. The last one goes through the volume from
// its end, where the first one has left the L2 cache full.
#include "kernels/feature_form.hpp"
#include "kernels/features.cuh"
#include "regatta/kernels/instance_norm.hpp"

namespace regatta::kernels {
namespace {

using instance_norm::kBlocks;
using instance_norm::kMostThreads;
using instance_norm::kValues;

constexpr int kSumThreads = 512;    ///< of the sums of channels: 16 sums, 32 blocks at a time
constexpr int kGradientBlocks = 2;  ///< on a multiprocessor, of the last backward launch, which needs more registers

struct Size {
  long long vectors;  ///< of one sample
  int groups;         ///< vectors of a voxel
  int pitch;          ///< vectors from one voxel of y to the next
  int blocks;         ///< of one sample
  float slope;

  /// Of y, one sample.
  __device__ __forceinline__ long long pitched() const { return vectors / groups * pitch; }
};

/// Where vector i of x lies in y. A thread keeps its group, so it steps through y evenly too.
__device__ __forceinline__ long long place_in_y(const Size& size, long long i, int group) {
  return size.pitch == size.groups ? i : (i - group) / size.groups * size.pitch + group;
}

/// A value near the mean of each channel: four voxels, well apart.
__device__ __forceinline__ Eight shift_of(const uint4* sample, const Size& size, int group) {
  Eight sum = {};
  const long long voxels = size.vectors / size.groups;
#pragma unroll
  for (int k = 0; k < 4; ++k) {
    add_to(sum, 0.25F, unpack(sample[(2 * k + 1) * voxels / 8 * size.groups + group]));
  }
  return sum;
}

/// Sums over the block's voxels, in pairs that halve; the result is in the first voxel's threads.
__device__ __forceinline__ void fold(Eight& first, Eight& second, int groups) {
  __shared__ float4 parked[4][kMostThreads / 2 + 64];
  const int row = static_cast<int>(threadIdx.x) / groups;
  const int rows = static_cast<int>(blockDim.x) / groups;
  for (int active = rows; active > 1;) {
    const int half = (active + 1) / 2;
    if (row >= half && row < active) {
      const int at = static_cast<int>(threadIdx.x) - half * groups;
      parked[0][at] = {first.v[0], first.v[1], first.v[2], first.v[3]};
      parked[1][at] = {first.v[4], first.v[5], first.v[6], first.v[7]};
      parked[2][at] = {second.v[0], second.v[1], second.v[2], second.v[3]};
      parked[3][at] = {second.v[4], second.v[5], second.v[6], second.v[7]};
    }
    __syncthreads();
    if (row < active - half) {
#pragma unroll
      for (int k = 0; k < 4; ++k) {
        const float4 other = parked[k][threadIdx.x];
        float* mine = (k < 2 ? first.v : second.v) + k % 2 * 4;
        mine[0] += other.x;
        mine[1] += other.y;
        mine[2] += other.z;
        mine[3] += other.w;
      }
    }
    __syncthreads();
    active = half;
  }
}

/// partial: [n][block][group][16]
__device__ __forceinline__ void put_sums(float* partial, const Size& size, const Eight& first, const Eight& second) {
  if (static_cast<int>(threadIdx.x) < size.groups) {
    const long long at = (static_cast<long long>(blockIdx.y) * size.blocks + blockIdx.x) * size.groups + threadIdx.x;
    auto* to = reinterpret_cast<float4*>(partial + at * kValues);
    to[0] = {first.v[0], first.v[1], first.v[2], first.v[3]};
    to[1] = {first.v[4], first.v[5], first.v[6], first.v[7]};
    to[2] = {second.v[0], second.v[1], second.v[2], second.v[3]};
    to[3] = {second.v[4], second.v[5], second.v[6], second.v[7]};
  }
}

/// Sums of x - shift and of its square.
__global__ void __launch_bounds__(kMostThreads, kBlocks)
    statistics_kernel(const uint4* __restrict__ in, float* __restrict__ partial, Size size) {
  constexpr int kAtOnce = 4;
  const uint4* sample = in + blockIdx.y * size.vectors;
  const Eight shift = shift_of(sample, size, static_cast<int>(threadIdx.x) % size.groups);
  Eight sum = {};
  Eight squares = {};
  const auto add = [&](const uint4& raw) {
    const Eight x = unpack(raw);
#pragma unroll
    for (int c = 0; c < kVector; ++c) {
      const float difference = x.v[c] - shift.v[c];
      sum.v[c] += difference;
      squares.v[c] = fmaf(difference, difference, squares.v[c]);
    }
  };
  const long long stride = static_cast<long long>(size.blocks) * blockDim.x;
  long long i = static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x;
  for (; i + (kAtOnce - 1) * stride < size.vectors; i += kAtOnce * stride) {
    uint4 raw[kAtOnce];
#pragma unroll
    for (int k = 0; k < kAtOnce; ++k) {
      raw[k] = sample[i + k * stride];
    }
#pragma unroll
    for (int k = 0; k < kAtOnce; ++k) {
      add(raw[k]);
    }
  }
  for (; i < size.vectors; i += stride) {
    add(sample[i]);
  }
  fold(sum, squares, size.groups);
  put_sums(partial, size, sum, squares);
}

/// What the derivative of the normalised values, e, and those values themselves, t, are told from.
struct Normalised {
  Eight e, t;

  __device__ __forceinline__ Normalised(const uint4& raw_out, const uint4& raw_gradient, float slope, float inverse)
      : e(unpack(raw_gradient)), t(unpack(raw_out)) {
#pragma unroll
    for (int c = 0; c < kVector; ++c) {
      const bool positive = t.v[c] > 0.0F;
      e.v[c] = positive ? e.v[c] : slope * e.v[c];
      t.v[c] = positive ? t.v[c] : inverse * t.v[c];
    }
  }
};

/// Sums of e and of e t.
__global__ void __launch_bounds__(kMostThreads, kBlocks)
    gradient_statistics_kernel(const uint4* __restrict__ out, const uint4* __restrict__ gradient,
                               float* __restrict__ partial, Size size) {
  constexpr int kAtOnce = 2;
  const uint4* sample = out + blockIdx.y * size.pitched();
  const uint4* of_sample = gradient + blockIdx.y * size.pitched();
  const float inverse = 1.0F / size.slope;
  Eight sum = {};
  Eight products = {};
  const auto add = [&](const uint4& raw_out, const uint4& raw_gradient) {
    const Normalised n(raw_out, raw_gradient, size.slope, inverse);
#pragma unroll
    for (int c = 0; c < kVector; ++c) {
      sum.v[c] += n.e.v[c];
      products.v[c] = fmaf(n.e.v[c], n.t.v[c], products.v[c]);
    }
  };
  const int rows = static_cast<int>(blockDim.x) / size.groups;  // voxels of a block
  const long long stride = static_cast<long long>(size.blocks) * rows * size.pitch;
  const long long end = size.pitched();
  long long i = place_in_y(size, static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x,
                           static_cast<int>(threadIdx.x) % size.groups);
  for (; i + (kAtOnce - 1) * stride < end; i += kAtOnce * stride) {
    uint4 raw_out[kAtOnce];
    uint4 raw_gradient[kAtOnce];
#pragma unroll
    for (int k = 0; k < kAtOnce; ++k) {
      raw_out[k] = sample[i + k * stride];
      raw_gradient[k] = of_sample[i + k * stride];
    }
#pragma unroll
    for (int k = 0; k < kAtOnce; ++k) {
      add(raw_out[k], raw_gradient[k]);
    }
  }
  for (; i < end; i += stride) {
    add(sample[i], of_sample[i]);
  }
  fold(sum, products, size.groups);
  put_sums(partial, size, sum, products);
}

/// The 16 sums of this block's vector of channels over all blocks, in every thread below 16.
__device__ __forceinline__ double sum_of_blocks(const float* partial, const Size& size) {
  constexpr int kRows = kSumThreads / kValues;
  __shared__ double rows[kRows][kValues];
  const int value = static_cast<int>(threadIdx.x) % kValues;
  const int row = static_cast<int>(threadIdx.x) / kValues;
  double sum = 0.0;
  for (int block = row; block < size.blocks; block += kRows) {
    const long long at = (static_cast<long long>(blockIdx.y) * size.blocks + block) * size.groups + blockIdx.x;
    sum += partial[at * kValues + value];
  }
  rows[row][value] = sum;
  __syncthreads();
  sum = 0.0;
  if (row == 0) {
    for (int k = 0; k < kRows; ++k) {
      sum += rows[k][value];
    }
  }
  return sum;
}

__global__ void __launch_bounds__(kSumThreads)
    moments_kernel(const uint4* __restrict__ in, const float* __restrict__ partial, float* __restrict__ mean,
                   float* __restrict__ inverse_deviation, Size size) {
  __shared__ double sums[kValues];
  const double sum = sum_of_blocks(partial, size);
  if (threadIdx.x < kValues) {
    sums[threadIdx.x] = sum;
  }
  __syncthreads();
  const Eight shift = shift_of(in + blockIdx.y * size.vectors, size, static_cast<int>(blockIdx.x));
  const double voxels = static_cast<double>(size.vectors / size.groups);
  const int at = static_cast<int>(blockIdx.y * size.groups + blockIdx.x) * kVector;
#pragma unroll
  for (int c = 0; c < kVector; ++c) {
    if (static_cast<int>(threadIdx.x) == c) {
      const double beyond = sums[c] / voxels;
      const double variance = fmax(sums[kVector + c] / voxels - beyond * beyond, 0.0);
      mean[at + c] = static_cast<float>(static_cast<double>(shift.v[c]) + beyond);
      inverse_deviation[at + c] = static_cast<float>(1.0 / sqrt(variance + kInstanceNormEpsilon));
    }
  }
}

/// means: [n][group][16], of e and of e t
__global__ void __launch_bounds__(kSumThreads)
    gradient_means_kernel(const float* __restrict__ partial, float* __restrict__ means, Size size) {
  const double sum = sum_of_blocks(partial, size);
  if (threadIdx.x < kValues) {
    const auto at = static_cast<long long>(blockIdx.y * size.groups + blockIdx.x) * kValues;
    means[at + threadIdx.x] =
        static_cast<float>(sum * static_cast<double>(size.groups) / static_cast<double>(size.vectors));
  }
}

/// From the end of the batch to its beginning: sample and group of a thread, and its vectors.
struct Backwards {
  long long sample;
  int group;
  long long i, stride;    ///< in x
  long long y, y_stride;  ///< in y

  __device__ __forceinline__ explicit Backwards(const Size& size)
      : sample(gridDim.y - 1 - blockIdx.y),
        group(size.groups - 1 - static_cast<int>(threadIdx.x) % size.groups),
        i(size.vectors - 1 - (static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x)),
        stride(static_cast<long long>(gridDim.x) * blockDim.x),
        y(place_in_y(size, i, group)),
        y_stride(static_cast<long long>(gridDim.x) * (static_cast<int>(blockDim.x) / size.groups) * size.pitch) {}
};

/// `in` and `out` may be the same.
__global__ void __launch_bounds__(kMostThreads, kBlocks)
    normalise_kernel(const uint4* in, const float* __restrict__ mean, const float* __restrict__ inverse_deviation,
                     uint4* out, Size size) {
  const Backwards t(size);
  const uint4* from = in + t.sample * size.vectors;
  uint4* to = out + t.sample * size.pitched();
  const long long channel = (t.sample * size.groups + t.group) * kVector;
  Eight m;
  Eight r;
#pragma unroll
  for (int c = 0; c < kVector; ++c) {
    m.v[c] = mean[channel + c];
    r.v[c] = inverse_deviation[channel + c];
  }
  const auto put = [&](long long i, const uint4& raw) {
    Eight x = unpack(raw);
#pragma unroll
    for (int c = 0; c < kVector; ++c) {
      const float normalised = (x.v[c] - m.v[c]) * r.v[c];
      x.v[c] = normalised > 0.0F ? normalised : size.slope * normalised;
    }
    to[i] = pack(x);
  };
  long long y = t.y;
  for (long long i = t.i; i >= 0; i -= 2 * t.stride, y -= 2 * t.y_stride) {
    const bool two = i >= t.stride;
    const uint4 raw = from[i];
    uint4 next = {};
    if (two) {
      next = from[i - t.stride];
    }
    put(y, raw);
    if (two) {
      put(y - t.y_stride, next);
    }
  }
}

/// dx = r (e - mean of e - t mean of e t). `gradient` and `to_input` may be the same.
__global__ void __launch_bounds__(kMostThreads, kGradientBlocks)
    gradient_kernel(const uint4* __restrict__ out, const uint4* gradient, const float* __restrict__ inverse_deviation,
                    const float* __restrict__ means, uint4* to_input, Size size) {
  const Backwards t(size);
  const uint4* from = out + t.sample * size.pitched();
  const uint4* of_output = gradient + t.sample * size.pitched();
  uint4* to = to_input + t.sample * size.vectors;
  const long long at = t.sample * size.groups + t.group;
  const float inverse = 1.0F / size.slope;
  Eight r;
  Eight first;
  Eight second;
#pragma unroll
  for (int c = 0; c < kVector; ++c) {
    r.v[c] = inverse_deviation[at * kVector + c];
    first.v[c] = r.v[c] * means[at * kValues + c];
    second.v[c] = r.v[c] * means[at * kValues + kVector + c];
  }
  const auto put = [&](long long i, const uint4& raw_out, const uint4& raw_gradient) {
    Normalised n(raw_out, raw_gradient, size.slope, inverse);
#pragma unroll
    for (int c = 0; c < kVector; ++c) {
      n.e.v[c] = fmaf(r.v[c], n.e.v[c], -fmaf(n.t.v[c], second.v[c], first.v[c]));
    }
    to[i] = pack(n.e);
  };
  long long y = t.y;
  for (long long i = t.i; i >= 0; i -= 2 * t.stride, y -= 2 * t.y_stride) {
    const bool two = i >= t.stride;
    const uint4 raw_out = from[y];
    const uint4 raw_gradient = of_output[y];
    uint4 next_out = {};
    uint4 next_gradient = {};
    if (two) {
      next_out = from[y - t.y_stride];
      next_gradient = of_output[y - t.y_stride];
    }
    put(i, raw_out, raw_gradient);
    if (two) {
      put(i - t.stride, next_out, next_gradient);
    }
  }
}

struct Launch {
  Size size;
  int threads;
  dim3 blocks;
  dim3 of_channels;  ///< of the sums of channels
  dim3 of_gradient;  ///< of the last backward launch

  Launch(const InstanceNormShape& shape, const Capability& chip) {
    REGATTA_REQUIRE(has_form(shape, chip), BugError, "InstanceNorm of ", shape.channels, " channels: no kernel");
    size.groups = shape.channels / kVector;
    size.pitch = shape.channels_of_voxel() / kVector;
    size.vectors = shape.size.voxels() * size.groups;
    size.blocks = instance_norm::blocks(shape, chip);
    size.slope = shape.slope;
    threads = instance_norm::threads(size.groups);
    const auto samples = static_cast<unsigned>(shape.size.n);
    blocks = {static_cast<unsigned>(size.blocks), samples};
    of_channels = {static_cast<unsigned>(size.groups), samples};
    of_gradient = {static_cast<unsigned>(std::min(size.blocks, chip.multiprocessors * kGradientBlocks)), samples};
  }
};

}  // namespace

void instance_norm_forward(const InstanceNormShape& shape, const InstanceNormForward& arrays, const Capability& chip,
                           Stream stream) {
  const Launch call(shape, chip);
  require_features("instance_norm_forward", arrays.in, "the input");
  require_features("instance_norm_forward", arrays.out, "the output");
  require_features("instance_norm_forward", arrays.scratch, "the scratch");
  REGATTA_REQUIRE(arrays.mean != nullptr && arrays.inverse_deviation != nullptr, BugError,
                  "instance_norm_forward: no mean or deviation");
  REGATTA_REQUIRE(call.size.pitch == call.size.groups || arrays.in != arrays.out, BugError,
                  "instance_norm_forward: in place with a pitch");
  auto* partial = static_cast<float*>(arrays.scratch);
  statistics_kernel<<<call.blocks, call.threads, 0, stream>>>(vectors(arrays.in), partial, call.size);
  check_launch("instance_norm statistics");
  moments_kernel<<<call.of_channels, kSumThreads, 0, stream>>>(vectors(arrays.in), partial, arrays.mean,
                                                               arrays.inverse_deviation, call.size);
  check_launch("instance_norm moments");
  normalise_kernel<<<call.blocks, call.threads, 0, stream>>>(vectors(arrays.in), arrays.mean, arrays.inverse_deviation,
                                                             vectors(arrays.out), call.size);
  check_launch("instance_norm_forward");
}

void instance_norm_backward(const InstanceNormShape& shape, const InstanceNormBackward& arrays, const Capability& chip,
                            Stream stream) {
  const Launch call(shape, chip);
  require_features("instance_norm_backward", arrays.out, "the forward pass's output");
  require_features("instance_norm_backward", arrays.output_gradient, "the output's gradient");
  require_features("instance_norm_backward", arrays.input_gradient, "the input's gradient");
  require_features("instance_norm_backward", arrays.scratch, "the scratch");
  REGATTA_REQUIRE(arrays.inverse_deviation != nullptr && arrays.input_gradient != arrays.out, BugError,
                  "instance_norm_backward: no deviation, or the result is the forward pass's output");
  REGATTA_REQUIRE(call.size.pitch == call.size.groups || arrays.input_gradient != arrays.output_gradient, BugError,
                  "instance_norm_backward: in place with a pitch");
  auto* partial = static_cast<float*>(arrays.scratch);
  float* means = partial + static_cast<std::size_t>(shape.size.n) * call.size.blocks * call.size.groups * kValues;
  gradient_statistics_kernel<<<call.blocks, call.threads, 0, stream>>>(
      vectors(arrays.out), vectors(arrays.output_gradient), partial, call.size);
  check_launch("instance_norm gradient statistics");
  gradient_means_kernel<<<call.of_channels, kSumThreads, 0, stream>>>(partial, means, call.size);
  check_launch("instance_norm gradient means");
  gradient_kernel<<<call.of_gradient, call.threads, 0, stream>>>(vectors(arrays.out), vectors(arrays.output_gradient),
                                                                 arrays.inverse_deviation, means,
                                                                 vectors(arrays.input_gradient), call.size);
  check_launch("instance_norm_backward");
}

}  // namespace regatta::kernels
