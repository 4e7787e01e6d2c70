// A thread keeps 8 channels and goes through the voxels; blocks' sums are added in a fixed order.
#include <cuda_runtime.h>

#include <algorithm>

#include "kernels/activation_form.hpp"
#include "kernels/conv/launch.hpp"
#include "kernels/features.cuh"

namespace regatta::kernels {
namespace {

using activation::kMostThreads;
using activation::kSumBlocks;

constexpr int kAcross = 32;
constexpr int kSharers = 8;

struct Walk {
  long long at;
  long long step;

  __device__ Walk()
      : at(static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x),
        step(static_cast<long long>(gridDim.x) * blockDim.x) {}
};

struct ForwardCall {
  const uint4* product;
  const float* biases[kMostBiases];
  const uint4* added;
  const float* prelu;
  float slope;
  uint4* before;
  uint4* out;
  long long vectors;
  int groups;
};

__global__ void __launch_bounds__(kMostThreads) activate_kernel(const ForwardCall call) {
  const int channel = static_cast<int>(threadIdx.x) % call.groups * kVector;
  const float slope = call.prelu != nullptr ? *call.prelu : call.slope;
  Eight bias = {};
  for (const float* from : call.biases) {
    for (int c = 0; from != nullptr && c < kVector; ++c) {
      bias.v[c] += from[channel + c];
    }
  }
  for (Walk i; i.at < call.vectors; i.at += i.step) {
    Eight value = unpack(call.product[i.at]);
    if (call.added != nullptr) {
      add_to(value, 1.0F, unpack(call.added[i.at]));
    }
    add_to(value, 1.0F, bias);
    if (call.before != nullptr) {
      call.before[i.at] = pack(value);
    }
#pragma unroll
    for (float& v : value.v) {
      v = v > 0.0F ? v : v * slope;
    }
    call.out[i.at] = pack(value);
  }
}

struct GradientCall {
  const uint4* gradient;
  const uint4* added;
  const uint4* before;
  const float* prelu;
  float slope;
  uint4* before_gradient;
  float* partial;  // [blocks] or null
  long long vectors;
  int groups;
  int gradient_groups;  // of a voxel in memory
};

/// The block's sum of one value of each thread, in thread 0.
__device__ __forceinline__ float sum_of_block(float value) {
  __shared__ float parts[kMostThreads];
  parts[threadIdx.x] = value;
  for (int active = static_cast<int>(blockDim.x); active > 1;) {
    const int half = (active + 1) / 2;
    __syncthreads();
    if (static_cast<int>(threadIdx.x) + half < active) {
      parts[threadIdx.x] += parts[threadIdx.x + half];
    }
    active = half;
  }
  return parts[0];
}

__global__ void __launch_bounds__(kMostThreads) activation_gradient_kernel(const GradientCall call) {
  const float slope = call.prelu != nullptr ? *call.prelu : call.slope;
  float sum = 0.0F;
  const Walk first;
  long long from = first.at / call.groups * call.gradient_groups + first.at % call.groups;
  const long long from_step = first.step / call.groups * call.gradient_groups;
  for (Walk i; i.at < call.vectors; i.at += i.step, from += from_step) {
    Eight gradient = unpack(call.gradient[from]);
    const Eight before = unpack(call.before[i.at]);
    if (call.added != nullptr) {
      add_to(gradient, 1.0F, unpack(call.added[i.at]));
    }
#pragma unroll
    for (int c = 0; c < kVector; ++c) {
      sum = fmaf(fminf(before.v[c], 0.0F), gradient.v[c], sum);
      gradient.v[c] = before.v[c] > 0.0F ? gradient.v[c] : gradient.v[c] * slope;
    }
    call.before_gradient[i.at] = pack(gradient);
  }
  if (call.partial != nullptr) {
    sum = sum_of_block(sum);
    if (threadIdx.x == 0) {
      call.partial[blockIdx.x] = sum;
    }
  }
}

/// partial: [block][channel].
__global__ void __launch_bounds__(kMostThreads)
    channel_sums_kernel(const uint4* values, float* partial, long long vectors, int groups) {
  __shared__ float parts[kVector][kMostThreads];
  Eight sum = {};
  for (Walk i; i.at < vectors; i.at += i.step) {
    add_to(sum, 1.0F, unpack(values[i.at]));
  }
#pragma unroll
  for (int c = 0; c < kVector; ++c) {
    parts[c][threadIdx.x] = sum.v[c];
  }
  __syncthreads();
  const int channels = groups * kVector;
  for (int channel = static_cast<int>(threadIdx.x); channel < channels; channel += static_cast<int>(blockDim.x)) {
    float all = 0.0F;
    for (int from = channel / kVector; from < static_cast<int>(blockDim.x); from += groups) {
      all += parts[channel % kVector][from];
    }
    partial[static_cast<long long>(blockIdx.x) * channels + channel] = all;
  }
}

struct Sums {
  float* at[kMostBiases];
};

__global__ void __launch_bounds__(kAcross* kSharers)
    finish_sums(const float* partial, int blocks, int channels, const Sums sums) {
  __shared__ float parts[kSharers][kAcross + 1];
  const int channel = static_cast<int>(blockIdx.x) * kAcross + static_cast<int>(threadIdx.x);
  const int sharer = static_cast<int>(threadIdx.y);
  float sum = 0.0F;
  for (int block = sharer; channel < channels && block < blocks; block += kSharers) {
    sum += partial[static_cast<long long>(block) * channels + channel];
  }
  parts[sharer][threadIdx.x] = sum;
  __syncthreads();
  if (sharer == 0 && channel < channels) {
    sum = 0.0F;
    for (const auto& part : parts) {
      sum += part[threadIdx.x];
    }
    for (float* to : sums.at) {
      if (to != nullptr) {
        to[channel] = sum;
      }
    }
  }
}

void require_shape(const char* kernel, const ActivationShape& shape, const Capability& chip) {
  REGATTA_REQUIRE(has_activation(shape, chip), BugError, kernel, ": no kernel for ", shape.voxels, " voxels of ",
                  shape.channels, " channels");
}

long long vectors_of(const ActivationShape& shape) {
  return shape.elements() / kVector;
}

/// At least a vector for each thread.
unsigned blocks_for(const ActivationShape& shape, int most) {
  return static_cast<unsigned>(
      std::min<long long>(most, divide_up(vectors_of(shape), activation::threads(shape.channels))));
}

}  // namespace

void activate(const ActivationShape& shape, const ActivationForward& arrays, const Capability& chip, Stream stream) {
  require_shape("activate", shape, chip);
  require_features("activate", arrays.product, "product");
  require_features("activate", arrays.out, "out");
  ForwardCall call = {vectors(arrays.product),
                      {},
                      vectors(arrays.added),
                      arrays.prelu,
                      arrays.slope,
                      vectors(arrays.before),
                      vectors(arrays.out),
                      vectors_of(shape),
                      shape.channels / kVector};
  std::copy(arrays.biases.begin(), arrays.biases.end(), call.biases);
  const unsigned blocks = blocks_for(shape, chip.multiprocessors * activation::kBlocks);
  activate_kernel<<<blocks, activation::threads(shape.channels), 0, stream>>>(call);
  check_launch("activate");
}

void activation_gradient(const ActivationShape& shape, const ActivationGradient& arrays, const Capability& chip,
                         Stream stream) {
  require_shape("activation_gradient", shape, chip);
  require_features("activation_gradient", arrays.gradient, "gradient");
  require_features("activation_gradient", arrays.before, "before");
  require_features("activation_gradient", arrays.before_gradient, "before_gradient");
  const int in_memory = std::max(arrays.gradient_channels, shape.channels);
  REGATTA_REQUIRE(in_memory % kVector == 0, BugError, "activation_gradient: ", in_memory, " channels in memory");
  const bool trained = arrays.slope_gradient != nullptr;
  REGATTA_REQUIRE(!trained || (arrays.scratch != nullptr && arrays.prelu != nullptr), BugError,
                  "activation_gradient: a slope's gradient without scratch or slope");
  const GradientCall call = {vectors(arrays.gradient),
                             vectors(arrays.added),
                             vectors(arrays.before),
                             arrays.prelu,
                             arrays.slope,
                             vectors(arrays.before_gradient),
                             trained ? static_cast<float*>(arrays.scratch) : nullptr,
                             vectors_of(shape),
                             shape.channels / kVector,
                             in_memory / kVector};
  const unsigned blocks =
      blocks_for(shape, trained ? activation::sum_blocks(chip) : chip.multiprocessors * activation::kBlocks);
  activation_gradient_kernel<<<blocks, activation::threads(shape.channels), 0, stream>>>(call);
  check_launch("activation_gradient");
  if (trained) {
    conv::launch_sum(call.partial, static_cast<int>(blocks), arrays.slope_gradient, stream);
  }
}

void channel_sums(const ActivationShape& shape, const Bf16* values, const std::array<float*, kMostBiases>& sums,
                  void* scratch, const Capability& chip, Stream stream) {
  require_shape("channel_sums", shape, chip);
  require_features("channel_sums", values, "values");
  REGATTA_REQUIRE(scratch != nullptr, BugError, "channel_sums: no scratch");
  auto* partial = static_cast<float*>(scratch);
  const unsigned blocks = blocks_for(shape, activation::sum_blocks(chip));
  channel_sums_kernel<<<blocks, activation::threads(shape.channels), 0, stream>>>(
      vectors(values), partial, vectors_of(shape), shape.channels / kVector);
  check_launch("channel_sums");
  Sums to = {};
  std::copy(sums.begin(), sums.end(), to.at);
  finish_sums<<<static_cast<unsigned>(divide_up(shape.channels, kAcross)), dim3(kAcross, kSharers), 0, stream>>>(
      partial, static_cast<int>(blocks), shape.channels, to);
  check_launch("finish_sums");
}

}  // namespace regatta::kernels
