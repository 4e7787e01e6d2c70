// The distances of an image's channels, and the mean that the scale of its descriptors wants.
#pragma once

#include "kernels/mind.cuh"

namespace regatta::kernels::self_similarity {

/// The planes that a plane's differences are made of, positions outside moved to the border.
template <int kRadius>
class Neighbourhood {
 public:
  static constexpr int kSideRows = kRows + 2 * kRadius;
  static constexpr int kSideColumns = kColumns + 2 * kRadius;

  /// Floats of shared memory.
  __host__ __device__ static constexpr int floats(int dilation) {
    return 2 * kSideRows * kSideColumns + (kSideRows + 2 * dilation) * (kSideColumns + 2 * dilation);
  }

  __device__ __forceinline__ Neighbourhood(float* memory, int dilation)
      : lower_(memory),
        upper_(memory + kSideRows * kSideColumns),
        middle_(memory + 2 * kSideRows * kSideColumns),
        pitch_(kSideColumns + 2 * dilation),
        dilation_(dilation) {}

  __device__ __forceinline__ void load(const float* image, const Shape& shape, const Tile& tile, int z) {
    const int top = tile.y0 - kRadius;
    const int left = tile.x0 - kRadius;
    const float* lower = image + static_cast<long long>(held(z - dilation_, shape.d)) * shape.plane;
    const float* upper = image + static_cast<long long>(held(z + dilation_, shape.d)) * shape.plane;
    for (int i = static_cast<int>(threadIdx.x); i < kSideRows * kSideColumns; i += kMindThreads) {
      const int at = held(top + i / kSideColumns, shape.h) * shape.w + held(left + i % kSideColumns, shape.w);
      lower_[i] = __ldg(lower + at);
      upper_[i] = __ldg(upper + at);
    }
    const float* middle = image + static_cast<long long>(z) * shape.plane;
    for (int i = static_cast<int>(threadIdx.x); i < (kSideRows + 2 * dilation_) * pitch_; i += kMindThreads) {
      const int y = held(top - dilation_ + i / pitch_, shape.h);
      const int x = held(left - dilation_ + i % pitch_, shape.w);
      middle_[i] = __ldg(middle + y * shape.w + x);
    }
  }

  /// What the six neighbours of a position see. @param row, column  inside the side planes
  __device__ __forceinline__ void see(int row, int column, float (&out)[kSides]) const {
    const float* at = middle_ + (row + dilation_) * pitch_ + column + dilation_;
    out[0] = lower_[row * kSideColumns + column];
    out[1] = upper_[row * kSideColumns + column];
    out[2] = at[-dilation_ * pitch_];
    out[3] = at[dilation_ * pitch_];
    out[4] = at[-dilation_];
    out[5] = at[dilation_];
  }

 private:
  float* lower_;
  float* upper_;
  float* middle_;
  int pitch_;
  int dilation_;
};

template <int kRadius>
__device__ __forceinline__ void sum_squares_along_w(const Neighbourhood<kRadius>& plane, const Shape& shape,
                                                    const Tile& tile, RowSums<kRadius>& sums) {
  const int row = static_cast<int>(threadIdx.x) / kGroups;
  const int group = static_cast<int>(threadIdx.x) % kGroups;
  if (row >= kRows + 2 * kRadius) {
    return;
  }
  const int top = tile.y0 - kRadius;
  const int left = tile.x0 - kRadius;
  const int at_row = held(top + row, shape.h) - top;
  float two[kChannels][kPair] = {};
#pragma unroll
  for (int i = 0; i < 2 * kRadius + kPair; ++i) {
    float seen[kSides];
    plane.see(at_row, held(left + group * kPair + i, shape.w) - left, seen);
#pragma unroll
    for (int c = 0; c < kChannels; ++c) {
      const float difference = seen[mind_first(c)] - seen[mind_second(c)];
#pragma unroll
      for (int o = 0; o < kPair; ++o) {
        if (i >= o && i - o <= 2 * kRadius) {
          two[c][o] = fmaf(difference, difference, two[c][o]);
        }
      }
    }
  }
#pragma unroll
  for (int c = 0; c < kChannels; ++c) {
    sums.of[c][row][group] = make_float2(two[c][0], two[c][1]);
  }
}

/// @param distances  [channels, n, d, h, w]
/// @param parts      sums over the blocks' voxels of the mean distance less the least one; volume by volume
template <int kRadius>
__global__ void __launch_bounds__(kMindThreads)
    mind_distances_kernel(const float* __restrict__ image, Shape shape, int dilation, float* __restrict__ distances,
                          double* __restrict__ parts) {
  extern __shared__ float4 mind_shared[];
  auto& sums = *reinterpret_cast<RowSums<kRadius>*>(mind_shared);
  Neighbourhood<kRadius> plane(reinterpret_cast<float*>(&sums + 1), dilation);
  const Tile tile(shape);
  const int column = static_cast<int>(threadIdx.x) % kColumns;
  const int row = static_cast<int>(threadIdx.x) / kColumns;
  const bool inside = tile.x0 + column < shape.w && tile.y0 + row < shape.h;
  constexpr float kShare = 1.0F / ((2 * kRadius + 1) * (2 * kRadius + 1) * (2 * kRadius + 1));
  OpenSums<kRadius> open;
  float total = 0.0F;
#pragma unroll 1
  for (int z = tile.z0 - kRadius; z < tile.end + kRadius; ++z) {
    __syncthreads();
    plane.load(image + tile.base, shape, tile, held(z, shape.d));
    __syncthreads();
    sum_squares_along_w(plane, shape, tile, sums);
    __syncthreads();
    float least = 0.0F;
    float mean = 0.0F;
    const int done = z - kRadius;
    float* to = distances + tile.base + static_cast<long long>(done) * shape.plane + (tile.y0 + row) * shape.w +
                tile.x0 + column;
#pragma unroll
    for (int c = 0; c < kChannels; ++c) {
      const float* from = reinterpret_cast<const float*>(&sums.of[c][row][0]) + column;
      float sum = 0.0F;
#pragma unroll
      for (int i = 0; i <= 2 * kRadius; ++i) {
        sum += from[i * kColumns];
      }
      const float distance = kShare * (open.of[c][0] + sum);
#pragma unroll
      for (int k = 1; k < 2 * kRadius; ++k) {
        open.of[c][k - 1] = open.of[c][k] + sum;
      }
      open.of[c][2 * kRadius - 1] = sum;
      least = c == 0 ? distance : fminf(least, distance);
      mean += distance;
      if (done >= tile.z0 && inside) {
        to[c * shape.stride] = distance;
      }
    }
    if (done >= tile.z0 && inside) {
      total += fmaf(1.0F / kChannels, mean, -least);
    }
  }
  const float of_block = block_sum<kMindThreads>(total);
  if (threadIdx.x == 0) {
    parts[(static_cast<long long>(blockIdx.z) * gridDim.y + blockIdx.y) * gridDim.x + blockIdx.x] = of_block;
  }
}

/// @param parts     [2, n, blocks]: of the fixed images, then of the warped ones
/// @param averages  [2, n]
__global__ void __launch_bounds__(256)
    mind_average_kernel(const double* __restrict__ parts, int blocks, double voxels, double* __restrict__ averages) {
  double sum = 0.0;
  for (int i = static_cast<int>(threadIdx.x); i < blocks; i += 256) {
    sum += parts[static_cast<long long>(blockIdx.x) * blocks + i];
  }
  sum = block_sum<256>(sum);
  if (threadIdx.x == 0) {
    averages[blockIdx.x] = sum / voxels;
  }
}

}  // namespace regatta::kernels::self_similarity
