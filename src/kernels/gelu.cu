// A thread has vectors of 8 channels. Backward it keeps its channels over many rows, so that the bias's gradient is
// added up on the way: rows of a block in shared memory, blocks by a second launch.
#include "kernels/features.cuh"
#include "kernels/tokens.cuh"
#include "regatta/kernels/gelu.hpp"

namespace regatta::kernels {
namespace {

using tokens::kThreads;
using tokens::kWarps;

constexpr int kLanes = 32;  ///< vectors of 8 channels that a block of the backward pass has beside each other
constexpr float kDensity = 0.39894228040143268F;  ///< of the normal distribution at 0

/// The normal distribution and its density. By Abramowitz and Stegun, 7.1.26: erfc to 1.5e-7, from the exponential that
/// the density needs anyway; half the instructions of erff.
struct Normal {
  float below;
  float density;

  __device__ __forceinline__ explicit Normal(float x) {
    constexpr float kScale = 0.3275911F * 0.70710678118654752F;
    const float bell = __expf(-0.5F * x * x);
    const float t = __fdividef(1.0F, fmaf(kScale, fabsf(x), 1.0F));
    float tail = fmaf(1.061405429F, t, -1.453152027F);
    tail = fmaf(tail, t, 1.421413741F);
    tail = fmaf(tail, t, -0.284496736F);
    tail = fmaf(tail, t, 0.254829592F);
    tail *= 0.5F * t * bell;
    below = x < 0.0F ? tail : 1.0F - tail;
    density = kDensity * bell;
  }
};

/// Eight values of a row of floats, zeros without one.
__device__ __forceinline__ Eight eight_of(const float* row, int vector) {
  Eight value = {};
  if (row != nullptr) {
    const auto* from = reinterpret_cast<const float4*>(row) + 2 * vector;
    const float4 low = from[0];
    const float4 high = from[1];
    value = {{low.x, low.y, low.z, low.w, high.x, high.y, high.z, high.w}};
  }
  return value;
}

__global__ void __launch_bounds__(kThreads)
    gelu_forward_kernel(const uint4* in, const float* __restrict__ bias, uint4* out, long long vectors, int groups) {
  const long long stride = static_cast<long long>(gridDim.x) * kThreads;
  for (long long i = static_cast<long long>(blockIdx.x) * kThreads + threadIdx.x; i < vectors; i += stride) {
    Eight x = unpack(in[i]);
    add_to(x, 1.0F, eight_of(bias, static_cast<int>(i % groups)));
#pragma unroll
    for (int c = 0; c < kVector; ++c) {
      x.v[c] *= Normal(x.v[c]).below;
    }
    out[i] = pack(x);
  }
}

/// parts: [gridDim.y][8 groups], nullptr if the bias's gradient is not wanted
__global__ void __launch_bounds__(kThreads)
    gelu_backward_kernel(const uint4* in, const float* __restrict__ bias, const uint4* gradient, uint4* to_in,
                         float* __restrict__ parts, long long rows, int groups) {
  __shared__ float4 met[kWarps][kLanes][2];
  const int lane = static_cast<int>(threadIdx.x) % kLanes;
  const int warp = static_cast<int>(threadIdx.x) / kLanes;
  const int group = static_cast<int>(blockIdx.x) * kLanes + lane;
  Eight sum = {};
  if (group < groups) {
    const Eight added = eight_of(bias, group);
    const long long stride = static_cast<long long>(gridDim.y) * kWarps;
#pragma unroll 2
    for (long long row = static_cast<long long>(blockIdx.y) * kWarps + warp; row < rows; row += stride) {
      const long long i = row * groups + group;
      Eight x = unpack(in[i]);
      Eight e = unpack(gradient[i]);
      add_to(x, 1.0F, added);
#pragma unroll
      for (int c = 0; c < kVector; ++c) {
        const Normal normal(x.v[c]);
        e.v[c] *= fmaf(x.v[c], normal.density, normal.below);
        sum.v[c] += e.v[c];
      }
      to_in[i] = pack(e);
    }
  }
  if (parts == nullptr) {
    return;
  }
  met[warp][lane][0] = {sum.v[0], sum.v[1], sum.v[2], sum.v[3]};
  met[warp][lane][1] = {sum.v[4], sum.v[5], sum.v[6], sum.v[7]};
  __syncthreads();
  if (warp == 0 && group < groups) {
    auto* to = reinterpret_cast<float4*>(parts) + (static_cast<long long>(blockIdx.y) * groups + group) * 2;
    for (int half = 0; half < 2; ++half) {
      float4 all = met[0][lane][half];
      for (int other = 1; other < kWarps; ++other) {
        all = tokens::plus(all, met[other][lane][half]);
      }
      to[half] = all;
    }
  }
}

void require_form(const GeluShape& shape, const Capability& chip) {
  REGATTA_REQUIRE(has_form(shape, chip), BugError, "GELU of ", shape.channels, " channels: no kernel");
}

}  // namespace

void gelu_forward(const GeluShape& shape, const GeluForward& arrays, const Capability& chip, Stream stream) {
  require_form(shape, chip);
  tokens::require_array("gelu_forward", arrays.in, "the input");
  tokens::require_array("gelu_forward", arrays.out, "the output");
  tokens::require_aligned("gelu_forward", arrays.bias, "the bias");
  const int groups = shape.channels / kVector;
  const long long all = shape.rows * groups;
  const auto blocks = static_cast<unsigned>(std::min<long long>(divide_up(all, kThreads), 16LL * chip.multiprocessors));
  gelu_forward_kernel<<<blocks, kThreads, 0, stream>>>(vectors(arrays.in), arrays.bias, vectors(arrays.out), all,
                                                       groups);
  check_launch("gelu_forward");
}

void gelu_backward(const GeluShape& shape, const GeluBackward& arrays, const Capability& chip, Stream stream) {
  require_form(shape, chip);
  tokens::require_array("gelu_backward", arrays.in, "the input");
  tokens::require_array("gelu_backward", arrays.out_gradient, "the output's gradient");
  tokens::require_array("gelu_backward", arrays.to_in, "the input's gradient");
  tokens::require_aligned("gelu_backward", arrays.bias, "the bias");
  if (arrays.to_bias != nullptr) {
    tokens::require_array("gelu_backward", arrays.scratch, "the scratch");
  }
  const int groups = shape.channels / kVector;
  const int parts = tokens::column_parts(shape.rows, shape.channels, 2 * tokens::kChunk, chip);
  auto* of_parts = arrays.to_bias == nullptr ? nullptr : static_cast<float*>(arrays.scratch);
  const dim3 grid(static_cast<unsigned>(divide_up(groups, kLanes)), static_cast<unsigned>(parts));
  gelu_backward_kernel<<<grid, kThreads, 0, stream>>>(vectors(arrays.in), arrays.bias, vectors(arrays.out_gradient),
                                                      vectors(arrays.to_in), of_parts, shape.rows, groups);
  check_launch("gelu_backward");
  if (arrays.to_bias != nullptr) {
    tokens::add_parts({of_parts, {arrays.to_bias, nullptr, nullptr}, 1, shape.channels, parts}, "gelu_backward bias",
                      stream);
  }
}

}  // namespace regatta::kernels
