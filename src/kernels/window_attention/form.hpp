// Windows of 5x6x7 tokens, sizes in shared memory, and calls. No CUDA header.
//
// A block has one head of one window. 16 rows at a time are multiplied with all 216 columns: 210 tokens in an order of
// our own, so that a thread finds the table's row for any of its columns at a fixed distance from a few addresses.
#pragma once

#include <cstdint>

#include "regatta/kernels/device.hpp"

namespace regatta::kernels::attention {

constexpr int kDepth = 5;
constexpr int kHeight = 6;
constexpr int kWidth = 7;
constexpr int kTokens = kDepth * kHeight * kWidth;
constexpr int kRows = (2 * kDepth - 1) * (2 * kHeight - 1) * (2 * kWidth - 1);  // of the table
constexpr int kHeadSizes[] = {12, 24, 32, 48, 64, 96};

struct Place {
  int a, b, c;  // along depth, height, width of the window
};

constexpr int number_of(const Place& place) {
  return (place.a * kHeight + place.b) * kWidth + place.c;
}

constexpr Place place_of_row(int row) {
  return {row / (kHeight * kWidth), row / kWidth % kHeight, row % kWidth};
}

/// Summand of a token in the table's row for (query, key): flat(query) - flat(key) + kMiddle.
constexpr int flat(const Place& place) {
  return (place.a * (2 * kHeight - 1) + place.b) * (2 * kWidth - 1) + place.c;
}
constexpr int kMiddle = kRows / 2;

// Columns: tile `group / 2` of 8 columns has at place 2 q + group % 2 the token of lane quarter q of the group. The
// quarters of a group lie side by side along the width (0 to 3), in a square of height and width (4 and 5), or in a
// square of depth and height (6); of the last kind some groups have two tokens only.
constexpr int kGroups = 54;
constexpr int kColumns = kGroups * 4;
constexpr int kTiles = kColumns / 8;
enum Kind { kLine, kSquare, kUpright, kHalf, kKinds };
constexpr int kFirstSquare = 30;
constexpr int kFirstUpright = 45;
constexpr int kFirstHalf = 51;

constexpr Kind kind_of(int group) {
  return group < kFirstSquare ? kLine : group < kFirstUpright ? kSquare : group < kFirstHalf ? kUpright : kHalf;
}

/// Of quarter 0.
constexpr Place first_place(int group) {
  if (group < kFirstSquare) {
    return {group / kHeight, group % kHeight, 0};
  }
  if (group < kFirstUpright) {
    const int i = group - kFirstSquare;
    return {i / 3, i % 3 * 2, 4};
  }
  const int i = group - kFirstUpright;
  return {i / 3 * 2, i % 3 * 2, 6};
}

/// From quarter 0 to `quarter`; where a half group has no token, to one that it has.
constexpr Place step_of(Kind kind, int quarter) {
  const int low = quarter & 1;
  const int high = quarter >> 1;
  return kind == kLine     ? Place{0, 0, quarter}
         : kind == kSquare ? Place{0, high, low}
                           : Place{kind == kHalf ? 0 : high, low, 0};
}

constexpr bool has_token(Kind kind, int quarter) {
  return kind != kHalf || quarter < 2;
}

constexpr int column_group(int column) {
  return column / 8 * 2 + column % 2;
}
constexpr int column_quarter(int column) {
  return column % 8 / 2;
}

constexpr Place place_of_column(int column) {
  const Place from = first_place(column_group(column));
  const Place step = step_of(kind_of(column_group(column)), column_quarter(column));
  return {from.a + step.a, from.b + step.b, from.c + step.c};
}

/// Whether each token of a window is one column.
constexpr bool columns_are_whole() {
  int seen[kTokens] = {};
  for (int column = 0; column < kColumns; ++column) {
    const Place place = place_of_column(column);
    const bool inside = place.a < kDepth && place.b < kHeight && place.c < kWidth;
    if (!inside) {
      return false;
    }
    if (has_token(kind_of(column_group(column)), column_quarter(column))) {
      ++seen[number_of(place)];
    }
  }
  for (const int times : seen) {
    if (times != 1) {
      return false;
    }
  }
  return true;
}
static_assert(columns_are_whole());

constexpr int kWarps = 7;
constexpr int kThreads = kWarps * 32;
constexpr int kRowTiles = 14;  // of 16 rows
static_assert(kRowTiles * 16 >= kTokens && kColumns <= kThreads);

constexpr int kColumnBytes = kColumns * 4;
constexpr int kRowBytes = kRowTiles * 16 * 5 + 16;

/// Units are 8 channels: 16 bytes. A column in shared memory has one unit more, which in queries and keys says its
/// region.
template <int kHeadSize_>
struct Form {
  static constexpr int kHeadSize = kHeadSize_;
  static constexpr int kUnits = (kHeadSize + 7) / 8;
  static constexpr int kMarked = kUnits + 1;
  static constexpr int kPitch = 16 * (kMarked | 1);  // bytes; odd units meet all banks

