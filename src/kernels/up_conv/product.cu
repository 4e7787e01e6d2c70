// Forward and input gradient of the transposed convolutions, by mma.sync straight from and to memory: a thread loads
// and stores 8 to 16 consecutive bytes of a voxel, the packing orders the weights to match.
#include <cuda_runtime.h>

#include "kernels/bf16.cuh"
#include "kernels/conv/ptx.cuh"
#include "kernels/conv/slope.cuh"
#include "kernels/launch.cuh"
#include "kernels/up_conv/form.hpp"

namespace regatta::kernels::up_conv {
namespace {

using conv::mma_k16;

/// The first voxel of the output above voxel `v`.
__device__ __forceinline__ long long first_child(const Call& call, std::uint32_t v) {
  const std::uint32_t row = v / call.W;
  const std::uint32_t plane = row / call.H;
  return (static_cast<long long>(plane) * 4 * call.H + 2 * (row - plane * call.H)) * (2 * call.W) +
         2 * (v - row * call.W);
}

/// From the first to the one at (pz, py) = (piece / 2, piece % 2).
__device__ __forceinline__ long long to_piece(const Call& call, int piece) {
  const long long row = 2 * static_cast<long long>(call.W);
  return ((piece >> 1) * 2 * static_cast<long long>(call.H) + (piece & 1)) * row;
}

/// kWords consecutive words: 2 or 4.
template <int kWords>
__device__ __forceinline__ void load_words(std::uint32_t (&to)[kWords], const void* from, bool real) {
  if constexpr (kWords == 4) {
    const uint4 v = real ? __ldg(static_cast<const uint4*>(from)) : make_uint4(0, 0, 0, 0);
    to[0] = v.x, to[1] = v.y, to[2] = v.z, to[3] = v.w;
  } else {
    const uint2 v = real ? __ldg(static_cast<const uint2*>(from)) : make_uint2(0, 0);
    to[0] = v.x, to[1] = v.y;
  }
}

template <int kWords>
__device__ __forceinline__ void store_words(void* to, const std::uint32_t (&from)[kWords]) {
  if constexpr (kWords == 4) {
    *static_cast<uint4*>(to) = make_uint4(from[0], from[1], from[2], from[3]);
  } else {
    *static_cast<uint2*>(to) = make_uint2(from[0], from[1]);
  }
}

template <class F>
__device__ __forceinline__ std::uint32_t copy_weights(std::uint8_t* shared, const Call& call) {
  for (int i = static_cast<int>(threadIdx.x); i < F::kPackedWords / 4; i += F::kThreads) {
    reinterpret_cast<uint4*>(shared)[i] = static_cast<const uint4*>(call.weights)[i];
  }
  __syncthreads();
  return conv::shared_address(shared) + (threadIdx.x & 31) * 8;
}

/// 8 values of a voxel of the output: 4 tiles' columns of row g or g + 8.
template <class F>
__device__ __forceinline__ void finish_output(const Call& call, const float (&sums)[4][4], int half, float slope,
                                              long long element) {
  std::uint32_t before[4];
  std::uint32_t after[4];
#pragma unroll
  for (int tile = 0; tile < 4; ++tile) {
    const float low = sums[tile][2 * half];
    const float high = sums[tile][2 * half + 1];
    before[tile] = pack_bf16(low, high);
    after[tile] = pack_bf16(low > 0.0F ? low : low * slope, high > 0.0F ? high : high * slope);
  }
  if (call.raw != nullptr) {
    store_words<4>(static_cast<__nv_bfloat16*>(call.raw) + element, before);
  }
  store_words<4>(static_cast<__nv_bfloat16*>(call.out) + element, after);
}

template <class F>
__global__ void __launch_bounds__(F::kThreads) forward(const Call call) {
  __shared__ __align__(16) std::uint8_t shared[F::kPackedWords * 4];
  const std::uint32_t weights = copy_weights<F>(shared, call);
  const int lane = static_cast<int>(threadIdx.x) & 31;
  const int quad = lane & 3;
  const float slope = call.slope_at != nullptr ? *call.slope_at : call.slope;
  float bias[8];
#pragma unroll
  for (int i = 0; i < 8; ++i) {
    bias[i] = call.bias != nullptr ? call.bias[(quad * 8 + i) % F::kChannels] : 0.0F;
  }
  constexpr int kWords = F::kQuad / 2;
  const std::uint32_t groups = (call.voxels + 15) / 16;
  const std::uint32_t warps = gridDim.x * (F::kThreads / 32);
  for (std::uint32_t i = blockIdx.x * (F::kThreads / 32) + (threadIdx.x >> 5); i < groups; i += warps) {
    const std::uint32_t voxel[2] = {i * 16 + (lane >> 2), i * 16 + (lane >> 2) + 8};
    std::uint32_t x[2][kWords];
    long long child[2];
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const long long at = static_cast<long long>(voxel[half]) * F::kChannels + quad * F::kQuad;
      load_words<kWords>(x[half], static_cast<const __nv_bfloat16*>(call.source) + at, voxel[half] < call.voxels);
      child[half] = first_child(call, voxel[half]) * F::kChannels + quad * 8;
    }
#pragma unroll
    for (int part = 0; part < kPieces * F::kChunks; ++part) {
      const long long offset = to_piece(call, part / F::kChunks) * F::kChannels + part % F::kChunks * 32;
      float sums[4][4];
#pragma unroll
      for (int tile = 0; tile < 4; ++tile) {
        sums[tile][0] = sums[tile][2] = bias[2 * tile];
        sums[tile][1] = sums[tile][3] = bias[2 * tile + 1];
#pragma unroll
        for (int step = 0; step < F::kSixteens; ++step) {
          const std::uint32_t a[4] = {x[0][2 * step], x[1][2 * step], x[0][2 * step + 1], x[1][2 * step + 1]};
          std::uint32_t b[2];
          conv::load_shared(b, weights + ((part * 4 + tile) * F::kSixteens + step) * 256);
          mma_k16(sums[tile], a, b[0], b[1]);
        }
      }
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        if (voxel[half] < call.voxels) {
          finish_output<F>(call, sums, half, slope, child[half] + offset);
        }
      }
    }
  }
}

