// A block's row of the grid is one component; four values a thread where they are aligned.
#include <cuda_runtime.h>

#include <algorithm>

#include "kernels/launch.cuh"
#include "regatta/kernels/softsign.hpp"

namespace regatta::kernels {
namespace {

constexpr int kThreads = 256;
constexpr int kMostBlocks = 4096;  // of a component

struct Factors {
  float of[3];
};

struct Forward {
  const float* input;
  float* output;

  __device__ __forceinline__ void operator()(long long i, float factor) const {
    const float x = input[i];
    output[i] = factor * x / (1.0F + fabsf(x));
  }

  __device__ __forceinline__ void four(long long i, float factor) const {
    const float4 x = *reinterpret_cast<const float4*>(input + i);
    *reinterpret_cast<float4*>(output + i) = {factor * x.x / (1.0F + fabsf(x.x)), factor * x.y / (1.0F + fabsf(x.y)),
                                              factor * x.z / (1.0F + fabsf(x.z)), factor * x.w / (1.0F + fabsf(x.w))};
  }
};

__device__ __forceinline__ float derivative(float x, float factor, float upstream) {
  const float below = 1.0F + fabsf(x);
  return factor * upstream / (below * below);
}

struct Backward {
  const float* input;
  const float* to_output;
  float* to_input;

  __device__ __forceinline__ void operator()(long long i, float factor) const {
    to_input[i] = derivative(input[i], factor, to_output[i]);
  }

  __device__ __forceinline__ void four(long long i, float factor) const {
    const float4 x = *reinterpret_cast<const float4*>(input + i);
    const float4 g = *reinterpret_cast<const float4*>(to_output + i);
    *reinterpret_cast<float4*>(to_input + i) = {derivative(x.x, factor, g.x), derivative(x.y, factor, g.y),
                                                derivative(x.z, factor, g.z), derivative(x.w, factor, g.w)};
  }
};

template <bool kFour, class Work>
__global__ void __launch_bounds__(kThreads) each_value(const Work work, const Factors factors, long long voxels) {
  const float factor = factors.of[blockIdx.y % 3];
  const long long from = blockIdx.y * voxels;
  const long long step = static_cast<long long>(gridDim.x) * kThreads * (kFour ? 4 : 1);
  const long long first = (static_cast<long long>(blockIdx.x) * kThreads + threadIdx.x) * (kFour ? 4 : 1);
  for (long long i = first; i < voxels; i += step) {
    if constexpr (kFour) {
      work.four(from + i, factor);
    } else {
      work(from + i, factor);
    }
  }
}

template <class Work>
void launch(const Softsign& softsign, const Work& work, bool aligned, const char* name, Stream stream) {
  constexpr std::int64_t kMostVolumes = 65535 / 3;
  const VolumeSize& size = softsign.size;
  REGATTA_REQUIRE(size.n > 0 && size.n <= kMostVolumes && size.voxels() > 0, BugError, name, ": ", size.n,
                  " volumes of ", size.voxels(), " voxels");
  const Factors factors = {{softsign.factors[0], softsign.factors[1], softsign.factors[2]}};
  const bool four = aligned && size.voxels() % 4 == 0;
  const long long threads = size.voxels() / (four ? 4 : 1);
  const dim3 grid(static_cast<unsigned>(std::min<long long>(divide_up(threads, kThreads), kMostBlocks)),
                  static_cast<unsigned>(3 * size.n));
  if (four) {
    each_value<true><<<grid, kThreads, 0, stream>>>(work, factors, size.voxels());
  } else {
    each_value<false><<<grid, kThreads, 0, stream>>>(work, factors, size.voxels());
  }
  check_launch(name);
}

}  // namespace

void softsign_forward(const Softsign& softsign, const float* input, float* output, Stream stream) {
  REGATTA_REQUIRE(input != nullptr && output != nullptr, BugError, "softsign_forward: a field is missing");
  launch(softsign, Forward{input, output}, is_aligned(input, 16) && is_aligned(output, 16), "softsign_forward", stream);
}

void softsign_backward(const Softsign& softsign, const float* input, const float* to_output, float* to_input,
                       Stream stream) {
  REGATTA_REQUIRE(input != nullptr && to_output != nullptr && to_input != nullptr, BugError,
                  "softsign_backward: a field is missing");
  launch(softsign, Backward{input, to_output, to_input},
         is_aligned(input, 16) && is_aligned(to_output, 16) && is_aligned(to_input, 16), "softsign_backward", stream);
}

}  // namespace regatta::kernels
