// Products of 16 rows in registers and columns in shared memory, and where their logits start: the table's biases.
#pragma once

#include <cstdint>

#include "kernels/window_attention/block.cuh"

namespace regatta::kernels::attention {

constexpr float kNone = -1e30F;  // logit of a column without a token
constexpr float kLog2E = 1.44269504F;

__device__ __forceinline__ std::uint32_t load_matrix(std::uint32_t address) {
  std::uint32_t r;
  asm volatile("ldmatrix.sync.aligned.m8n8.x1.shared.b16 {%0},[%1];" : "=r"(r) : "r"(address));
  return r;
}

__device__ __forceinline__ std::uint32_t load_matrix_transposed(std::uint32_t address) {
  std::uint32_t r;
  asm volatile("ldmatrix.sync.aligned.m8n8.x1.trans.shared.b16 {%0},[%1];" : "=r"(r) : "r"(address));
  return r;
}

__device__ __forceinline__ void load_matrices(std::uint32_t (&r)[2], std::uint32_t address) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x2.shared.b16 {%0,%1},[%2];" : "=r"(r[0]), "=r"(r[1]) : "r"(address));
}

/// Keeps the compiler from filling registers with what is loaded for later steps.
__device__ __forceinline__ void fence() {
  asm volatile("fence.acq_rel.cta;" ::: "memory");
}

__device__ __forceinline__ float exp2_fast(float x) {
  float r;
  asm("ex2.approx.ftz.f32 %0,%1;" : "=f"(r) : "f"(x));
  return r;
}

/// Where a lane's row of the matrices lies: 8 columns by 4 units, or 16 columns by 2 units.
__device__ __forceinline__ std::uint32_t lane_of_eight(int pitch) {
  const int lane = conv::thread_again() & 31;
  return (lane & 7) * pitch + (lane >> 3) * 16;
}
__device__ __forceinline__ std::uint32_t lane_of_sixteen(int pitch) {
  const int lane = conv::thread_again() & 31;
  return (lane & 15) * pitch + (lane >> 4) * 16;
}

/// sums[16x8] = start + a[16x16] b[16x8], bf16 in, fp32 sums.
__device__ __forceinline__ void mma_k16_from(float (&sums)[4], const float (&start)[4], const std::uint32_t (&a)[4],
                                             std::uint32_t b0, std::uint32_t b1) {
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3},{%4,%5,%6,%7},{%8,%9},{%10,%11,%12,%13};"
      : "=f"(sums[0]), "=f"(sums[1]), "=f"(sums[2]), "=f"(sums[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1), "f"(start[0]), "f"(start[1]), "f"(start[2]),
        "f"(start[3]));
}

/// Right operands of kUnits units of 8 columns. @param address  the tile's, with lane_of_eight
template <int kUnits>
__device__ __forceinline__ void load_columns(std::uint32_t (&columns)[kUnits], std::uint32_t address) {
#pragma unroll
  for (int unit = 0; unit + 4 <= kUnits; unit += 4) {
    std::uint32_t four[4];
    conv::load_matrices(four, address + unit * 16);
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      columns[unit + i] = four[i];
    }
  }
  if constexpr (kUnits % 4 >= 2) {
    std::uint32_t two[2];
    load_matrices(two, address + kUnits / 4 * 64);
    columns[kUnits / 4 * 4] = two[0];
    columns[kUnits / 4 * 4 + 1] = two[1];
  }
  if constexpr (kUnits % 2 == 1) {
    columns[kUnits - 1] = load_matrix(address + (kUnits - 1) * 16);
  }
}

/// sums[16 rows x 8 columns] = start + rows . columns over kUnits units.
template <int kUnits>
__device__ __forceinline__ void multiply(float (&sums)[4], const float (&start)[4],
                                         const std::uint32_t (&rows)[kUnits][2],
                                         const std::uint32_t (&columns)[kUnits]) {
  static_assert(kUnits >= 2);
#pragma unroll
  for (int unit = 0; unit + 2 <= kUnits; unit += 2) {
    const std::uint32_t a[4] = {rows[unit][0], rows[unit][1], rows[unit + 1][0], rows[unit + 1][1]};
    if (unit == 0) {
      mma_k16_from(sums, start, a, columns[0], columns[1]);
    } else {
      conv::mma_k16(sums, a, columns[unit], columns[unit + 1]);
    }
  }
  if constexpr (kUnits % 2 == 1) {
    conv::mma_k8(sums, rows[kUnits - 1][0], rows[kUnits - 1][1], columns[kUnits - 1]);
  }
}

