// Convolution 3x3x3 or 5x5x5 of stride 1, forward and data gradient, by mma.sync.
//
// A block owns a column of the volume and marches along z. A step holds one plane of each input in shared memory, with
// its halo in x and y, and adds all 27 (125) taps of it to the sums of three (five) output planes, which live in
// registers; then the oldest of them is complete, is finished and stored. So each input voxel is loaded once per
// column. The data gradient is the same kernel with mirrored, transposed weights.
//
// The large kernels may add their input to the result. That is a product with ones or zeros at the centre, exact in the
// fp32 sums: in the bf16 weights a one would cost the small values beside it.
#pragma once

#include <cuda_runtime.h>

#include <cstddef>

#include "kernels/conv/calls.hpp"
#include "kernels/conv/epilogue.cuh"
#include "kernels/conv/loader.cuh"
#include "kernels/conv/march.hpp"
#include "kernels/launch.cuh"

namespace regatta::kernels::conv {

template <class F>
using MarchSums = float[F::kEdge][F::kRows][F::kTiles][4];

/// Adds the rows of the centre, times one or zero, to the plane that they lie in.
template <class F, int kIndex>
__device__ __forceinline__ void add_identity(float (&sums)[F::kRows][F::kTiles][4],
                                             const std::uint32_t (&a)[F::kRows + F::kEdge - 1][4],
                                             std::uint32_t weights) {
  std::uint32_t b[F::kTiles * 2];
  load_shared(b, weights + kIndex * F::kTapBytes);
#pragma unroll
  for (int r = 0; r < F::kRows; ++r) {
#pragma unroll
    for (int n = 0; n < F::kTiles; ++n) {
      mma_k16(sums[r][n], a[r + F::kReach], b[2 * n], b[2 * n + 1]);
    }
  }
}

/// Adds the plane in `stage` of a wide input to all output planes; the newest has slot `newest`, whose sums the first
/// input begins.
template <class F, class Tile, int kChannels, int kFirstTap>
__device__ __forceinline__ void add_wide(MarchSums<F>& sums, int newest,
                                         const std::uint32_t (&lane)[Steps<kChannels, F::kEdge>::kShifts],
                                         std::uint32_t stage, std::uint32_t weights) {
  using S = Steps<kChannels, F::kEdge>;
  constexpr int kPlaneTaps = F::kEdge * F::kEdge;
#pragma unroll
  for (int step = 0; step < S::kSixteens; ++step) {
#pragma unroll
    for (int shift = 0; shift < S::kShifts; ++shift) {
      std::uint32_t a[F::kRows + F::kEdge - 1][4];
#pragma unroll
      for (int r = 0; r < F::kRows + F::kEdge - 1; ++r) {
        load_matrices(a[r], (lane[shift] ^ (step * 32)) + stage + r * Tile::kPitch * Tile::kVoxelBytes);
      }
#pragma unroll
      for (int tap = 0; tap < kPlaneTaps; ++tap) {
        const int ky = tap / F::kEdge;
        const int slot = (newest - tap % F::kEdge + F::kEdge) % F::kEdge;
        std::uint32_t b[F::kTiles * 2];
        const int index = kFirstTap + (step * S::kShifts + shift) * kPlaneTaps + tap;
        load_shared(b, weights + index * F::kTapBytes);
#pragma unroll
        for (int r = 0; r < F::kRows; ++r) {
#pragma unroll
          for (int n = 0; n < F::kTiles; ++n) {
            if (index == 0) {
              mma_k16_first(sums[slot][r][n], a[r + ky], b[2 * n], b[2 * n + 1]);
            } else {
              mma_k16(sums[slot][r][n], a[r + ky], b[2 * n], b[2 * n + 1]);
            }
          }
        }
      }
      if constexpr (S::kIdentityTaps > 0) {
        if (shift == S::kCentreShift) {
          constexpr int kIdentity = kFirstTap + S::kTapCount - S::kIdentityTaps;
          float(&centre)[F::kRows][F::kTiles][4] = sums[(newest - F::kReach + F::kEdge) % F::kEdge];
          if (step == 0) {
            add_identity<F, kIdentity>(centre, a, weights);
          } else {
            add_identity<F, kIdentity + 1>(centre, a, weights);
          }
        }
      }
    }
  }
}

/// Of an input of 2 channels: the row and the three neighbours along x that a thread holds are the 8 values of half a
/// step, so that rows ky = 0 and 1 make one.
template <class F>
__device__ __forceinline__ void add_two_channels(MarchSums<F>& sums, int newest, std::uint32_t lane,
                                                 std::uint32_t weights) {
  constexpr int kRowBytes = F::Thin::row_offset(1, 0);
  std::uint32_t a[F::kRows + 2][2];
#pragma unroll
  for (int r = 0; r < F::kRows + 2; ++r) {
    a[r][0] = load_shared(lane + r * kRowBytes);
    a[r][1] = load_shared(lane + r * kRowBytes + F::Thin::row_offset(0, 8));
  }
#pragma unroll
  for (int kz = 0; kz < kTaps; ++kz) {
    const int slot = (newest - kz + kTaps) % kTaps;
    std::uint32_t upper[F::kTiles * 2];
    std::uint32_t lower[F::kTiles * 2];
    load_shared(upper, weights + (F::kThinTaps + kz) * F::kTapBytes);
    load_shared(lower, weights + (F::kThinTaps + kTaps + kz) * F::kTapBytes);
#pragma unroll
    for (int r = 0; r < F::kRows; ++r) {
      const std::uint32_t rows[4] = {a[r][0], a[r][1], a[r + 1][0], a[r + 1][1]};
#pragma unroll
      for (int n = 0; n < F::kTiles; ++n) {
        mma_k16(sums[slot][r][n], rows, upper[2 * n], upper[2 * n + 1]);
        mma_k8(sums[slot][r][n], a[r + 2][0], a[r + 2][1], lower[2 * n]);
      }
    }
  }
}

/// Of an input of 4 channels: four neighbours along x are one step.
template <class F>
__device__ __forceinline__ void add_four_channels(MarchSums<F>& sums, int newest, std::uint32_t lane,
                                                  std::uint32_t weights) {
  std::uint32_t a[F::kRows + 2][4];
#pragma unroll
  for (int r = 0; r < F::kRows + 2; ++r) {
    const std::uint32_t row = lane + r * F::Thin::row_offset(1, 0);
    a[r][0] = load_shared(row);
    a[r][1] = load_shared(row + F::Thin::row_offset(0, 8));
    a[r][2] = load_shared(row + F::Thin::row_offset(0, 2));
    a[r][3] = load_shared(row + F::Thin::row_offset(0, 10));
  }
#pragma unroll
  for (int tap = 0; tap < kTaps * kTaps; ++tap) {
    const int slot = (newest - tap % kTaps + kTaps) % kTaps;
    std::uint32_t b[F::kTiles * 2];
    load_shared(b, weights + (F::kThinTaps + tap) * F::kTapBytes);
#pragma unroll
    for (int r = 0; r < F::kRows; ++r) {
#pragma unroll
      for (int n = 0; n < F::kTiles; ++n) {
        mma_k16(sums[slot][r][n], a[r + tap / kTaps], b[2 * n], b[2 * n + 1]);
      }
    }
  }
}

/// Where a thread reads its left operands in the first stage.
template <class F>
struct MarchLane {
  using FirstSteps = Steps<F::kKey.first, F::kEdge>;
  using SecondSteps = Steps<F::kKey.second, F::kEdge>;
  std::uint32_t first[FirstSteps::kShifts];
  std::uint32_t second[SecondSteps::kShifts];
  std::uint32_t thin;

