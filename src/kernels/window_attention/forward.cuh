// Forward: a warp has 16 queries at a time; keys and values of the window are in shared memory. The softmax is
// taken over some tiles of columns at a time.
#pragma once

#include "kernels/launch.cuh"
#include "kernels/window_attention/products.cuh"

namespace regatta::kernels::attention {

/// Two rows of a thread: largest logit (before the factor c^-1/2), weighted sums of values and of ones.
template <class F>
struct Softmax {
  float most[2] = {-INFINITY, -INFINITY};
  float sums[F::kUnits][4] = {};
  float ones[4] = {};
};

/// Logits and weights of kCount tiles from kFirst on, and their share of the sums.
template <class F, int kFirst, int kCount>
__device__ __forceinline__ void attend(Softmax<F>& state, const std::uint32_t (&query)[F::kMarked][2],
                                       QueryRows& biases, std::uint32_t keys, std::uint32_t values) {
  const float factor = kLog2E / root_of_size<F>();
  float logits[kCount][4];
  const std::uint32_t keys_at = keys + lane_of_eight(F::kPitch);
#pragma unroll
  for (int n = 0; n < kCount; ++n) {
    float start[4];
    start_logits(start, biases, kFirst + n);
    multiply<F::kMarked>(logits[n], start, query, keys_at + (kFirst + n) * 8 * F::kPitch);
  }
  float offset[2];
#pragma unroll
  for (int i = 0; i < 2; ++i) {
    float most = state.most[i];
#pragma unroll
    for (int n = 0; n < kCount; ++n) {
      most = fmaxf(most, fmaxf(logits[n][2 * i], logits[n][2 * i + 1]));
    }
    most = fmaxf(most, __shfl_xor_sync(0xffffffffU, most, 1));
    most = fmaxf(most, __shfl_xor_sync(0xffffffffU, most, 2));
    if (kFirst > 0) {
      const float shrink = exp2_fast((state.most[i] - most) * factor);
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        state.ones[2 * i + half] *= shrink;
#pragma unroll
        for (int unit = 0; unit < F::kUnits; ++unit) {
          state.sums[unit][2 * i + half] *= shrink;
        }
      }
    }
    state.most[i] = most;
    offset[i] = -most * factor;
  }
  constexpr std::uint32_t kOnes = 0x3f803f80U;
  const auto weights = [&](int n, int i) {
    return pack_bf16(exp2_fast(fmaf(logits[n][2 * i], factor, offset[i])),
                     exp2_fast(fmaf(logits[n][2 * i + 1], factor, offset[i])));
  };
  const std::uint32_t values_at = values + lane_of_sixteen(F::kPitch);
#pragma unroll
  for (int n = 0; n + 2 <= kCount; n += 2) {
    const std::uint32_t a[4] = {weights(n, 0), weights(n, 1), weights(n + 1, 0), weights(n + 1, 1)};
    add_sixteen<F::kUnits>(state.sums, a, values_at + (kFirst + n) * 8 * F::kPitch);
    conv::mma_k16(state.ones, a, kOnes, kOnes);
  }
  if constexpr (kCount % 2 == 1) {
    const std::uint32_t a[2] = {weights(kCount - 1, 0), weights(kCount - 1, 1)};
    add_eight<F::kUnits>(state.sums, a, values + lane_of_eight(F::kPitch) + (kFirst + kCount - 1) * 8 * F::kPitch);
    conv::mma_k8(state.ones, a[0], a[1], kOnes);
  }
}

template <class F, int kFirst>
__device__ __forceinline__ void attend_from(Softmax<F>& state, const std::uint32_t (&query)[F::kMarked][2],
                                            QueryRows& biases, std::uint32_t keys, std::uint32_t values) {
  constexpr int kCount = F::kTilesAtOnce < kTiles - kFirst ? F::kTilesAtOnce : kTiles - kFirst;
  attend<F, kFirst, kCount>(state, query, biases, keys, values);
  if constexpr (kFirst + kCount < kTiles) {
    fence();
    attend_from<F, kFirst + kCount>(state, query, biases, keys, values);
  }
}

template <class F>
__global__ void __launch_bounds__(kThreads, F::kForwardBlocks) forward(const Call call) {
  extern __shared__ __align__(16) std::uint8_t block_memory[];
  std::uint8_t* const keys = block_memory;
  std::uint8_t* const values = keys + F::kColumnsBytes;
  auto* const table = reinterpret_cast<float*>(block_memory + F::kTileBytes);
  auto* const columns = reinterpret_cast<int*>(table + kRows);
  auto& rows = *reinterpret_cast<RowList*>(columns + kColumns);
  list_tokens<F>(call, rows, columns, keys);
  __syncthreads();
  copy_columns<F>(source_of<F>(call.qkv, call, rows, 3, 1), source_of<F>(call.qkv, call, rows, 3, 2), columns,
                  conv::shared_address(keys));
  copy_table(call, root_of_size<F>(), table);
  conv::wait_copies<0>();
  __syncthreads();

#pragma unroll 1
  for (int tile = static_cast<int>(blockIdx.x) * kWarps + static_cast<int>(threadIdx.x) / 32; tile < kRowTiles;
       tile += kWarps * call.parts) {
    std::uint32_t query[F::kMarked][2];
    load_rows<F>(source_of<F>(call.qkv, call, rows, 3, 0), rows, tile, query);
    mark_rows<F>(rows, tile, query);
    QueryRows biases(table, tile);
    Softmax<F> state;
    attend_from<F, 0>(state, query, biases, conv::shared_address(keys), conv::shared_address(values));
    store_rows<F>(source_of<F>(call.to, call, rows, 1, 0), rows, tile, state.sums, 1.0F / state.ones[0],
                  1.0F / state.ones[2]);
    if (call.kept != nullptr && (conv::thread_again() & 3) == 0) {
      float* kept = kept_of(call);
#pragma unroll
      for (int i = 0; i < 2; ++i) {
        const int row = first_row(tile) + i * 8;
        if (row < kTokens) {
          kept[row] = state.most[i] * (kLog2E / root_of_size<F>()) + log2f(state.ones[2 * i]);
        }
      }
    }
  }
}

template <int kHeadSize>
void launch_forward(const Call& call, Stream stream) {
  using F = Form<kHeadSize>;
  REGATTA_CUDA(cudaFuncSetAttribute(forward<F>, cudaFuncAttributeMaxDynamicSharedMemorySize, F::kForwardShared));
  forward<F><<<dim3(call.parts, call.heads, call.windows), kThreads, F::kForwardShared, stream>>>(call);
  check_launch("window_attention forward");
}

}  // namespace regatta::kernels::attention
