// How weights are packed for a kernel: by pack.cu, once a step. No CUDA.
#pragma once

#include <cstdint>

#include "kernels/conv/tiles.hpp"
#include "kernels/conv/up_forward.hpp"

namespace regatta::kernels::conv {

/// One input of the kernel: `channels` of which `real` exist, the first being number `offset` of the weights'.
struct PackSection {
  int channels = 0;  // 2 and 4: thin. 0: none
  int real = 0;
  int offset = 0;
  bool before_up = false;  // summed for up_forward.cuh
  int edge = kTaps;        // of the kernel
  bool identity = false;   // a large kernel adds its input

  constexpr int taps() const {
    if (before_up) {
      return up_tap_count(channels);
    }
    if (channels == 2 || channels == 4) {
      return thin_tap_count(channels);
    }
    return wide_tap_count(channels, edge);
  }
};

/// Order: [group][section's taps][warp over channels][lane][two 32-bit words a tile], or that of hopper.hpp.
struct Packing {
  bool hopper = false;
  bool transposed = false;  // data gradient: mirrored, input and output channels exchanged
  int groups = 1;
  int warps_channels = 1;
  int tiles = 2;
  int out = 0;         // real output channels of the kernel
  int out_offset = 0;  // transposed: of the first, among the weights' input channels
  int weights_in = 0;
  PackSection sections[3];

  constexpr int group_out() const { return warps_channels * tiles * 8; }

  constexpr int group_words() const {
    int taps = 0;
    for (const PackSection& section : sections) {
      taps += section.taps();
    }
    return hopper ? taps * group_out() * 8 : taps * warps_channels * 32 * tiles * 2;
  }
};

constexpr int kPackJobs = 16;

/// Parallel kernels, [out][in][edge^3]: they are added. 3x3x3 kernels have the first alone.
struct PackSource {
  const float* weights = nullptr;
  const float* inner = nullptr;   // 3x3x3, or null
  const float* centre = nullptr;  // 1x1x1, or null
};

struct PackBatch {
  PackSource source[kPackJobs];
  std::uint32_t* packed[kPackJobs] = {};
  Packing packing[kPackJobs];
};

/// How a second stage reads the sums of a first one.
enum class SumOrder { kWide, kFolded, kThin, kPairs };

struct ReduceCall {
  const float* partial = nullptr;  // [group][block][values]
  float* weights = nullptr;
  float* bias = nullptr;   // null: not wanted
  float* inner = nullptr;  // of the parallel kernels: likewise
  float* centre = nullptr;
  float* more_bias[2] = {nullptr, nullptr};  // as `bias`
  int edge = kTaps;
  int blocks = 0;
  int groups = 1;
  int values = 0;
  SumOrder order = SumOrder::kWide;
  int slices = 1;    // of the input's channels: groups count slices first, then slices of the output's
  int pairs = 1;     // groups for each two slices: in kPairs, of pairs of kz and kx
  int channels = 0;  // of the form's input
  int offset = 0;    // of the input among the weights' input channels
  int weights_in = 0;
  int out = 0;       // of the form and group
  int real_out = 0;  // of the weights
};

}  // namespace regatta::kernels::conv
