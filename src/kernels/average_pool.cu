#include "kernels/features.cuh"
#include "regatta/kernels/average_pool.hpp"

namespace regatta::kernels {
namespace {

constexpr int kThreads = 128;

/// Both images of one voxel of the output. Sizes are the input's.
__global__ void __launch_bounds__(kThreads)
    average_pool_kernel(const unsigned* __restrict__ pair, unsigned* __restrict__ out, int d, int h, int w) {
  const int of_w = (w + 1) / 2;
  const int of_h = (h + 1) / 2;
  const auto t = static_cast<int>(blockIdx.x * kThreads + threadIdx.x);
  const int x = t % of_w;
  const int y = t / of_w;
  const auto z = static_cast<int>(blockIdx.y);
  if (y >= of_h) {
    return;
  }
  unsigned both[27];
#pragma unroll
  for (int k = 0; k < 9; ++k) {
    const int from_z = 2 * z - 1 + k / 3;
    const int from_y = 2 * y - 1 + k % 3;
    const bool inside = from_z >= 0 && from_z < d && from_y >= 0 && from_y < h;
    const unsigned* row =
        pair + ((static_cast<long long>(blockIdx.z) * d + (inside ? from_z : 0)) * h + (inside ? from_y : 0)) * w;
#pragma unroll
    for (int j = 0; j < 3; ++j) {
      const int from_x = 2 * x - 1 + j;
      both[3 * k + j] = inside && from_x >= 0 && from_x < w ? row[from_x] : 0U;
    }
  }
  float first = 0.0F;
  float second = 0.0F;
#pragma unroll
  for (int k = 0; k < 27; ++k) {
    first += low_bf16(both[k]);
    second += high_bf16(both[k]);
  }
  const long long plane = static_cast<long long>(blockIdx.z) * gridDim.y + z;
  out[(plane * of_h + y) * of_w + x] = pack_bf16(first * (1.0F / 27.0F), second * (1.0F / 27.0F));
}

}  // namespace

void average_pool_forward(const VolumeSize& size, const Bf16* pair, Bf16* out, Stream stream) {
  constexpr std::int64_t kMostOfGrid = 65535;
  constexpr std::int64_t kMost = std::int64_t{1} << 30;
  REGATTA_REQUIRE(size.n > 0 && size.d > 0 && size.h > 0 && size.w > 0 && size.n <= kMostOfGrid &&
                      size.d <= kMostOfGrid && size.h < kMost && size.w < kMost && size.plane() < kMost,
                  BugError, "average_pool: a batch of ", size.n, " x ", size.d, "x", size.h, "x", size.w);
  REGATTA_REQUIRE(pair != nullptr && out != nullptr && pair != out && is_aligned(pair, 4) && is_aligned(out, 4),
                  BugError, "average_pool: an array is missing or not aligned to 4 bytes, or the result is the input");
  const VolumeSize to = average_pool_size(size);
  const dim3 blocks = {static_cast<unsigned>(divide_up(to.plane(), kThreads)), static_cast<unsigned>(to.d),
                       static_cast<unsigned>(to.n)};
  average_pool_kernel<<<blocks, kThreads, 0, stream>>>(reinterpret_cast<const unsigned*>(pair),
                                                       reinterpret_cast<unsigned*>(out), static_cast<int>(size.d),
                                                       static_cast<int>(size.h), static_cast<int>(size.w));
  check_launch("average_pool_forward");
}

}  // namespace regatta::kernels
