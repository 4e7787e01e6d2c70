// The table of head sizes, and the sum of the blocks' shares of the table's gradient.
#include <cuda_runtime.h>

#include "kernels/launch.cuh"
#include "kernels/window_attention/form.hpp"

namespace regatta::kernels::attention {

template <int kHeadSize>
void launch_forward(const Call& call, Stream stream);
template <int kHeadSize>
void launch_backward(const Call& call, Stream stream);

namespace {

using Launch = void (*)(const Call&, Stream);

struct Instance {
  int head_size;
  Launch forward;
  Launch backward;
};

template <int kHeadSize>
constexpr Instance kInstance = {kHeadSize, launch_forward<kHeadSize>, launch_backward<kHeadSize>};

constexpr Instance kInstances[] = {kInstance<12>, kInstance<24>, kInstance<32>,
                                   kInstance<48>, kInstance<64>, kInstance<96>};

const Instance& instance(int head_size) {
  for (const Instance& one : kInstances) {
    if (one.head_size == head_size) {
      return one;
    }
  }
  throw BugError(str("window attention: no instance for heads of ", head_size));
}

constexpr int kAcross = 32;
constexpr int kSharers = 16;

/// Sums the shares [head][block][kRows] to [kRows][head].
__global__ void __launch_bounds__(kAcross* kSharers)
    sum_shares(const float* shares, int blocks, float* table, int heads) {
  __shared__ float parts[kSharers][kAcross + 1];
  const int row = static_cast<int>(blockIdx.x) * kAcross + static_cast<int>(threadIdx.x);
  const auto head = static_cast<int>(blockIdx.y);
  const auto sharer = static_cast<int>(threadIdx.y);
  const float* at = shares + static_cast<long long>(head) * blocks * kRows + min(row, kRows - 1);
  const auto end = static_cast<int>(static_cast<long long>(blocks) * (sharer + 1) / kSharers);
  float sum = 0.0F;
#pragma unroll 8
  for (auto block = static_cast<int>(static_cast<long long>(blocks) * sharer / kSharers); block < end; ++block) {
    sum += at[static_cast<long long>(block) * kRows];
  }
  parts[sharer][threadIdx.x] = sum;
  __syncthreads();
  if (sharer != 0 || row >= kRows) {
    return;
  }
  sum = 0.0F;
  for (const auto& part : parts) {
    sum += part[threadIdx.x];
  }
  table[static_cast<long long>(row) * heads + head] = sum;
}

}  // namespace

void launch_forward(int head_size, const Call& call, Stream stream) {
  instance(head_size).forward(call, stream);
}

void launch_backward(int head_size, const Call& call, Stream stream) {
  instance(head_size).backward(call, stream);
  if (call.partial != nullptr) {
    const dim3 blocks((kRows + kAcross - 1) / kAcross, call.heads);
    sum_shares<<<blocks, dim3(kAcross, kSharers), 0, stream>>>(call.partial, call.windows * call.parts, call.to_table,
                                                               call.heads);
    check_launch("window_attention sum_shares");
  }
}

}  // namespace regatta::kernels::attention