/// Likewise with columns in shared memory. @param address  the tile's, with lane_of_eight
template <int kUnits>
__device__ __forceinline__ void multiply(float (&sums)[4], const float (&start)[4],
                                         const std::uint32_t (&rows)[kUnits][2], std::uint32_t address) {
  std::uint32_t columns[kUnits];
  load_columns<kUnits>(columns, address);
  multiply<kUnits>(sums, start, rows, columns);
}

/// sums[16 rows x channels] += weights[16 rows x 16 columns] . columns[16 x channels]. @param address  of the first
/// column, with lane_of_sixteen
template <int kUnits>
__device__ __forceinline__ void add_sixteen(float (&sums)[kUnits][4], const std::uint32_t (&weights)[4],
                                            std::uint32_t address) {
#pragma unroll
  for (int unit = 0; unit + 2 <= kUnits; unit += 2) {
    std::uint32_t four[4];
    conv::load_matrices_transposed(four, address + unit * 16);
    conv::mma_k16(sums[unit], weights, four[0], four[1]);
    conv::mma_k16(sums[unit + 1], weights, four[2], four[3]);
  }
  if constexpr (kUnits % 2 == 1) {
    std::uint32_t two[2];
    conv::load_matrices_transposed(two, address + (kUnits - 1) * 16);
    conv::mma_k16(sums[kUnits - 1], weights, two[0], two[1]);
  }
}

/// Likewise of 8 columns. @param address  with lane_of_eight
template <int kUnits>
__device__ __forceinline__ void add_eight(float (&sums)[kUnits][4], const std::uint32_t (&weights)[2],
                                          std::uint32_t address) {
#pragma unroll
  for (int unit = 0; unit < kUnits; unit += 4) {
    if (unit + 4 <= kUnits) {
      std::uint32_t four[4];
      conv::load_matrices_transposed(four, address + unit * 16);
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        conv::mma_k8(sums[unit + i], weights[0], weights[1], four[i]);
      }
    } else {
#pragma unroll
      for (int i = unit; i < kUnits; ++i) {
        conv::mma_k8(sums[i], weights[0], weights[1], load_matrix_transposed(address + i * 16));
      }
    }
  }
}

/// Addresses in the table of a thread's two rows, from which the columns of the present kind lie at fixed distances.
/// Columns are visited in order. kSign -1: rows are queries, columns keys; 1: the other way.
template <int kSign>
struct TableRows {
  std::uint32_t at[2];

  __device__ __forceinline__ TableRows(const float* table, int tile) {
    const int quad = conv::thread_again() & 3;
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      const int row = attention::flat(place_of_row(min(first_row(tile) + i * 8, kTokens - 1)));
      at[i] = conv::shared_address(table) + 4 * (kMiddle + kSign * (attention::flat(step_of(kLine, quad)) - row));
    }
  }

  /// Before the first column of another kind.
  __device__ __forceinline__ void go_to(int group) {
    if (group > 0 && kind_of(group) != kind_of(group - 1)) {
      const int quad = conv::thread_again() & 3;
      const int step =
          attention::flat(step_of(kind_of(group), quad)) - attention::flat(step_of(kind_of(group - 1), quad));
      at[0] += kSign * 4 * step;
      at[1] += kSign * 4 * step;
    }
  }

  __device__ __forceinline__ std::uint32_t address(int row, int group) const {
    return at[row] + kSign * 4 * attention::flat(first_place(group));
  }
};
using QueryRows = TableRows<-1>;
using KeyRows = TableRows<1>;

/// Biases where the logits' sums start; kNone where a column has no token. @param use  gets (i, address) for each
template <class Rows, class Use>
__device__ __forceinline__ void start_logits(float (&sums)[4], Rows& rows, int tile, const Use& use) {
#pragma unroll
  for (int parity = 0; parity < 2; ++parity) {
    const int group = 2 * tile + parity;
    rows.go_to(group);
#pragma unroll
    for (int row = 0; row < 2; ++row) {
      const std::uint32_t address = rows.address(row, group);
      use(row * 2 + parity, address);
      const float bias = __uint_as_float(conv::load_shared(address));
      sums[row * 2 + parity] = kind_of(group) == kHalf && (threadIdx.x & 3) >= 2 ? kNone : bias;
    }
  }
}

template <class Rows>
__device__ __forceinline__ void start_logits(float (&sums)[4], Rows& rows, int tile) {
  start_logits(sums, rows, tile, [](int, std::uint32_t) {});
}

/// Adds to an integer in shared memory.
__device__ __forceinline__ void add_shared(std::uint32_t address, int value) {
  asm volatile("red.shared.add.s32 [%0],%1;" ::"r"(address), "r"(value) : "memory");
}

}  // namespace regatta::kernels::attention
