// Philox4x32-10 as base/random.cpp computes it, one counter per number, of which 64 bits are used.
#include <algorithm>

#include "kernels/launch.cuh"
#include "regatta/kernels/draw.hpp"

namespace regatta::kernels {
namespace {

constexpr int kThreads = 256;
constexpr long long kMostBlocks = 1 << 14;
constexpr int kStreamShift = 48;

__device__ __forceinline__ std::uint64_t bits(const DrawKey& key, std::uint64_t a, std::uint32_t b) {
  std::uint32_t x = static_cast<std::uint32_t>(a);
  std::uint32_t y = static_cast<std::uint32_t>(a >> 32);
  std::uint32_t z = b;
  std::uint32_t w = static_cast<std::uint32_t>(key.purpose);
  std::uint32_t key0 = static_cast<std::uint32_t>(key.seed);
  std::uint32_t key1 = static_cast<std::uint32_t>(key.seed >> 32);
#pragma unroll
  for (int round = 0; round < 10; ++round) {
    const std::uint32_t low0 = 0xD2511F53U * x;
    const std::uint32_t high0 = __umulhi(0xD2511F53U, x);
    const std::uint32_t low1 = 0xCD9E8D57U * z;
    const std::uint32_t high1 = __umulhi(0xCD9E8D57U, z);
    x = high1 ^ y ^ key0;
    y = low1;
    z = high0 ^ w ^ key1;
    w = low0;
    key0 += 0x9E3779B9U;
    key1 += 0xBB67AE85U;
  }
  return (static_cast<std::uint64_t>(x) << 32) | y;
}

struct Uniform {
  using Value = double;
  static __device__ double of(std::uint64_t word) { return static_cast<double>(word >> 11) * 0x1.0p-53; }
};

struct Normal {
  using Value = float;
  static __device__ float of(std::uint64_t word) {
    const double radius = (static_cast<double>(word >> 32) + 1.0) * 0x1.0p-32;  // (0, 1]
    const double angle = static_cast<double>(word & 0xffffffffU) * 0x1.0p-32;
    return static_cast<float>(sqrt(-2.0 * log(radius)) * cospi(2.0 * angle));
  }
};

template <class Kind>
__global__ void __launch_bounds__(kThreads)
    draw_kernel(DrawKey key, const double* __restrict__ step, typename Kind::Value* __restrict__ out, long long count) {
  const std::uint64_t place =
      static_cast<std::uint64_t>(*step) + (static_cast<std::uint64_t>(key.stream) << kStreamShift);
  const long long stride = static_cast<long long>(gridDim.x) * kThreads;
  for (long long i = static_cast<long long>(blockIdx.x) * kThreads + threadIdx.x; i < count; i += stride) {
    out[i] = Kind::of(bits(key, place, key.first + static_cast<std::uint32_t>(i)));
  }
}

template <class Kind>
void draw(const DrawKey& key, const double* step, typename Kind::Value* out, std::int64_t count, Stream stream) {
  REGATTA_REQUIRE(step != nullptr && (out != nullptr || count == 0), BugError, "draw: an array is missing");
  REGATTA_REQUIRE(count >= 0 && count + key.first <= std::int64_t{1} << 32, BugError, "draw: ", count,
                  " numbers from place ", key.first, ", places end at 2^32");
  if (count == 0) {
    return;
  }
  const auto blocks = static_cast<unsigned>(std::min(divide_up(count, kThreads), kMostBlocks));
  draw_kernel<Kind><<<blocks, kThreads, 0, stream>>>(key, step, out, count);
  check_launch("draw");
}

}  // namespace

void draw_uniform(const DrawKey& key, const double* step, double* out, std::int64_t count, Stream stream) {
  draw<Uniform>(key, step, out, count, stream);
}

void draw_normal(const DrawKey& key, const double* step, float* out, std::int64_t count, Stream stream) {
  draw<Normal>(key, step, out, count, stream);
}

}  // namespace regatta::kernels
