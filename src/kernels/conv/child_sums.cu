// The sums of fold.hpp: the output's gradient over 2x2x2 neighbours.
//
// A thread owns 8 channels of one (y, x) and walks along z with the last plane's sum. The four loads of a step are
// shared with neighbours through the L1 cache, so memory is read about once: bandwidth decides.
#include <cuda_runtime.h>

#include <cstddef>
#include <cstdint>

#include "kernels/bf16.cuh"
#include "kernels/conv/launch.hpp"
#include "kernels/launch.cuh"

namespace regatta::kernels::conv {
namespace {

constexpr int kThreads = 256;
constexpr int kRowsOfBlock = 4;
constexpr int kPlanesOfThread = 24;

struct SumCall {
  const uint4* gradient;  // [N, D, H, W, chunks]
  uint4* sums;
  int D;
  int H;
  int W;
  int chunks;  // of 8 channels
  int runs;    // of planes
};

__device__ __forceinline__ void add_chunk(float (&sum)[8], const uint4& chunk) {
  const unsigned pairs[4] = {chunk.x, chunk.y, chunk.z, chunk.w};
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    sum[2 * i] += low_bf16(pairs[i]);
    sum[2 * i + 1] += high_bf16(pairs[i]);
  }
}

/// Even voxels of a row first.
__device__ __forceinline__ int place_in_row(int x, int W) {
  return (x & 1) != 0 ? W / 2 + 1 + x / 2 : x / 2;
}

__global__ void __launch_bounds__(kThreads) sum_children(const SumCall call) {
  const int across = static_cast<int>(blockIdx.x) * (kThreads / kRowsOfBlock) + static_cast<int>(threadIdx.x);
  const int y = static_cast<int>(blockIdx.y) * kRowsOfBlock + static_cast<int>(threadIdx.y);
  const int x = across / call.chunks;
  const int chunk = across % call.chunks;
  if (x > call.W || y > call.H) {
    return;
  }
  const int n = static_cast<int>(blockIdx.z) / call.runs;
  const int begin = static_cast<int>(blockIdx.z) % call.runs * kPlanesOfThread;
  const int end = min(begin + kPlanesOfThread, call.D + 1);
  const std::size_t plane = static_cast<std::size_t>(call.H) * call.W * call.chunks;
  const std::size_t sum_plane = static_cast<std::size_t>(call.H + 1) * (call.W + 1) * call.chunks;
  const uint4* gradient = call.gradient + n * call.D * plane + chunk;
  uint4* sums = call.sums + n * (call.D + 1) * sum_plane +
                (static_cast<std::size_t>(y) * (call.W + 1) + place_in_row(x, call.W)) * call.chunks + chunk;
  float last[8] = {};
  for (int z = begin - 1; z < end; ++z) {
    float now[8] = {};
    if (z >= 0 && z < call.D) {
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        const int from_y = y - (i >> 1);
        const int from_x = x - (i & 1);
        if (from_y >= 0 && from_y < call.H && from_x >= 0 && from_x < call.W) {
          add_chunk(now,
                    __ldg(gradient + z * plane + static_cast<std::size_t>(from_y * call.W + from_x) * call.chunks));
        }
      }
    }
    if (z >= begin) {
      sums[z * sum_plane] =
          make_uint4(pack_bf16(last[0] + now[0], last[1] + now[1]), pack_bf16(last[2] + now[2], last[3] + now[3]),
                     pack_bf16(last[4] + now[4], last[5] + now[5]), pack_bf16(last[6] + now[6], last[7] + now[7]));
    }
#pragma unroll
    for (int i = 0; i < 8; ++i) {
      last[i] = now[i];
    }
  }
}

}  // namespace

void launch_child_sums(const void* gradient, void* sums, const VolumeSize& size, int channels, Stream stream) {
  SumCall call = {static_cast<const uint4*>(gradient),
                  static_cast<uint4*>(sums),
                  static_cast<int>(size.d),
                  static_cast<int>(size.h),
                  static_cast<int>(size.w),
                  channels / 8,
                  static_cast<int>(divide_up(size.d + 1, kPlanesOfThread))};
  const dim3 threads(kThreads / kRowsOfBlock, kRowsOfBlock);
  const dim3 grid(divide_up((size.w + 1) * call.chunks, threads.x), divide_up(size.h + 1, kRowsOfBlock),
                  static_cast<unsigned>(size.n * call.runs));
  sum_children<<<grid, threads, 0, stream>>>(call);
  check_launch("sum_children");
}

}  // namespace regatta::kernels::conv
