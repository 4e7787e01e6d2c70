#include "kernels/fixed_point.cuh"
#include "kernels/launch.cuh"

namespace regatta::kernels {
namespace {

constexpr int kThreads = 256;
constexpr int kWide = 4;

__global__ void __launch_bounds__(kThreads)
    to_fixed_point_kernel(const float* __restrict__ values, std::uint32_t* __restrict__ out, long long count) {
  const long long first = (static_cast<long long>(blockIdx.x) * kWide) * kThreads + threadIdx.x;
#pragma unroll
  for (int k = 0; k < kWide; ++k) {
    const long long i = first + k * kThreads;
    if (i < count) {
      out[i] = round_fixed_point(__ldg(values + i) * static_cast<float>(kFixedPointOne));
    }
  }
}

}  // namespace

void to_fixed_point(const float* values, std::uint32_t* out, std::int64_t count, Stream stream) {
  REGATTA_REQUIRE(count >= 0 && (count == 0 || (values != nullptr && out != nullptr)), BugError,
                  "fixed point: an array is missing");
  if (count > 0) {
    const auto blocks = static_cast<unsigned>(divide_up(count, kThreads * kWide));
    to_fixed_point_kernel<<<blocks, kThreads, 0, stream>>>(values, out, count);
    check_launch("to_fixed_point");
  }
}

}  // namespace regatta::kernels
