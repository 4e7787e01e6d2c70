// Second stage of the weight gradients: the blocks' sums are added in a fixed order, and go where the weights have
// them.
#include <cuda_runtime.h>

#include <cstddef>

#include "kernels/conv/launch.hpp"
#include "kernels/launch.cuh"

namespace regatta::kernels::conv {
namespace {

constexpr int kAcross = 32;
constexpr int kSharers = 8;

/// Writes the sum of value `index` (row, output channel) of a group, unless it is padding.
__device__ void place(const ReduceCall& call, int group, int index, float sum) {
  const int row = index / call.out;
  const int out = group * call.out + index % call.out;
  if (out >= call.real_out) {
    return;
  }
  if (row == call.values / call.out - 1) {
    if (call.bias != nullptr) {
      call.bias[out] = sum;
    }
    return;
  }
  int channel = 0;
  int tap = 0;
  if (call.order == SumOrder::kThin) {
    channel = row & 1;
    const int kx = row % 8 / 2;
    if (kx >= kTaps) {
      return;
    }
    tap = row / 8 * kTaps + kx;
  } else if (call.channels == 8) {
    channel = row % 8;
    const int kx = row / 8 % 4;
    if (kx >= kTaps) {
      return;
    }
    tap = row / 32 * kTaps + kx;
  } else {
    channel = row % call.channels;
    tap = row / call.channels;
    tap = call.order == SumOrder::kFolded ? 26 - tap : tap;
  }
  call.weights[(static_cast<std::size_t>(out) * call.weights_in + call.offset + channel) * 27 + tap] = sum;
}

__global__ void __launch_bounds__(kAcross* kSharers) reduce(const ReduceCall call) {
  __shared__ float parts[kSharers][kAcross + 1];
  const int index = static_cast<int>(blockIdx.x) * kAcross + static_cast<int>(threadIdx.x);
  const int sharer = static_cast<int>(threadIdx.y);
  const int group = static_cast<int>(blockIdx.y);
  const float* partial = call.partial + static_cast<std::size_t>(group) * call.blocks * call.values;
  float sum = 0.0F;
  if (index < call.values) {
    const int end = call.blocks * (sharer + 1) / kSharers;
#pragma unroll 8
    for (int block = call.blocks * sharer / kSharers; block < end; ++block) {
      sum += partial[static_cast<std::size_t>(block) * call.values + index];
    }
  }
  parts[sharer][threadIdx.x] = sum;
  __syncthreads();
  if (sharer == 0 && index < call.values) {
    sum = 0.0F;
    for (const auto& part : parts) {
      sum += part[threadIdx.x];
    }
    place(call, group, index, sum);
  }
}

}  // namespace

void launch_reduce(const ReduceCall& call, Stream stream) {
  const dim3 grid(divide_up(call.values, kAcross), static_cast<unsigned>(call.groups));
  reduce<<<grid, dim3(kAcross, kSharers), 0, stream>>>(call);
  check_launch("reduce");
}

}  // namespace regatta::kernels::conv