/// Masks and stores the channels of row g or g + 8 that a thread has. @return its share of the slope's gradient
template <class F>
__device__ __forceinline__ float finish_gradient(const Call& call, const float (&sums)[F::kTiles][4], int half,
                                                 float slope, const std::uint32_t (&sign)[F::kTiles],
                                                 long long element) {
  std::uint32_t words[F::kTiles];
  float slope_sum = 0.0F;
#pragma unroll
  for (int tile = 0; tile < F::kTiles; ++tile) {
    float low = sums[tile][2 * half];
    float high = sums[tile][2 * half + 1];
    if (call.sign != nullptr) {
      slope_sum += conv::apply_prelu_mask(low, high, sign[tile], slope);
    }
    words[tile] = pack_bf16(low, high);
  }
  store_words<F::kTiles>(static_cast<__nv_bfloat16*>(call.out) + element, words);
  return slope_sum;
}

template <class F>
__global__ void __launch_bounds__(F::kThreads) input_gradient(const Call call) {
  __shared__ __align__(16) std::uint8_t shared[F::kPackedWords * 4];
  const std::uint32_t weights = copy_weights<F>(shared, call);
  const int lane = static_cast<int>(threadIdx.x) & 31;
  const int quad = lane & 3;
  const float slope = call.slope_at != nullptr ? *call.slope_at : call.slope;
  float slope_sum = 0.0F;
  const std::uint32_t groups = (call.voxels + 15) / 16;
  const std::uint32_t warps = gridDim.x * (F::kThreads / 32);
  for (std::uint32_t i = blockIdx.x * (F::kThreads / 32) + (threadIdx.x >> 5); i < groups; i += warps) {
    const std::uint32_t voxel[2] = {i * 16 + (lane >> 2), i * 16 + (lane >> 2) + 8};
    long long element[2];
    std::uint32_t sign[2][F::kTiles] = {};
    std::uint32_t y[2][kPieces * F::kChunks][4];
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const bool real = voxel[half] < call.voxels;
      const long long child = first_child(call, voxel[half]) * F::kChannels + quad * 8;
#pragma unroll
      for (int part = 0; part < kPieces * F::kChunks; ++part) {
        const long long at = child + to_piece(call, part / F::kChunks) * F::kChannels + part % F::kChunks * 32;
        load_words<4>(y[half][part], static_cast<const __nv_bfloat16*>(call.source) + at, real);
      }
      element[half] = static_cast<long long>(voxel[half]) * F::kChannels + quad * F::kQuad;
      if (call.sign != nullptr) {
        load_words<F::kTiles>(sign[half], static_cast<const __nv_bfloat16*>(call.sign) + element[half], real);
      }
    }
    float sums[F::kTiles][4] = {};
#pragma unroll
    for (int part = 0; part < kPieces * F::kChunks; ++part) {
#pragma unroll
      for (int step = 0; step < 2; ++step) {
        const std::uint32_t a[4] = {y[0][part][2 * step], y[1][part][2 * step], y[0][part][2 * step + 1],
                                    y[1][part][2 * step + 1]};
#pragma unroll
        for (int tile = 0; tile < F::kTiles; ++tile) {
          std::uint32_t b[2];
          conv::load_shared(b, weights + ((part * 2 + step) * F::kTiles + tile) * 256);
          mma_k16(sums[tile], a, b[0], b[1]);
        }
      }
    }
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      if (voxel[half] < call.voxels) {
        slope_sum += finish_gradient<F>(call, sums, half, slope, sign[half], element[half]);
      }
    }
  }
  __syncthreads();
  float* partial = call.slope_partial == nullptr ? nullptr : call.slope_partial + blockIdx.x;
  conv::store_slope_sum<F::kThreads>(slope_sum, reinterpret_cast<float*>(shared), partial);
}

