// Backward, blocks with queries as rows and keys as columns: dQ and the table's gradient.
#pragma once

#include "kernels/window_attention/backward_rows.cuh"

namespace regatta::kernels::attention {

/// Fixed point for the table's gradient: rounding by adding a large number, whose mantissa then has the integer.
constexpr float kRounder = 12582912.0F;  // 1.5 * 2^23
constexpr int kRounderBits = 0x4b400000;
constexpr float kMostFixed = 2097152.0F * 0.9F;  // 2^21: |dS| is at most twice the bound of dP, with room for rounding

/// The largest of the block's values, none below 0, at `most`, which is 0 before.
__device__ __forceinline__ void note_largest(float value, unsigned* most) {
  unsigned bits = __float_as_uint(value);
#pragma unroll
  for (int step = 16; step > 0; step /= 2) {
    bits = max(bits, __shfl_xor_sync(0xffffffffU, bits, step));
  }
  if ((threadIdx.x & 31) == 0) {
    atomicMax(most, bits);
  }
}

/// dS of a tile, and its share of the table's gradient, whose sums lie behind the table.
template <class F>
struct QueryTile {
  std::uint32_t to_logits[2];  // of the two rows

  __device__ __forceinline__ QueryTile(int tile, const std::uint32_t (&query)[F::kMarked][2],
                                       const std::uint32_t (&gradient)[F::kUnits][2], QueryRows& biases,
                                       const float (&kept)[2], const float (&mean)[2], float fixed,
                                       std::uint32_t keys_at) {
    const float factor = kLog2E / root_of_size<F>();
    float logits[4];
    std::uint32_t addresses[4];
    float start[4];
    start_logits(start, biases, tile, [&](int i, std::uint32_t address) { addresses[i] = address; });
    multiply<F::kMarked>(logits, start, query, keys_at + tile * 8 * F::kPitch);
    float to_weights[4];
    const float less_mean[4] = {-mean[0], -mean[0], -mean[1], -mean[1]};
    multiply<F::kUnits>(to_weights, less_mean, gradient, keys_at + F::kColumnsBytes + tile * 8 * F::kPitch);
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const float weight = exp2_fast(fmaf(logits[i], factor, -kept[i / 2]));
      to_weights[i] *= weight;
      const int rounded = __float_as_int(fmaf(to_weights[i], fixed, kRounder)) - kRounderBits;
      add_shared(addresses[i] + F::kTableBytes, rounded);
    }
    to_logits[0] = pack_bf16(to_weights[0], to_weights[1]);
    to_logits[1] = pack_bf16(to_weights[2], to_weights[3]);
  }
};