  static constexpr int kColumnsBytes = kColumns * kPitch;
  static constexpr int kTileBytes = 2 * kColumnsBytes;
  static constexpr int kStatisticsBytes = kColumns * 8;
  static constexpr int kTableBytes = kRows * 4;
  static constexpr int kForwardShared = kTileBytes + kTableBytes + kColumnBytes + kRowBytes;
  static constexpr int kQueryShared = kTileBytes + 2 * kTableBytes + kRowBytes + 16;
  static constexpr int kKeyShared = kTileBytes + kStatisticsBytes + kTableBytes + kColumnBytes + kRowBytes;
  static constexpr int kBackwardShared = kQueryShared > kKeyShared ? kQueryShared : kKeyShared;

  static constexpr int kForwardBlocks = kHeadSize <= 24 ? 3 : kHeadSize <= 48 ? 2 : 1;  // on a multiprocessor
  static constexpr int kTilesAtOnce = kHeadSize <= 24 ? 6 : 8;                          // of logits in registers
  static constexpr int kBackwardBlocks = kHeadSize <= 48 ? 2 : 1;
  static constexpr bool kFenced = kHeadSize > 24;
};

constexpr std::size_t shared_bytes(int head_size) {
  switch (head_size) {
    case 12: return Form<12>::kBackwardShared;
    case 24: return Form<24>::kBackwardShared;
    case 32: return Form<32>::kBackwardShared;
    case 48: return Form<48>::kBackwardShared;
    case 64: return Form<64>::kBackwardShared;
    default: return Form<96>::kBackwardShared;
  }
}
static_assert(shared_bytes(96) <= std::size_t{99} << 10);

/// Division of numbers below 2^16 by one multiplication.
struct Divider {
  unsigned divisor = 1;
  unsigned factor = 0;  // 2^32 / divisor, rounded up; 0 for 1

  constexpr Divider() = default;
  constexpr explicit Divider(unsigned by) : divisor(by), factor(by == 1 ? 0 : 0xffffffffU / by + 1) {}
};

struct Call {
  const void* qkv = nullptr;
  const float* table = nullptr;
  const void* out = nullptr;     // backward
  const void* to_out = nullptr;  // backward
  void* to = nullptr;            // forward: the output; backward: the gradient of qkv
  float* kept = nullptr;         // [window][head][token]: logarithm to base 2 of a row's sum
  float* partial = nullptr;      // [head][window][part][kRows], of the table's gradient
  float* to_table = nullptr;
  int d = 0;
  int h = 0;
  int w = 0;
  int heads = 0;
  int windows = 0;
  Divider across, down, deep;  // windows along width, height and depth
  int parts = 1;               // 1 or 2 blocks for a head of a window
  bool rolled = false;
};

void launch_forward(int head_size, const Call& call, Stream stream);
void launch_backward(int head_size, const Call& call, Stream stream);

}  // namespace regatta::kernels::attention