/// Word i of the forward order: [piece][chunk][tile of 4][step][lane][2]; rows are channels of the input, columns
/// values of the piece.
__device__ std::uint32_t forward_word(const float* weights, int C, int i) {
  const int word = i & 1;
  const int lane = i >> 1 & 31;
  const int step = i / 64 % (C / 16);
  const int tile = i / 64 / (C / 16) % 4;
  const int chunk = i / 64 / (C / 16) / 4 % (C / 16);
  const int piece = i / 64 / (C / 16) / 4 / (C / 16);
  const int column = lane >> 2;
  const int value = chunk * 32 + (column >> 1) * 8 + 2 * tile + (column & 1);
  const int in = (lane & 3) * (C / 4) + 4 * step + 2 * word;
  const float* at = weights + (in * C + value % C) * 8 + piece * 2 + value / C;
  return pack_bf16(at[0], at[8 * C]);
}

/// Word i of the gradient's order: [piece][chunk][step of 2][tile][lane][2]; rows are values of the piece, columns
/// channels of the input.
__device__ std::uint32_t gradient_word(const float* weights, int C, int i) {
  const int word = i & 1;
  const int lane = i >> 1 & 31;
  const int tile = i / 64 % (C / 8);
  const int step = i / 64 / (C / 8) % 2;
  const int chunk = i / 64 / (C / 8) / 2 % (C / 16);
  const int piece = i / 64 / (C / 8) / 2 / (C / 16);
  const int column = lane >> 2;
  const int value = chunk * 32 + (lane & 3) * 8 + 4 * step + 2 * word;
  const int in = (column >> 1) * (C / 4) + 2 * tile + (column & 1);
  const float* at = weights + (in * C + value % C) * 8 + piece * 2 + value / C;
  return pack_bf16(at[0], at[8]);
}

__global__ void __launch_bounds__(256) pack(const PackBatch batch) {
  const int C = batch.channels[blockIdx.y];
  const int words = 4 * C * C;
  for (int i = static_cast<int>(blockIdx.x * 256 + threadIdx.x); i < 2 * words;
       i += static_cast<int>(gridDim.x) * 256) {
    const float* weights = batch.weights[blockIdx.y];
    batch.packed[blockIdx.y][i] = i < words ? forward_word(weights, C, i) : gradient_word(weights, C, i - words);
  }
}

}  // namespace

void launch_pack(const PackBatch& batch, int jobs, Stream stream) {
  pack<<<dim3(16, static_cast<unsigned>(jobs)), 256, 0, stream>>>(batch);
  check_launch("up_conv pack");
}

void launch_forward(int channels, const Call& call, int blocks, Stream stream) {
  if (channels == 16) {
    forward<Form<16>><<<blocks, Form<16>::kThreads, 0, stream>>>(call);
  } else {
    forward<Form<32>><<<blocks, Form<32>::kThreads, 0, stream>>>(call);
  }
  check_launch("up_conv forward");
}

void launch_input_gradient(int channels, const Call& call, int blocks, Stream stream) {
  if (channels == 16) {
    input_gradient<Form<16>><<<blocks, Form<16>::kThreads, 0, stream>>>(call);
  } else {
    input_gradient<Form<32>><<<blocks, Form<32>::kThreads, 0, stream>>>(call);
  }
  check_launch("up_conv input_gradient");
}

}  // namespace regatta::kernels::up_conv
