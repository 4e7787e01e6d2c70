// Sizes of the convolutions' tiles in shared memory: what kernels, table of forms and scratch sizes share. No CUDA.
//
// A tile holds one plane of a column of voxels, voxel-major: every 16-byte chunk (8 channels) of a voxel lies at
// chunk ^ swizzle(voxel), so that any 8 consecutive voxels are free of bank conflicts for ldmatrix. Rows are a multiple
// of 8 voxels apart, so the pattern depends on x alone.
#pragma once

namespace regatta::kernels::conv {

constexpr int kTaps = 3;  // along each axis
constexpr int kTileAlignment = 1024;

constexpr int round_up(int value, int multiple) {
  return (value + multiple - 1) / multiple * multiple;
}

/// Tile of `kHeight` rows of `kWidth` voxels, `kChannels` a multiple of 8 and a power of two, or 0 for "no such input".
template <int kChannels, int kHeight_, int kWidth_>
struct Tile {
  static constexpr int kHeight = kHeight_;
  static constexpr int kWidth = kWidth_;
  static constexpr int kChunks = kChannels / 8;
  static constexpr int kVoxelBytes = kChannels * 2;
  static constexpr int kPitch = kChunks == 1 ? kWidth : round_up(kWidth, 8);
  static constexpr int kEntries = kChannels == 0 ? 0 : kHeight * kWidth;  // of the load table
  static constexpr int kBytes = round_up(kHeight * kPitch * kVoxelBytes, kTileAlignment);
  static constexpr int kShift = kChunks == 8 ? 0 : kChunks == 4 ? 1 : kChunks == 2 ? 2 : 3;

  static constexpr int swizzle(int voxel) { return kChunks < 2 ? 0 : (voxel >> kShift) & (kChunks - 1); }
  static constexpr int offset(int voxel, int chunk) { return voxel * kVoxelBytes + ((chunk ^ swizzle(voxel)) << 4); }
  static constexpr int row_offset(int row, int x) { return offset(row * kPitch + x, 0); }
};

/// Tile of 2 or 4 channels, read by plain 4-byte loads.
template <int kChannels, int kHeight_, int kWidth_>
struct ThinTile {
  static constexpr int kHeight = kHeight_;
  static constexpr int kWidth = kWidth_;
  static constexpr int kVoxelBytes = kChannels * 2;
  static constexpr int kPitch = kWidth;
  static constexpr int kEntries = kChannels == 0 ? 0 : kHeight * kWidth;
  static constexpr int kBytes = round_up(kHeight * kPitch * kVoxelBytes, kTileAlignment);

  static constexpr int row_offset(int row, int x) { return (row * kPitch + x) * kVoxelBytes; }
};

constexpr int kTableEntryBytes = 8;

constexpr int kLargeEdge = 5;  // of the kernels that may add their input to the result

/// How many shifts along x there are: two neighbours of 8 channels share one.
constexpr int shift_count(int channels, int edge) {
  return channels == 8 ? (edge + 1) / 2 : edge;
}

/// How many 16-channel steps there are.
constexpr int sixteen_count(int channels) {
  return channels == 8 ? 1 : channels / 16;
}

/// Products of a large kernel that add its input, times one or times zero: one for each step.
constexpr int identity_tap_count(int channels, int edge) {
  return edge == kLargeEdge ? sixteen_count(channels) : 0;
}

constexpr int wide_tap_count(int channels, int edge) {
  return sixteen_count(channels) * shift_count(channels, edge) * edge * edge + identity_tap_count(channels, edge);
}

/// How many 16-channel steps and shifts along x the matrix instructions take for an input. 8 channels: two neighbours
/// along x share one step.
template <int kChannels, int kEdge = kTaps>
struct Steps {
  static constexpr bool kPaired = kChannels == 8;
  static constexpr int kShifts = shift_count(kChannels, kEdge);
  static constexpr int kSixteens = sixteen_count(kChannels);
  static constexpr int kCentreShift = kPaired ? kEdge / 4 : kEdge / 2;  // whose (first) voxel is the centre
  static constexpr int kIdentityTaps = identity_tap_count(kChannels, kEdge);
  static constexpr int kTapCount = wide_tap_count(kChannels, kEdge);  // those of the identity last
};

/// Of 2 channels: rows 0 and 1 are one step, row 2 is half a step. Of 4 channels: a step a row.
constexpr int thin_tap_count(int channels) {
  return channels == 0 ? 0 : (channels == 2 ? 2 : kTaps) * kTaps;
}

}  // namespace regatta::kernels::conv
