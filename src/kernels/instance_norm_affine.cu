// InstanceNorm with weights. What the weights make of x is one line, scale x + shift; forward and backward compute it
// by the same operations, so that both see the same signs.
#include "kernels/instance_norm.cuh"

namespace regatta::kernels::instance_norm {
namespace {

/// Of a thread's channels: weight (x - mean) / deviation + bias = scale x + shift.
struct Line {
  Eight scale, shift;

  __device__ __forceinline__ Line(const AffineForward& arrays, long long of_sample, int channel) {
#pragma unroll
    for (int c = 0; c < kVector; ++c) {
      scale.v[c] = arrays.weight[channel + c] * arrays.inverse_deviation[of_sample + c];
      shift.v[c] = fmaf(-arrays.mean[of_sample + c], scale.v[c], arrays.bias[channel + c]);
    }
  }

  __device__ __forceinline__ float at(int c, float x) const {
    return fmaf(scale.v[c], x, shift.v[c]);
  }
};

/// `in` and `out` may be the same.
__global__ void __launch_bounds__(kMostThreads, kBlocks) affine_normalise_kernel(AffineForward arrays, Size size) {
  const Backwards t(size);
  const uint4* from = arrays.in + t.sample * size.vectors;
  uint4* to = arrays.out + t.sample * size.vectors;
  const Line line(arrays, (t.sample * size.groups + t.group) * kVector, t.group * kVector);
  const auto put = [&](long long i, const uint4& raw) {
    Eight x = unpack(raw);
#pragma unroll
    for (int c = 0; c < kVector; ++c) {
      const float value = line.at(c, x.v[c]);
      x.v[c] = value > 0.0F ? value : size.slope * value;
    }
    to[i] = pack(x);
  };
  for (long long i = t.i; i >= 0; i -= 2 * t.stride) {
    const bool two = i >= t.stride;
    const uint4 raw = from[i];
    uint4 next = {};
    if (two) {
      next = from[i - t.stride];
    }
    put(i, raw);
    if (two) {
      put(i - t.stride, next);
    }
  }
}

struct AffineBackward {
  AffineForward forward;
  const uint4* gradient;
  float* partial;
  float* means;  ///< [n][group][16], of e and of e t, with t the normalised value
  uint4* to_input;
  float* to_weight;
  float* to_bias;
};

/// Sums of e, the derivative before the activation, and of e (x - mean).
__global__ void __launch_bounds__(kMostThreads, kGradientBlocks)
    affine_gradient_statistics_kernel(AffineBackward arrays, Size size) {
  constexpr int kAtOnce = 2;
  const uint4* sample = arrays.forward.in + blockIdx.y * size.vectors;
  const uint4* of_sample = arrays.gradient + blockIdx.y * size.vectors;
  const int group = static_cast<int>(threadIdx.x) % size.groups;
  const long long channel = (static_cast<long long>(blockIdx.y) * size.groups + group) * kVector;
  const Line line(arrays.forward, channel, group * kVector);
  Eight mean;
#pragma unroll
  for (int c = 0; c < kVector; ++c) {
    mean.v[c] = arrays.forward.mean[channel + c];
  }
  Eight sum = {};
  Eight products = {};
  const auto add = [&](const uint4& raw, const uint4& raw_gradient) {
    const Eight x = unpack(raw);
    const Eight g = unpack(raw_gradient);
#pragma unroll
    for (int c = 0; c < kVector; ++c) {
      const float e = line.at(c, x.v[c]) > 0.0F ? g.v[c] : size.slope * g.v[c];
      sum.v[c] += e;
      products.v[c] = fmaf(e, x.v[c] - mean.v[c], products.v[c]);
    }
  };
  const long long stride = static_cast<long long>(size.blocks) * blockDim.x;
  long long i = static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x;
  for (; i + (kAtOnce - 1) * stride < size.vectors; i += kAtOnce * stride) {
    uint4 raw[kAtOnce];
    uint4 raw_gradient[kAtOnce];
#pragma unroll
    for (int k = 0; k < kAtOnce; ++k) {
      raw[k] = sample[i + k * stride];
      raw_gradient[k] = of_sample[i + k * stride];
    }
#pragma unroll
    for (int k = 0; k < kAtOnce; ++k) {
      add(raw[k], raw_gradient[k]);
    }
  }
  for (; i < size.vectors; i += stride) {
    add(sample[i], of_sample[i]);
  }
  fold(sum, products, size.groups);
  put_sums(arrays.partial, size, sum, products);
}

__global__ void __launch_bounds__(kSumThreads) affine_gradient_means_kernel(AffineBackward arrays, Size size) {
  const double sum = sum_of_blocks(arrays.partial, size);
  if (threadIdx.x < kValues) {
    const auto vector = static_cast<long long>(blockIdx.y * size.groups + blockIdx.x);
    const double voxels = static_cast<double>(size.vectors / size.groups);
    const int c = static_cast<int>(threadIdx.x);
    const double factor =
        c < kVector ? 1.0 : static_cast<double>(arrays.forward.inverse_deviation[vector * kVector + c - kVector]);
    arrays.means[vector * kValues + threadIdx.x] = static_cast<float>(sum * factor / voxels);
  }
}

/// Sample after sample.
__global__ void __launch_bounds__(kSumThreads) affine_weights_kernel(AffineBackward arrays, Size size, int samples) {
  const int channel = static_cast<int>(blockIdx.x * kSumThreads + threadIdx.x);
  if (channel >= size.groups * kVector) {
    return;
  }
  double weight = 0.0;
  double bias = 0.0;
  for (int n = 0; n < samples; ++n) {
    const float* means =
        arrays.means + (static_cast<long long>(n) * size.groups + channel / kVector) * kValues + channel % kVector;
    bias += static_cast<double>(means[0]);
    weight += static_cast<double>(means[kVector]);
  }
  const double voxels = static_cast<double>(size.vectors / size.groups);
  arrays.to_weight[channel] = static_cast<float>(weight * voxels);
  arrays.to_bias[channel] = static_cast<float>(bias * voxels);
}

/// dx = scale (e - mean of e - t mean of e t). `gradient` and `to_input` may be the same.
__global__ void __launch_bounds__(kMostThreads, kGradientBlocks)
    affine_gradient_kernel(AffineBackward arrays, Size size) {
  const Backwards t(size);
  const uint4* from = arrays.forward.in + t.sample * size.vectors;
  const uint4* of_output = arrays.gradient + t.sample * size.vectors;
  uint4* to = arrays.to_input + t.sample * size.vectors;
  const long long at = t.sample * size.groups + t.group;
  const Line line(arrays.forward, at * kVector, t.group * kVector);
  Eight first;   // what goes off at x = 0
  Eight second;  // per x
#pragma unroll
  for (int c = 0; c < kVector; ++c) {
    const float deviation = arrays.forward.inverse_deviation[at * kVector + c];
    second.v[c] = line.scale.v[c] * deviation * arrays.means[at * kValues + kVector + c];
    first.v[c] =
        fmaf(line.scale.v[c], arrays.means[at * kValues + c], -arrays.forward.mean[at * kVector + c] * second.v[c]);
  }
  const auto put = [&](long long i, const uint4& raw, const uint4& raw_gradient) {
    const Eight x = unpack(raw);
    Eight g = unpack(raw_gradient);
#pragma unroll
    for (int c = 0; c < kVector; ++c) {
      const float e = line.at(c, x.v[c]) > 0.0F ? g.v[c] : size.slope * g.v[c];
      g.v[c] = fmaf(line.scale.v[c], e, -fmaf(x.v[c], second.v[c], first.v[c]));
    }
    to[i] = pack(g);
  };
  for (long long i = t.i; i >= 0; i -= 2 * t.stride) {
    const bool two = i >= t.stride;
    const uint4 raw = from[i];
    const uint4 raw_gradient = of_output[i];
    uint4 next = {};
    uint4 next_gradient = {};
    if (two) {
      next = from[i - t.stride];
      next_gradient = of_output[i - t.stride];
    }
    put(i, raw, raw_gradient);
    if (two) {
      put(i - t.stride, next, next_gradient);
    }
  }
}

}  // namespace

void queue_affine_normalise(const Launch& call, const AffineForward& arrays, Stream stream) {
  affine_normalise_kernel<<<call.blocks, call.threads, 0, stream>>>(arrays, call.size);
  check_launch("instance_norm_forward with weights");
}

void queue_affine_backward(const Launch& call, const InstanceNormShape& shape, const InstanceNormBackward& arrays,
                           Stream stream) {
  require_features("instance_norm_backward", arrays.in, "the input");
  require_features("instance_norm_backward", arrays.output_gradient, "the output's gradient");
  require_features("instance_norm_backward", arrays.input_gradient, "the input's gradient");
  require_features("instance_norm_backward", arrays.scratch, "the scratch");
  REGATTA_REQUIRE(arrays.mean != nullptr && arrays.inverse_deviation != nullptr && arrays.weight != nullptr &&
                      arrays.bias != nullptr && arrays.weight_gradient != nullptr && arrays.bias_gradient != nullptr &&
                      arrays.input_gradient != arrays.in,
                  BugError,
                  "instance_norm_backward: no moments, weights or their gradients, or the result is the input");
  Size size = call.size;
  size.blocks = static_cast<int>(call.of_gradient.x);
  AffineBackward work;
  work.forward = {vectors(arrays.in), arrays.mean, arrays.inverse_deviation, arrays.weight, arrays.bias, nullptr};
  work.gradient = vectors(arrays.output_gradient);
  work.partial = static_cast<float*>(arrays.scratch);
  work.means = work.partial + static_cast<std::size_t>(shape.size.n) * size.blocks * size.groups * kValues;
  work.to_input = vectors(arrays.input_gradient);
  work.to_weight = arrays.weight_gradient;
  work.to_bias = arrays.bias_gradient;
  affine_gradient_statistics_kernel<<<call.of_gradient, call.threads, 0, stream>>>(work, size);
  check_launch("instance_norm gradient statistics");
  affine_gradient_means_kernel<<<call.of_channels, kSumThreads, 0, stream>>>(work, size);
  check_launch("instance_norm gradient means");
  affine_weights_kernel<<<static_cast<unsigned>(divide_up(shape.channels, kSumThreads)), kSumThreads, 0, stream>>>(
      work, size, static_cast<int>(shape.size.n));
  check_launch("instance_norm weights");
  affine_gradient_kernel<<<call.of_gradient, call.threads, 0, stream>>>(work, size);
  check_launch("instance_norm_backward");
}

}  // namespace regatta::kernels::instance_norm
