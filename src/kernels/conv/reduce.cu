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
constexpr int kSumThreads = 256;

/// Which weight a value of a group is: its input channel, output channel and tap; not real: padding, or a bias.
struct Weight {
  int channel;
  int out;
  int tap;
  bool real;
};

/// Of [pair of kz and kx][ky][channel][out].
__device__ Weight weight_of_pair(const ReduceCall& call, int pair_group, int index) {
  const int edge = call.edge;
  const int out = index % call.out;
  const int channel = index / call.out % call.channels;
  const int ky = index / call.out / call.channels % edge;
  const int warpgroups = call.values / (call.out * call.channels * edge);
  const int pair = pair_group * warpgroups + index / call.out / call.channels / edge;
  return {channel, out, (pair / edge * edge + ky) * edge + pair % edge, pair < edge * edge};
}

__device__ Weight weight_at(const ReduceCall& call, int index) {
  const int row = index / call.out;
  const int out = index % call.out;
  const int edge = call.edge;
  if (call.order == SumOrder::kThin) {
    const int kx = row % 8 / 2;
    return {row & 1, out, row / 8 * kTaps + kx, kx < kTaps};
  }
  if (call.channels == 8) {
    const int pairs = shift_count(8, edge);
    const int kx = row / 8 % (2 * pairs);
    return {row % 8, out, row / (16 * pairs) * edge + kx, kx < edge};
  }
  const int tap = row / call.channels;
  return {row % call.channels, out, call.order == SumOrder::kFolded ? 26 - tap : tap, true};
}

/// Writes the sum of value `index` (row, output channel) of a group, unless it is padding.
__device__ void place(const ReduceCall& call, int group, int index, float sum) {
  const int out_groups = call.groups / call.slices / call.pairs;
  const int first_out = group / call.pairs % out_groups * call.out;
  const int slice = group / call.pairs / out_groups;
  const bool paired = call.order == SumOrder::kPairs;
  if (!paired && index / call.out == call.values / call.out - 1) {
    const int out = first_out + index % call.out;
    for (float* bias : {call.bias, call.more_bias[0], call.more_bias[1]}) {
      if (bias != nullptr && out < call.real_out && slice == 0) {
        bias[out] = sum;
      }
    }
    return;
  }
  const Weight weight = paired ? weight_of_pair(call, group % call.pairs, index) : weight_at(call, index);
  const int out = first_out + weight.out;
  if (!weight.real || out >= call.real_out) {
    return;
  }
  const int edge = call.edge;
  const std::size_t kernel =
      static_cast<std::size_t>(out) * call.weights_in + call.offset + slice * call.channels + weight.channel;
  call.weights[kernel * edge * edge * edge + weight.tap] = sum;
  const int border = (edge - kTaps) / 2;
  const int z = weight.tap / (edge * edge) - border;
  const int y = weight.tap / edge % edge - border;
  const int x = weight.tap % edge - border;
  const bool inner = min(z, min(y, x)) >= 0 && max(z, max(y, x)) < kTaps;
  if (call.inner != nullptr && inner) {
    call.inner[kernel * 27 + z * 9 + y * 3 + x] = sum;
  }
  if (call.centre != nullptr && z == 1 && y == 1 && x == 1) {
    call.centre[kernel] = sum;
  }
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

/// One sum, always in the same order.
__global__ void __launch_bounds__(kSumThreads) sum_all(const float* partial, int count, float* sum) {
  __shared__ float parts[kSumThreads];
  float part = 0.0F;
  for (int i = static_cast<int>(threadIdx.x); i < count; i += kSumThreads) {
    part += partial[i];
  }
  parts[threadIdx.x] = part;
  for (int half = kSumThreads / 2; half > 0; half /= 2) {
    __syncthreads();
    if (static_cast<int>(threadIdx.x) < half) {
      parts[threadIdx.x] += parts[threadIdx.x + half];
    }
  }
  if (threadIdx.x == 0) {
    *sum = parts[0];
  }
}

}  // namespace

void launch_sum(const float* partial, int count, float* sum, Stream stream) {
  sum_all<<<1, kSumThreads, 0, stream>>>(partial, count, sum);
  check_launch("sum_all");
}

void launch_reduce(const ReduceCall& call, Stream stream) {
  const dim3 grid(divide_up(call.values, kAcross), static_cast<unsigned>(call.groups));
  reduce<<<grid, dim3(kAcross, kSharers), 0, stream>>>(call);
  check_launch("reduce");
}

}  // namespace regatta::kernels::conv
