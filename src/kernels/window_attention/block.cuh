// What forward and backward share: which window a block has, its columns in shared memory, products of rows and
// columns.
#pragma once

#include <cstdint>

#include "kernels/bf16.cuh"
#include "kernels/conv/ptx.cuh"
#include "kernels/window_attention/form.hpp"

namespace regatta::kernels::attention {

constexpr float kOtherRegion = 100.0F;

template <class F>
__device__ __forceinline__ float root_of_size() {
  return sqrtf(static_cast<float>(F::kHeadSize));
}

// What the block works on: grid (parts and kinds of blocks, heads, windows). Read again wherever it is used, so that
// nothing of it stays in registers.
__device__ __forceinline__ int block_head() {
  int head;
  asm volatile("mov.u32 %0, %%ctaid.y;" : "=r"(head));
  return head;
}
__device__ __forceinline__ int block_window() {
  int window;
  asm volatile("mov.u32 %0, %%ctaid.z;" : "=r"(window));
  return window;
}

/// @param number  below 2^16
__device__ __forceinline__ unsigned divide(unsigned number, const Divider& by) {
  return by.factor == 0 ? number : __umulhi(number, by.factor);
}

/// A token: its number within [n, d, h, w], -1 for padding, and the region of which it was before the roll, 0 to 7.
struct Token {
  int number;
  int region;
};

/// Where in the rolled and padded grid the block's window lies.
struct Window {
  int sample;
  int first[3];
  bool last[3];

  __device__ explicit Window(const Call& call) {
    const auto number = static_cast<unsigned>(block_window());
    const unsigned row = divide(number, call.across);
    const unsigned plane = divide(row, call.down);
    const unsigned volume = divide(plane, call.deep);
    const unsigned x = number - row * call.across.divisor;
    const unsigned y = row - plane * call.down.divisor;
    const unsigned z = plane - volume * call.deep.divisor;
    sample = static_cast<int>(volume);
    first[0] = static_cast<int>(z * kDepth);
    first[1] = static_cast<int>(y * kHeight);
    first[2] = static_cast<int>(x * kWidth);
    last[0] = z == call.deep.divisor - 1;
    last[1] = y == call.down.divisor - 1;
    last[2] = x == call.across.divisor - 1;
  }

  __device__ Token token(const Call& call, const Place& place) const {
    int z = first[0] + place.a;
    int y = first[1] + place.b;
    int x = first[2] + place.c;
    int region = 0;
    if (call.rolled) {
      z += kDepth / 2;
      y += kHeight / 2;
      x += kWidth / 2;
      if (last[0] && place.a >= kDepth - kDepth / 2) {
        region |= 1;
        z -= first[0] + kDepth;  // the padded size
      }
      if (last[1] && place.b >= kHeight - kHeight / 2) {
        region |= 2;
        y -= first[1] + kHeight;
      }
      if (last[2] && place.c >= kWidth - kWidth / 2) {
        region |= 4;
        x -= first[2] + kWidth;
      }
    }
    const bool inside = z < call.d && y < call.h && x < call.w;
    return {inside ? ((sample * call.d + z) * call.h + y) * call.w + x : -1, region};
  }
};

/// What the warps read again for each of their tiles, from shared memory: it need not stay in registers.
struct RowList {
  int tokens[kRowTiles * 16];  // of the window
  std::uint8_t regions[kRowTiles * 16];
  unsigned head_bytes;  // before the block's head in the values of a token
  unsigned unused[3];
};
static_assert(sizeof(RowList) == kRowBytes && kRowTiles * 16 == kThreads);

/// One of the tensors that a token and a head have c consecutive values of.
struct Source {
  std::uint8_t* values;  // of token 0
  unsigned pitch;        // bytes from token to token