  __device__ MarchLane(std::uint32_t stage, int lane, int row, int x) {
    fill<typename F::First, FirstSteps>(first, stage, lane, row, x);
    fill<typename F::Second, SecondSteps>(second, stage + F::First::kBytes, lane, row, x);
    const int group = lane >> 2;
    const int quad = lane & 3;
    thin = stage + F::First::kBytes + F::Second::kBytes;
    if constexpr (F::kKey.thin == 2) {
      thin += F::Thin::row_offset(row, x + group + quad);
    } else if constexpr (F::kKey.thin == 4) {
      thin += F::Thin::row_offset(row, x + group + (quad >> 1)) + (quad & 1) * 4;
    }
  }

  template <class Tile, class S>
  static __device__ void fill(std::uint32_t (&at)[S::kShifts], std::uint32_t tile, int lane, int row, int x) {
#pragma unroll
    for (int shift = 0; shift < S::kShifts; ++shift) {
      const int voxel = row * Tile::kPitch + x + (lane & 15) + (S::kPaired ? 2 * shift + (lane >> 4) : shift);
      at[shift] =
          tile + static_cast<std::uint32_t>(Tile::kChunks == 0 ? 0 : Tile::offset(voxel, S::kPaired ? 0 : lane >> 4));
    }
  }
};

/// Fills the load tables of a column.
template <class F>
__device__ __forceinline__ void fill_tables(int2* table, const Column& column, const ForwardCall& call) {
  fill_table<typename F::First, F::kWidth, F::kReach, F::kKey.first_up, F::kThreads>(table, column.y, column.x, call.H,
                                                                                     call.W, F::First::kVoxelBytes);
  table += F::First::kEntries;
  fill_table<typename F::Second, F::kWidth, F::kReach, false, F::kThreads>(table, column.y, column.x, call.H, call.W,
                                                                           F::Second::kVoxelBytes);
  table += F::Second::kEntries;
  fill_table<typename F::Thin, F::kWidth, 1, false, F::kThreads>(table, column.y, column.x, call.H, call.W,
                                                                 F::Thin::kVoxelBytes);
}

/// Queues the copies of plane z of every input.
template <class F>
__device__ __forceinline__ void load_inputs(const ForwardCall& call, long long n, int z, const int2* table,
                                            std::uint32_t stage) {
  const auto plane = [&](const void* input, bool up, int voxel_bytes) {
    const int shift = up ? 1 : 0;
    const long long index = n * (call.D >> shift) + (z >> shift);
    const long long voxels = static_cast<long long>(call.H >> shift) * (call.W >> shift);
    return static_cast<const std::uint8_t*>(input) + index * voxels * voxel_bytes;
  };
  if constexpr (F::kKey.first > 0) {
    load_plane<typename F::First, F::kThreads>(plane(call.wide[0], F::kKey.first_up, F::First::kVoxelBytes), table,
                                               stage);
  }
  if constexpr (F::kKey.second > 0) {
    load_plane<typename F::Second, F::kThreads>(plane(call.wide[1], false, F::Second::kVoxelBytes),
                                                table + F::First::kEntries, stage + F::First::kBytes);
  }
  if constexpr (F::kKey.thin > 0) {
    load_plane<typename F::Thin, F::kThreads, F::Thin::kVoxelBytes>(plane(call.thin, false, F::Thin::kVoxelBytes),
                                                                    table + F::First::kEntries + F::Second::kEntries,
                                                                    stage + F::First::kBytes + F::Second::kBytes);
  }
}

/// Every plane of sums moves to the slot of the next older one.
template <class F>
__device__ __forceinline__ void move_down(MarchSums<F>& sums) {
#pragma unroll
  for (int i = 0; i < (F::kEdge - 1) * F::kRows * F::kTiles * 4; ++i) {
    constexpr int kPlane = F::kRows * F::kTiles * 4;
    const int from = i + kPlane;
    sums[i / kPlane][i / (F::kTiles * 4) % F::kRows][i / 4 % F::kTiles][i % 4] =
        sums[from / kPlane][from / (F::kTiles * 4) % F::kRows][from / 4 % F::kTiles][from % 4];
  }
}

/// One run of planes [begin, end) of one column.
template <class F>
__device__ __forceinline__ void march_column(const CallOf<F>& call, const MarchLane<F>& lane, const int2* table,
                                             std::uint32_t shared, std::uint32_t weights, long long n, int begin,
                                             int end, Finish<F>& finish) {
  const std::uint32_t stages = shared + F::kStageAt;
  constexpr int kLate = F::kEdge - 1;  // steps from a plane's first sum to its last
  const int steps = end - begin + kLate;
  int queued = 0;
  std::uint32_t queued_at = 0;
  const auto load = [&] {
    const int z = begin - F::kReach + queued;
    if (queued < steps && z >= 0 && z < call.D) {
      load_inputs<F>(call, n, z, table, stages + queued_at);
    }
    commit_copies();
    ++queued;
    queued_at = queued_at == (F::kStages - 1) * F::kStageBytes ? 0 : queued_at + F::kStageBytes;
  };
  for (int i = 0; i < F::kStages - 1; ++i) {
    load();
  }
  MarchSums<F> sums = {};
  std::uint32_t at = 0;
#pragma unroll 1
  for (int first = 0; first < steps; first += F::kPhases) {
#pragma unroll
    for (int phase = 0; phase < F::kPhases; ++phase) {
      constexpr int kLast = F::kEdge - 1;
      const int newest = F::kPhases == 1 ? kLast : phase;
      const int step = first + phase;
      if (step < steps) {
        wait_copies<F::kStages - 2>();
        __syncthreads();
        load();
        const int z = begin - F::kReach + step;
        typename Finish<F>::Mask mask;
        if (step >= kLate) {
          finish.prefetch(mask, z - F::kReach);
        }
        const bool within = z >= 0 && z < call.D;
        if (F::kKey.first == 0 || !within) {
          clear_sums(sums[newest]);
        }
        if (within) {
          if constexpr (F::kKey.first > 0) {
            add_wide<F, typename F::First, F::kKey.first, 0>(sums, newest, lane.first, at, weights);
          }
          if constexpr (F::kKey.second > 0) {
            add_wide<F, typename F::Second, F::kKey.second, F::kSecondTaps>(sums, newest, lane.second, at, weights);
          }
          if constexpr (F::kKey.thin == 2) {
            add_two_channels<F>(sums, newest, lane.thin + at, weights);
          }
          if constexpr (F::kKey.thin == 4) {
            add_four_channels<F>(sums, newest, lane.thin + at, weights);
          }
        }
        at = at == (F::kStages - 1) * F::kStageBytes ? 0 : at + F::kStageBytes;
        if (step >= kLate) {
          finish.store(sums[(newest + 1) % F::kEdge], mask, z - F::kReach);
        }
        if constexpr (F::kPhases == 1) {
          move_down<F>(sums);
        }
      }
    }
  }
  wait_copies<0>();
}

template <class F>
__global__ void __launch_bounds__(F::kThreads, F::kBlocks) march(const CallOf<F> call) {
  extern __shared__ __align__(1024) std::uint8_t shared_bytes[];
  const std::uint32_t shared = shared_address(shared_bytes);
  const int thread = static_cast<int>(threadIdx.x);
  const int group = static_cast<int>(blockIdx.y);
  const uint4* weights = static_cast<const uint4*>(call.weights) + group * (F::kWeightBytes / 16);
  for (int i = thread; i < F::kWeightBytes / 16; i += F::kThreads) {
    reinterpret_cast<uint4*>(shared_bytes)[i] = weights[i];
  }
  const int warp = thread >> 5;
  const int warp_channels = warp % F::kShape.warps_channels;
  const int warp_x = warp / F::kShape.warps_channels % F::kShape.warps_x;
  const int warp_y = warp / F::kShape.warps_channels / F::kShape.warps_x;
  const MarchLane<F> lane(shared + F::kStageAt, thread & 31, warp_y * F::kRows, warp_x * 16);
  const std::uint32_t weights_at = shared + (warp_channels * 32 + (thread & 31)) * F::kTiles * 8;
  Finish<F> finish(call, warp_channels, group);
  int2* table = reinterpret_cast<int2*>(shared_bytes + F::kTableAt);
  const Columns<F::kHeight, F::kWidth> columns(call.H, call.W);
  Shares shares(columns.count(call.N), call.D);
  long long index = 0;
  int begin = 0;
  int end = 0;
  while (shares.next(index, begin, end)) {
    const Column column = columns.at(index);
    __syncthreads();
    fill_tables<F>(table, column, call);
    __syncthreads();
    finish.place(column.n, column.y + warp_y * F::kRows, column.x + warp_x * 16);
    march_column<F>(call, lane, table, shared, weights_at, column.n, begin, end, finish);
  }
  if constexpr (F::kKey.prelu && F::kKey.epilogue == Epilogue::kMask) {
    float* partial = call.slope_partial == nullptr ? nullptr : call.slope_partial + blockIdx.y * gridDim.x + blockIdx.x;
    store_slope_sum<F::kThreads>(finish.slope_sum, reinterpret_cast<float*>(shared_bytes), partial);
  }
}

template <class F>
void launch_march(const ExtendedCall& call, int multiprocessors, Stream stream) {
  REGATTA_CUDA(cudaFuncSetAttribute(march<F>, cudaFuncAttributeMaxDynamicSharedMemorySize, F::kSharedBytes));
  const dim3 grid(divide_up(multiprocessors * F::kBlocks, call.groups), static_cast<unsigned>(call.groups));
  march<F><<<grid, F::kThreads, F::kSharedBytes, stream>>>(call);
  check_launch("march");
}

}  // namespace regatta::kernels::conv
