// Three launches for each pass: sums of blocks, sums of channels, results. The last one goes through the volume from
// its end, where the first one has left the L2 cache full.
#include "kernels/instance_norm.cuh"

namespace regatta::kernels {

using namespace instance_norm;

namespace {

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

/// What the derivative of the normalised values, e, and those values themselves, t, are computed from.
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
  REGATTA_REQUIRE(!shape.affine || (arrays.weight != nullptr && arrays.bias != nullptr), BugError,
                  "instance_norm_forward: no weights");
  auto* partial = static_cast<float*>(arrays.scratch);
  statistics_kernel<<<call.blocks, call.threads, 0, stream>>>(vectors(arrays.in), partial, call.size);
  check_launch("instance_norm statistics");
  moments_kernel<<<call.of_channels, kSumThreads, 0, stream>>>(vectors(arrays.in), partial, arrays.mean,
                                                               arrays.inverse_deviation, call.size);
  check_launch("instance_norm moments");
  if (shape.affine) {
    queue_affine_normalise(
        call,
        {vectors(arrays.in), arrays.mean, arrays.inverse_deviation, arrays.weight, arrays.bias, vectors(arrays.out)},
        stream);
    return;
  }
  normalise_kernel<<<call.blocks, call.threads, 0, stream>>>(vectors(arrays.in), arrays.mean, arrays.inverse_deviation,
                                                             vectors(arrays.out), call.size);
  check_launch("instance_norm_forward");
}

void instance_norm_backward(const InstanceNormShape& shape, const InstanceNormBackward& arrays, const Capability& chip,
                            Stream stream) {
  const Launch call(shape, chip);
  if (shape.affine) {
    queue_affine_backward(call, shape, arrays, stream);
    return;
  }
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
