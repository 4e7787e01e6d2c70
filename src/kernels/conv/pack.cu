// Weights into the order of the matrix instructions' right operand, in bf16.
#include <cuda_runtime.h>

#include <algorithm>

#include "kernels/bf16.cuh"
#include "kernels/conv/launch.hpp"
#include "kernels/launch.cuh"

namespace regatta::kernels::conv {
namespace {

constexpr int kThreads = 256;
constexpr long long kMostBlocks = 2048;  // of a job

struct Tap {
  int channel;  // of the section
  int z;
  int y;
  int x;
};

/// Which weight is value `k` (0..15) of a step of a section.
__device__ Tap tap_of(const PackSection& section, int tap, int k) {
  if (section.channels == 2) {
    const int lower = tap / kTaps;  // row 2 alone
    return {k & 1, tap % kTaps, lower != 0 ? (k < 8 ? 2 : kTaps) : k >> 3, (k & 7) >> 1};
  }
  if (section.channels == 4) {
    return {k & 3, tap % kTaps, tap / kTaps, k >> 2};
  }
  const int edge = section.edge;
  const int shifts = shift_count(section.channels, edge);
  const int shift = tap / (edge * edge) % shifts;
  const int step = tap / (edge * edge * shifts);
  const int y = tap / edge % edge;
  if (section.channels == 8) {
    return {k & 7, tap % edge, y, 2 * shift + (k >> 3)};
  }
  return {step * 16 + k, tap % edge, y, shift};
}

/// Of parallel kernels: their sum in fp32, which is rounded once.
__device__ float sum_of_kernels(const PackSource& source, int row, int edge, int z, int y, int x) {
  float sum = source.weights[(static_cast<long long>(row) * edge + z) * edge * edge + y * edge + x];
  const int border = (edge - kTaps) / 2;
  const bool inner = min(z, min(y, x)) >= border && max(z, max(y, x)) < border + kTaps;
  if (source.inner != nullptr && inner) {
    sum += source.inner[row * 27 + (z - border) * 9 + (y - border) * 3 + x - border];
  }
  if (source.centre != nullptr && z == edge / 2 && y == z && x == z) {
    sum += source.centre[row];
  }
  return sum;
}

__device__ float weight_of(const PackSource& source, const Packing& packing, const PackSection& section, const Tap& tap,
                           int out) {
  const int edge = section.edge;
  if (tap.x >= edge || tap.y >= edge || tap.channel >= section.real || out >= packing.out) {
    return 0.0F;
  }
  if (packing.transposed) {
    const int row = (section.offset + tap.channel) * packing.weights_in + packing.out_offset + out;
    return sum_of_kernels(source, row, edge, edge - 1 - tap.z, edge - 1 - tap.y, edge - 1 - tap.x);
  }
  const int row = out * packing.weights_in + section.offset + tap.channel;
  return sum_of_kernels(source, row, edge, tap.z, tap.y, tap.x);
}

/// Value `k` of a step of a section: a weight, or a one where the input is added to the result.
__device__ float value_of(const PackSource& source, const Packing& packing, const PackSection& section, int tap, int k,
                          int out) {
  const int identity = section.taps() - identity_tap_count(section.channels, section.edge);
  if (section.edge != kTaps && tap >= identity) {
    const int channel = (tap - identity) * 16 + k;
    return section.identity && channel == out && channel < section.channels ? 1.0F : 0.0F;
  }
  return weight_of(source, packing, section, tap_of(section, tap, k), out);
}

/// Whether an output of a parity sees original tap k through its small voxel t, 0 or 1.
__device__ bool sees(int parity, int t, int k) {
  return parity == 0 ? (t == 0) == (k == 0) : (t == 1) == (k == 2);
}

/// Of up_forward.cuh: the sum of the original taps that read the same small voxel.
__device__ float summed_weight_of(const PackSource& source, const Packing& packing, const PackSection& section, int tap,
                                  int k, int out) {
  const int plane = tap % kLive;  // of the output: 2 z - 1 + plane
  const int ty = tap / kLive % 2;
  const int tx = tap / (2 * kLive) % 2;
  const int step = tap / (4 * kLive) % (section.channels / 16);
  const int parity = tap / (4 * kLive) / (section.channels / 16);
  const int pz = 1 - plane % 2;
  const int tz = plane < 2 ? 1 : 0;
  float sum = 0.0F;
  for (int i = 0; i < 27; ++i) {
    if (sees(pz, tz, i / 9) && sees(parity >> 1, ty, i / 3 % 3) && sees(parity & 1, tx, i % 3)) {
      sum += weight_of(source, packing, section, {step * 16 + k, i / 9, i / 3 % 3, i % 3}, out);
    }
  }
  return sum;
}

struct Pair {
  float low;
  float high;
};

/// Word `i` of a group, in the order of mma.sync's right operand.
__device__ Pair fragment_word(const PackSource& source, const Packing& packing, int group, int i) {
  const int tap_words = packing.warps_channels * 32 * packing.tiles * 2;
  int tap = i / tap_words;
  int which = 0;
  while (tap >= packing.sections[which].taps()) {
    tap -= packing.sections[which].taps();
    ++which;
  }
  const PackSection& section = packing.sections[which];
  const int word = i % (packing.tiles * 2);
  const int lane = i / (packing.tiles * 2) % 32;
  const int warp = i / (packing.tiles * 64) % packing.warps_channels;
  const int column = lane >> 2;
  // a thread of the kernels then holds tiles x 2 consecutive channels
  const int within = packing.tiles == 2 ? (column >> 1) * 4 + (word >> 1) * 2 + (column & 1) : column;
  const int out = group * packing.group_out() + warp * packing.tiles * 8 + within;
  float values[2];
  for (int half = 0; half < 2; ++half) {
    const int k = 2 * (lane & 3) + (word & 1) * 8 + half;
    values[half] = section.before_up ? summed_weight_of(source, packing, section, tap, k, out)
                                     : value_of(source, packing, section, tap, k, out);
  }
  return {values[0], values[1]};
}

/// Word `i` of a group, in the order of hopper.hpp: [16 channels][dx][ky][half][kz, channel][4 pairs].
__device__ Pair hopper_word(const PackSource& source, const Packing& packing, int group, int i) {
  const PackSection& section = packing.sections[0];
  const int columns = kTaps * packing.group_out();
  const int column = i / 4 % columns;
  const int half = i / (4 * columns) % 2;
  const int outer = i / (8 * columns);
  const int kz = 2 - column / packing.group_out();
  const int within = column % packing.group_out();
  // a thread of the kernel then holds 4 consecutive channels
  const int out =
      group * packing.group_out() + within / 16 * 16 + (within % 8 / 2) * 4 + (within / 8 % 2) * 2 + within % 2;
  const int tap = outer * kTaps + kz;
  float values[2];
  for (int k = 0; k < 2; ++k) {
    values[k] = weight_of(source, packing, section, tap_of(section, tap, half * 8 + i % 4 * 2 + k), out);
  }
  return {values[0], values[1]};
}

__global__ void __launch_bounds__(kThreads) pack(const PackBatch batch) {
  const Packing& packing = batch.packing[blockIdx.y];
  const PackSource& source = batch.source[blockIdx.y];
  const int words = packing.group_words();
  for (int i = static_cast<int>(blockIdx.x * kThreads + threadIdx.x); i < packing.groups * words;
       i += static_cast<int>(gridDim.x) * kThreads) {
    const Pair pair = packing.hopper ? hopper_word(source, packing, i / words, i % words)
                                     : fragment_word(source, packing, i / words, i % words);
    batch.packed[blockIdx.y][i] = pack_bf16(pair.low, pair.high);
  }
}

}  // namespace

void launch_pack(const PackBatch& batch, int jobs, Stream stream) {
  long long words = 0;
  for (int job = 0; job < jobs; ++job) {
    const Packing& packing = batch.packing[job];
    words = std::max(words, static_cast<long long>(packing.groups) * packing.group_words());
  }
  const auto blocks = static_cast<unsigned>(std::min(divide_up(words, kThreads), kMostBlocks));
  pack<<<dim3(blocks, static_cast<unsigned>(jobs)), kThreads, 0, stream>>>(batch);
  check_launch("pack");
}

}  // namespace regatta::kernels::conv
