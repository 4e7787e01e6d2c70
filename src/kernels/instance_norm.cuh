// What the kernels of InstanceNorm with and without weights share: sums of blocks and of channels, and how a pass is
// laid on the chip.
#pragma once

#include "kernels/feature_form.hpp"
#include "kernels/features.cuh"
#include "regatta/kernels/instance_norm.hpp"

namespace regatta::kernels::instance_norm {

constexpr int kSumThreads = 512;    ///< of the sums of channels: 16 sums, 32 blocks at a time
constexpr int kGradientBlocks = 2;  ///< on a multiprocessor, of the last backward launch, which needs more registers

struct Size {
  long long vectors;  ///< of one sample
  int groups;         ///< vectors of a voxel
  int pitch;          ///< vectors from one voxel of y to the next
  int blocks;         ///< of one sample
  float slope;

  /// Of y, one sample.
  __device__ __forceinline__ long long pitched() const { return vectors / groups * pitch; }
};

/// Where vector i of x lies in y. A thread keeps its group, so it steps through y evenly too.
__device__ __forceinline__ long long place_in_y(const Size& size, long long i, int group) {
  return size.pitch == size.groups ? i : (i - group) / size.groups * size.pitch + group;
}

/// A value near the mean of each channel: four voxels, well apart.
__device__ __forceinline__ Eight shift_of(const uint4* sample, const Size& size, int group) {
  Eight sum = {};
  const long long voxels = size.vectors / size.groups;
#pragma unroll
  for (int k = 0; k < 4; ++k) {
    add_to(sum, 0.25F, unpack(sample[(2 * k + 1) * voxels / 8 * size.groups + group]));
  }
  return sum;
}

/// Sums over the block's voxels, in pairs that halve; the result is in the first voxel's threads.
__device__ __forceinline__ void fold(Eight& first, Eight& second, int groups) {
  __shared__ float4 parked[4][kMostThreads / 2 + 64];
  const int row = static_cast<int>(threadIdx.x) / groups;
  const int rows = static_cast<int>(blockDim.x) / groups;
  for (int active = rows; active > 1;) {
    const int half = (active + 1) / 2;
    if (row >= half && row < active) {
      const int at = static_cast<int>(threadIdx.x) - half * groups;
      parked[0][at] = {first.v[0], first.v[1], first.v[2], first.v[3]};
      parked[1][at] = {first.v[4], first.v[5], first.v[6], first.v[7]};
      parked[2][at] = {second.v[0], second.v[1], second.v[2], second.v[3]};
      parked[3][at] = {second.v[4], second.v[5], second.v[6], second.v[7]};
    }
    __syncthreads();
    if (row < active - half) {
#pragma unroll
      for (int k = 0; k < 4; ++k) {
        const float4 other = parked[k][threadIdx.x];
        float* mine = (k < 2 ? first.v : second.v) + k % 2 * 4;
        mine[0] += other.x;
        mine[1] += other.y;
        mine[2] += other.z;
        mine[3] += other.w;
      }
    }
    __syncthreads();
    active = half;
  }
}

/// partial: [n][block][group][16]
__device__ __forceinline__ void put_sums(float* partial, const Size& size, const Eight& first, const Eight& second) {
  if (static_cast<int>(threadIdx.x) < size.groups) {
    const long long at = (static_cast<long long>(blockIdx.y) * size.blocks + blockIdx.x) * size.groups + threadIdx.x;
    auto* to = reinterpret_cast<float4*>(partial + at * kValues);
    to[0] = {first.v[0], first.v[1], first.v[2], first.v[3]};
    to[1] = {first.v[4], first.v[5], first.v[6], first.v[7]};
    to[2] = {second.v[0], second.v[1], second.v[2], second.v[3]};
    to[3] = {second.v[4], second.v[5], second.v[6], second.v[7]};
  }
}

/// The 16 sums of this block's vector of channels over all blocks, in every thread below 16.
__device__ __forceinline__ double sum_of_blocks(const float* partial, const Size& size) {
  constexpr int kRows = kSumThreads / kValues;
  __shared__ double rows[kRows][kValues];
  const int value = static_cast<int>(threadIdx.x) % kValues;
  const int row = static_cast<int>(threadIdx.x) / kValues;
  double sum = 0.0;
  for (int block = row; block < size.blocks; block += kRows) {
    const long long at = (static_cast<long long>(blockIdx.y) * size.blocks + block) * size.groups + blockIdx.x;
    sum += partial[at * kValues + value];
  }
  rows[row][value] = sum;
  __syncthreads();
  sum = 0.0;
  if (row == 0) {
    for (int k = 0; k < kRows; ++k) {
      sum += rows[k][value];
    }
  }
  return sum;
}

/// From the end of the batch to its beginning: sample and group of a thread, and its vectors.
struct Backwards {
  long long sample;
  int group;
  long long i, stride;    ///< in x
  long long y, y_stride;  ///< in y

  __device__ __forceinline__ explicit Backwards(const Size& size)
      : sample(gridDim.y - 1 - blockIdx.y),
        group(size.groups - 1 - static_cast<int>(threadIdx.x) % size.groups),
        i(size.vectors - 1 - (static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x)),
        stride(static_cast<long long>(gridDim.x) * blockDim.x),
        y(place_in_y(size, i, group)),
        y_stride(static_cast<long long>(gridDim.x) * (static_cast<int>(blockDim.x) / size.groups) * size.pitch) {}
};

struct Launch {
  Size size;
  int threads;
  dim3 blocks;
  dim3 of_channels;  ///< of the sums of channels
  dim3 of_gradient;  ///< of the last backward launch

  Launch(const InstanceNormShape& shape, const Capability& chip) {
    REGATTA_REQUIRE(has_form(shape, chip), BugError, "InstanceNorm of ", shape.channels, " channels: no kernel");
    size.groups = shape.channels / kVector;
    size.pitch = shape.channels_of_voxel() / kVector;
    size.vectors = shape.size.voxels() * size.groups;
    size.blocks = instance_norm::blocks(shape, chip);
    size.slope = shape.slope;
    threads = instance_norm::threads(size.groups);
    const auto samples = static_cast<unsigned>(shape.size.n);
    blocks = {static_cast<unsigned>(size.blocks), samples};
    of_channels = {static_cast<unsigned>(size.groups), samples};
    of_gradient = {static_cast<unsigned>(std::min(size.blocks, chip.multiprocessors * kGradientBlocks)), samples};
  }
};

/// Results of both passes with weights; the sums of the first launch of each are given.
struct AffineForward {
  const uint4* in;
  const float* mean;
  const float* inverse_deviation;
  const float* weight;
  const float* bias;
  uint4* out;
};

void queue_affine_normalise(const Launch& call, const AffineForward& arrays, Stream stream);
void queue_affine_backward(const Launch& call, const InstanceNormShape& shape, const InstanceNormBackward& arrays,
                           Stream stream);

}  // namespace regatta::kernels::instance_norm
