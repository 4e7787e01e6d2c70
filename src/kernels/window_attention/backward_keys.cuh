// Backward, blocks with keys as rows and queries as columns: dK and dV.
#pragma once

#include "kernels/window_attention/backward_rows.cuh"

namespace regatta::kernels::attention {

/// P' and dS' of a tile.
template <class F>
struct KeyTile {
  std::uint32_t weights[2];
  std::uint32_t to_logits[2];

  __device__ __forceinline__ KeyTile(int tile, const std::uint32_t (&key)[F::kMarked][2],
                                     const std::uint32_t (&value)[F::kUnits][2], KeyRows& biases,
                                     std::uint32_t queries_at, std::uint32_t statistics) {
    const float factor = kLog2E / root_of_size<F>();
    float logits[4];
    float start[4];
    start_logits(start, biases, tile);
    multiply<F::kMarked>(logits, start, key, queries_at + tile * 8 * F::kPitch);
    std::uint32_t of[4];  // logarithm of the sum and mean, negative, of two columns
    conv::load_shared(of, statistics + tile * 64);
    const float less_sum[2] = {__uint_as_float(of[0]), __uint_as_float(of[2])};
    const float less_mean[4] = {__uint_as_float(of[1]), __uint_as_float(of[3]), __uint_as_float(of[1]),
                                __uint_as_float(of[3])};
    float to_weights[4];
    multiply<F::kUnits>(to_weights, less_mean, value, queries_at + F::kColumnsBytes + tile * 8 * F::kPitch);
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      logits[i] = exp2_fast(fmaf(logits[i], factor, less_sum[i % 2]));
      to_weights[i] *= logits[i];
    }
#pragma unroll
    for (int row = 0; row < 2; ++row) {
      weights[row] = pack_bf16(logits[2 * row], logits[2 * row + 1]);
      to_logits[row] = pack_bf16(to_weights[2 * row], to_weights[2 * row + 1]);
    }
  }
};

template <class F>
__device__ __forceinline__ void key_gradients(const Call& call, int part, const RowList& rows, const float* table,
                                              std::uint32_t statistics, std::uint32_t queries) {
#pragma unroll 1
  for (int tile = part * kWarps + static_cast<int>(threadIdx.x) / 32; tile < kRowTiles; tile += kWarps * call.parts) {
    std::uint32_t key[F::kMarked][2];
    std::uint32_t value[F::kUnits][2];
    load_rows<F>(source_of<F>(call.qkv, call, rows, 3, 1), rows, tile, key);
    load_rows<F>(source_of<F>(call.qkv, call, rows, 3, 2), rows, tile, value);
    mark_rows<F>(rows, tile, key);
    KeyRows biases(table, tile);
    const std::uint32_t queries_at = queries + lane_of_eight(F::kPitch);
    const std::uint32_t weighted_at = queries + lane_of_sixteen(F::kPitch);
    const std::uint32_t statistics_at = statistics + (conv::thread_again() & 3) * 16;
    float to_key[F::kUnits][4] = {};
    float to_value[F::kUnits][4] = {};
    const auto make = [&](int n) { return KeyTile<F>(n, key, value, biases, queries_at, statistics_at); };
#pragma unroll
    for (int n = 0; n + 2 <= kTiles; n += 2) {
      if constexpr (F::kFenced) {
        fence();
      } else {
        __syncwarp();
      }
      const KeyTile<F> left = make(n);
      const KeyTile<F> right = make(n + 1);
      const std::uint32_t p[4] = {left.weights[0], left.weights[1], right.weights[0], right.weights[1]};
      add_sixteen<F::kUnits>(to_value, p, weighted_at + F::kColumnsBytes + n * 8 * F::kPitch);
      const std::uint32_t s[4] = {left.to_logits[0], left.to_logits[1], right.to_logits[0], right.to_logits[1]};
      add_sixteen<F::kUnits>(to_key, s, weighted_at + n * 8 * F::kPitch);
    }
    const KeyTile<F> last = make(kTiles - 1);
    add_eight<F::kUnits>(to_value, last.weights, queries_at + F::kColumnsBytes + (kTiles - 1) * 8 * F::kPitch);
    add_eight<F::kUnits>(to_key, last.to_logits, queries_at + (kTiles - 1) * 8 * F::kPitch);
    const float scale = 1.0F / root_of_size<F>();
    store_rows<F>(source_of<F>(call.to, call, rows, 3, 1), rows, tile, to_key, scale, scale);
    store_rows<F>(source_of<F>(call.to, call, rows, 3, 2), rows, tile, to_value, 1.0F, 1.0F);
  }
}

template <class F>
__device__ __forceinline__ void key_block(const Call& call, int part, std::uint8_t* memory) {
  std::uint8_t* const queries = memory;
  std::uint8_t* const gradients = queries + F::kColumnsBytes;
  auto* const statistics = reinterpret_cast<float2*>(memory + F::kTileBytes);
  auto* const table = reinterpret_cast<float*>(statistics + kColumns);
  auto* const columns = reinterpret_cast<int*>(table + kRows);
  auto& rows = *reinterpret_cast<RowList*>(columns + kColumns);
  const auto thread = static_cast<int>(threadIdx.x);
  list_tokens<F>(call, rows, columns, queries);
  __syncthreads();
  copy_columns<F>(source_of<F>(call.qkv, call, rows, 3, 0), source_of<F>(call.to_out, call, rows, 1, 0), columns,
                  conv::shared_address(queries));
  copy_table(call, root_of_size<F>(), table);
  if (thread < kColumns) {
    const Place place = place_of_column(thread);
    const int token = columns[thread];
    const Source out = source_of<F>(call.out, call, rows, 1, 0);
    const Source to_out = source_of<F>(call.to_out, call, rows, 1, 0);
    const float mean = token < 0 ? 0.0F : dot_row<F>(out.at(token, 0), to_out.at(token, 0));
    statistics[thread] = make_float2(-kept_of(call)[number_of(place)], -mean);
  }
  conv::wait_copies<0>();
  __syncthreads();
  key_gradients<F>(call, part, rows, table, conv::shared_address(statistics), conv::shared_address(queries));
}

}  // namespace regatta::kernels::attention