  __device__ __forceinline__ std::uint8_t* at(int token, unsigned byte) const {
    return values + (static_cast<std::uint64_t>(static_cast<unsigned>(token)) * pitch + byte);
  }
};

template <class F>
__device__ __forceinline__ Source source_of(const void* tensor, const Call& call, const RowList& rows, int parts,
                                            int part) {
  const unsigned width = static_cast<unsigned>(call.heads) * (F::kHeadSize * 2U);
  auto* const bytes = static_cast<std::uint8_t*>(const_cast<void*>(tensor));
  return {bytes + part * width + const_cast<const volatile RowList&>(rows).head_bytes, parts * width};
}

/// Lists the tokens as rows and as columns, -1 for none, and marks the columns' regions in the last unit of their rows
/// at `marked`.
template <class F>
__device__ __forceinline__ void list_tokens(const Call& call, RowList& rows, int* columns, std::uint8_t* marked) {
  const Window window(call);
  const auto thread = static_cast<int>(threadIdx.x);
  if (thread == 0) {
    rows.head_bytes = static_cast<unsigned>(block_head()) * (F::kHeadSize * 2U);
  }
  const Token row = window.token(call, place_of_row(min(thread, kTokens - 1)));
  rows.tokens[thread] = thread < kTokens ? row.number : -1;
  rows.regions[thread] = static_cast<std::uint8_t>(row.region);
  if (thread >= kColumns) {
    return;
  }
  const Token column = window.token(call, place_of_column(thread));
  columns[thread] = has_token(kind_of(column_group(thread)), column_quarter(thread)) ? column.number : -1;
  std::uint32_t words[4];
#pragma unroll
  for (int word = 0; word < 4; ++word) {
    words[word] = column.region >> 1 == word ? ((column.region & 1) != 0 ? 0x3f800000U : 0x3f80U) : 0U;
  }
  *reinterpret_cast<uint4*>(marked + thread * F::kPitch + F::kUnits * 16) =
      make_uint4(words[0], words[1], words[2], words[3]);
}

/// Queues the copies of all columns of two tensors, zeros for those without a token.
template <class F>
__device__ __forceinline__ void copy_columns(const Source& first, const Source& second, const int* tokens,
                                             std::uint32_t shared) {
  constexpr int kBytes = F::kHeadSize % 8 == 0 ? 16 : 8;
  constexpr int kChunks = F::kUnits * 16 / kBytes;
  constexpr int kReal = F::kHeadSize * 2 / kBytes;
#pragma unroll 2
  for (int i = static_cast<int>(threadIdx.x); i < kColumns * kChunks; i += kThreads) {
    const int column = i / kChunks;
    const int chunk = i % kChunks;
    const int token = tokens[column];
    const bool real = token >= 0 && chunk < kReal;
    const int from = real ? token : 0;
    const unsigned byte = real ? chunk * kBytes : 0;
    const std::uint32_t to = shared + column * F::kPitch + chunk * kBytes;
    conv::copy_async<kBytes>(to, first.at(from, byte), real ? kBytes : 0);
    conv::copy_async<kBytes>(to + F::kColumnsBytes, second.at(from, byte), real ? kBytes : 0);
  }
  conv::commit_copies();
}

/// The table's column of the block's head, times `factor`; zeros without a table.
__device__ __forceinline__ void copy_table(const Call& call, float factor, float* table) {
  const int head = block_head();
#pragma unroll 2
  for (int i = static_cast<int>(threadIdx.x); i < kRows; i += kThreads) {
    table[i] = call.table == nullptr ? 0.0F : call.table[static_cast<long long>(i) * call.heads + head] * factor;
  }
}

/// Logarithms of the sums of the block's rows.
__device__ __forceinline__ float* kept_of(const Call& call) {
  return call.kept + (static_cast<long long>(block_window()) * call.heads + block_head()) * kTokens;
}

/// The first of the two rows of a thread in a tile of 16; the other one is 8 rows below.
__device__ __forceinline__ int first_row(int tile) {
  return tile * 16 + (conv::thread_again() & 31) / 4;
}

/// Left operand of the products: two words of each unit of 8 channels, of one row each. Zeros without a token.
template <class F>
__device__ __forceinline__ void load_rows(const Source& source, const RowList& rows, int tile,
                                          std::uint32_t (*words)[2]) {
  const auto quad = static_cast<unsigned>(conv::thread_again()) & 3;
#pragma unroll
  for (int i = 0; i < 2; ++i) {
    const int token = rows.tokens[first_row(tile) + i * 8];
    const std::uint8_t* from = source.at(max(token, 0), quad * 4);
#pragma unroll
    for (int unit = 0; unit < F::kUnits; ++unit) {
      const bool real = token >= 0 && unit * 8 + quad * 2 < F::kHeadSize;
      words[unit][i] = real ? *reinterpret_cast<const std::uint32_t*>(from + unit * 16) : 0U;
    }
  }
}

/// The unit behind the channels: times that of a column of the same region, it gives the same logit to all of them.
template <class F>
__device__ __forceinline__ void mark_rows(const RowList& rows, int tile, std::uint32_t (*words)[2]) {
  const int quad = conv::thread_again() & 3;
  const std::uint32_t mark = round_bf16(kOtherRegion * root_of_size<F>()).bits;
#pragma unroll
  for (int i = 0; i < 2; ++i) {
    const int region = rows.regions[first_row(tile) + i * 8];
    words[F::kUnits][i] = region >> 1 == quad ? mark << (region & 1) * 16 : 0U;
  }
}

template <class F>
__device__ __forceinline__ void store_rows(const Source& to, const RowList& rows, int tile,
                                           const float (&sums)[F::kUnits][4], float factor0, float factor1) {
  const auto quad = static_cast<unsigned>(conv::thread_again()) & 3;
#pragma unroll
  for (int i = 0; i < 2; ++i) {
    const int token = rows.tokens[first_row(tile) + i * 8];
    if (token < 0) {
      continue;
    }
    const float factor = i == 0 ? factor0 : factor1;
    std::uint8_t* at = to.at(token, quad * 4);
#pragma unroll
    for (int unit = 0; unit < F::kUnits; ++unit) {
      if (unit * 8 + quad * 2 < F::kHeadSize) {
        *reinterpret_cast<std::uint32_t*>(at + unit * 16) =
            pack_bf16(sums[unit][2 * i] * factor, sums[unit][2 * i + 1] * factor);
      }
    }
  }
}

}  // namespace regatta::kernels::attention
