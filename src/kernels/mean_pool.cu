// A thread has 8 channels of an output voxel forward, of an input voxel backward.
#include "kernels/features.cuh"
#include "regatta/kernels/mean_pool.hpp"

namespace regatta::kernels {
namespace {

constexpr int kThreads = 256;
constexpr float kShare = 0.125F;

/// Of the input.
struct Grid {
  int d, h, w;
  int groups;  ///< vectors of a voxel
};

__global__ void __launch_bounds__(kThreads)
    mean_pool_forward_kernel(const uint4* __restrict__ in, uint4* __restrict__ out, Grid grid) {
  const unsigned t = blockIdx.x * kThreads + threadIdx.x;
  const int x = static_cast<int>(t / grid.groups);
  const int group = static_cast<int>(t % grid.groups);
  const int w = grid.w / 2;
  if (x >= w) {
    return;
  }
  const int y = static_cast<int>(blockIdx.y);
  const int d = grid.d / 2;
  const int volume = static_cast<int>(blockIdx.z) / d;
  const int z = static_cast<int>(blockIdx.z) % d;
  const long long row = static_cast<long long>(grid.w) * grid.groups;
  const uint4* from =
      in + (static_cast<long long>(volume * grid.d + 2 * z) * grid.h + 2 * y) * row + 2LL * x * grid.groups + group;
  Eight sum = {};
#pragma unroll
  for (int k = 0; k < 8; ++k) {
    add_to(sum, kShare, unpack(__ldg(from + ((k >> 2) * grid.h + (k >> 1 & 1)) * row + (k & 1) * grid.groups)));
  }
  out[((static_cast<long long>(blockIdx.z) * (grid.h / 2) + y) * w + x) * grid.groups + group] = pack(sum);
}

__global__ void __launch_bounds__(kThreads)
    mean_pool_backward_kernel(const uint4* __restrict__ gradient, uint4* __restrict__ to_input, Grid grid) {
  const unsigned t = blockIdx.x * kThreads + threadIdx.x;
  const int x = static_cast<int>(t / grid.groups);
  const int group = static_cast<int>(t % grid.groups);
  if (x >= grid.w) {
    return;
  }
  const int y = static_cast<int>(blockIdx.y);
  const int volume = static_cast<int>(blockIdx.z) / grid.d;
  const int z = static_cast<int>(blockIdx.z) % grid.d;
  const int d = grid.d / 2;
  const int h = grid.h / 2;
  const int w = grid.w / 2;
  Eight value = {};
  if (z / 2 < d && y / 2 < h && x / 2 < w) {
    const long long voxel = (static_cast<long long>(volume * d + z / 2) * h + y / 2) * w + x / 2;
    value = scaled(kShare, unpack(__ldg(gradient + voxel * grid.groups + group)));
  }
  to_input[((static_cast<long long>(blockIdx.z) * grid.h + y) * grid.w + x) * grid.groups + group] = pack(value);
}

Grid grid_of(const MeanPoolShape& shape, const Capability& chip) {
  REGATTA_REQUIRE(has_form(shape, chip), BugError, "means of ", shape.size.d, "x", shape.size.h, "x", shape.size.w,
                  " voxels of ", shape.channels, " channels: no kernel");
  return {static_cast<int>(shape.size.d), static_cast<int>(shape.size.h), static_cast<int>(shape.size.w),
          shape.channels / kVector};
}

dim3 blocks_of(const VolumeSize& size, const Grid& grid) {
  return {static_cast<unsigned>(divide_up(size.w * grid.groups, kThreads)), static_cast<unsigned>(size.h),
          static_cast<unsigned>(size.n * size.d)};
}

}  // namespace

void mean_pool_forward(const MeanPoolShape& shape, const Bf16* in, Bf16* out, const Capability& chip, Stream stream) {
  const Grid grid = grid_of(shape, chip);
  require_features("mean_pool_forward", in, "the input");
  require_features("mean_pool_forward", out, "the output");
  mean_pool_forward_kernel<<<blocks_of(shape.output_size(), grid), kThreads, 0, stream>>>(vectors(in), vectors(out),
                                                                                          grid);
  check_launch("mean_pool_forward");
}

void mean_pool_backward(const MeanPoolShape& shape, const Bf16* output_gradient, Bf16* input_gradient,
                        const Capability& chip, Stream stream) {
  const Grid grid = grid_of(shape, chip);
  require_features("mean_pool_backward", output_gradient, "the output's gradient");
  require_features("mean_pool_backward", input_gradient, "the input's gradient");
  mean_pool_backward_kernel<<<blocks_of(shape.size, grid), kThreads, 0, stream>>>(vectors(output_gradient),
                                                                                  vectors(input_gradient), grid);
  check_launch("mean_pool_backward");
}

}  // namespace regatta::kernels