template <class F>
__device__ __forceinline__ void query_gradients(const Call& call, int part, const RowList& rows, const float* table,
                                                float fixed, std::uint32_t keys) {
#pragma unroll 1
  for (int tile = part * kWarps + static_cast<int>(threadIdx.x) / 32; tile < kRowTiles; tile += kWarps * call.parts) {
    std::uint32_t query[F::kMarked][2];
    std::uint32_t gradient[F::kUnits][2];
    float mean[2] = {};
    float kept[2];
    load_rows<F>(source_of<F>(call.out, call, rows, 1, 0), rows, tile, query);
    load_rows<F>(source_of<F>(call.to_out, call, rows, 1, 0), rows, tile, gradient);
#pragma unroll
    for (int i = 0; i < 2; ++i) {
#pragma unroll
      for (int unit = 0; unit < F::kUnits; ++unit) {
        mean[i] += dot_pair(query[unit][i], gradient[unit][i]);
      }
      mean[i] += __shfl_xor_sync(0xffffffffU, mean[i], 1);
      mean[i] += __shfl_xor_sync(0xffffffffU, mean[i], 2);
      kept[i] = kept_of(call)[min(first_row(tile) + i * 8, kTokens - 1)];
    }
    load_rows<F>(source_of<F>(call.qkv, call, rows, 3, 0), rows, tile, query);
    mark_rows<F>(rows, tile, query);
    QueryRows biases(table, tile);
    const std::uint32_t keys_at = keys + lane_of_eight(F::kPitch);
    const std::uint32_t weighted_at = keys + lane_of_sixteen(F::kPitch);
    float sums[F::kUnits][4] = {};
    const auto to_logits = [&](int n) { return QueryTile<F>(n, query, gradient, biases, kept, mean, fixed, keys_at); };
#pragma unroll
    for (int n = 0; n + 2 <= kTiles; n += 2) {
      if constexpr (F::kFenced) {
        fence();
      } else {
        __syncwarp();
      }
      const QueryTile<F> left = to_logits(n);
      const QueryTile<F> right = to_logits(n + 1);
      const std::uint32_t a[4] = {left.to_logits[0], left.to_logits[1], right.to_logits[0], right.to_logits[1]};
      add_sixteen<F::kUnits>(sums, a, weighted_at + n * 8 * F::kPitch);
    }
    const QueryTile<F> last = to_logits(kTiles - 1);
    add_eight<F::kUnits>(sums, last.to_logits, keys_at + (kTiles - 1) * 8 * F::kPitch);
    const float scale = 1.0F / root_of_size<F>();
    store_rows<F>(source_of<F>(call.to, call, rows, 3, 0), rows, tile, sums, scale, scale);
  }
}

template <class F>
__device__ __forceinline__ void query_block(const Call& call, int part, std::uint8_t* memory) {
  std::uint8_t* const keys = memory;
  std::uint8_t* const values = keys + F::kColumnsBytes;
  auto* const table = reinterpret_cast<float*>(memory + F::kTileBytes);
  auto* const bins = reinterpret_cast<int*>(table + kRows);
  auto& rows = *reinterpret_cast<RowList*>(bins + kRows);
  auto* const most = reinterpret_cast<unsigned*>(&rows + 1);  // of |v|^2, of |dO|^2
  int* const columns = bins;                                  // until the copies are done
  const auto thread = static_cast<int>(threadIdx.x);
  list_tokens<F>(call, rows, columns, keys);
  if (thread < 2) {
    most[thread] = 0;
  }
  __syncthreads();
  copy_columns<F>(source_of<F>(call.qkv, call, rows, 3, 1), source_of<F>(call.qkv, call, rows, 3, 2), columns,
                  conv::shared_address(keys));
  copy_table(call, root_of_size<F>(), table);
  const int token = rows.tokens[thread];
  const Source gradient = source_of<F>(call.to_out, call, rows, 1, 0);
  const std::uint8_t* row = gradient.at(max(token, 0), 0);
  note_largest(token < 0 ? 0.0F : dot_row<F>(row, row), most + 1);
  conv::wait_copies<0>();
  __syncthreads();
  row = values + min(thread, kColumns - 1) * F::kPitch;
  note_largest(dot_row<F>(row, row), most);
  for (int i = thread; i < kRows; i += kThreads) {
    bins[i] = 0;
  }
  __syncthreads();
  const float bound = sqrtf(__uint_as_float(most[0])) * sqrtf(__uint_as_float(most[1]));
  const float fixed = bound == 0.0F ? 1.0F : kMostFixed / bound;
  query_gradients<F>(call, part, rows, table, fixed, conv::shared_address(keys));
  if (call.partial == nullptr) {
    return;
  }
  __syncthreads();
  const long long share = (static_cast<long long>(block_head()) * call.windows + block_window()) * call.parts + part;
  const float unit = sqrtf(__uint_as_float(most[0])) * sqrtf(__uint_as_float(most[1])) / kMostFixed;
  for (int i = thread; i < kRows; i += kThreads) {
    call.partial[share * kRows + i] = static_cast<float>(bins[i]) * unit;
  }
}

}  // namespace regatta::kernels::attention
