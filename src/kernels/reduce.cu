#include "kernels/reduce.cuh"

namespace regatta::kernels {
namespace {

constexpr int kThreads = 1024;

__global__ void __launch_bounds__(kThreads)
    sum_parts_kernel(const double* __restrict__ parts, long long count, double scale, float* __restrict__ out) {
  double sum = 0.0;
  for (long long i = threadIdx.x; i < count; i += kThreads) {
    sum += parts[i];
  }
  sum = block_sum<kThreads>(sum);
  if (threadIdx.x == 0) {
    *out = static_cast<float>(sum * scale);
  }
}

}  // namespace

void sum_parts(const double* parts, long long count, double scale, float* out, Stream stream) {
  sum_parts_kernel<<<1, kThreads, 0, stream>>>(parts, count, scale, out);
  check_launch("sum_parts");
}

}  // namespace regatta::kernels
