// Sizes and calls of the transposed convolutions. No CUDA header.
//
// The output above one voxel of the input is four pieces, one for each (pz, py), of 2 C consecutive values: [px][C].
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/conv/tiles.hpp"
#include "regatta/kernels/device.hpp"

namespace regatta::kernels::up_conv {

constexpr int kPieces = 4;
constexpr int kPackJobs = 8;
constexpr int kStageVoxels = 64;  // of the weight gradient

template <int kChannels_>
struct Form {
  static constexpr int kChannels = kChannels_;
  static constexpr int kPiece = 2 * kChannels;                    // values of one
  static constexpr int kChunks = kPiece / 32;                     // of 32 values: 8 for each thread of a quad
  static constexpr int kSixteens = kChannels / 16;                // steps of the forward product
  static constexpr int kTiles = kChannels / 8;                    // of 8 columns of the gradient's product
  static constexpr int kQuad = kChannels / 4;                     // consecutive channels of a thread
  static constexpr int kPackedWords = 4 * kChannels * kChannels;  // of each order
  static constexpr int kThreads = 256;

  // weight gradient: a warp has one piece
  static constexpr int kVoxels = kStageVoxels;
  static constexpr int kStages = kChannels == 16 ? 3 : 2;
  static constexpr int kWeightThreads = kPieces * 32;
  static constexpr int kWeightBlocks = kChannels == 16 ? 4 : 2;  // on a multiprocessor
  using Input = conv::Tile<kChannels, 1, kVoxels>;
  using Piece = conv::Tile<kPiece, 1, kVoxels>;
  static constexpr int kStageBytes = Input::kBytes + kPieces * Piece::kBytes;
  static constexpr int kWeightShared = kStages * kStageBytes;
  static constexpr int kValues = kPieces * (kChannels + 1) * kPiece;  // of a block; of each piece the bias last
};

constexpr int weight_blocks(int channels) {
  return channels == 16 ? Form<16>::kWeightBlocks : Form<32>::kWeightBlocks;
}

constexpr int weight_values(int channels) {
  return channels == 16 ? Form<16>::kValues : Form<32>::kValues;
}

constexpr int kGradientBlocks = 4;  // on a multiprocessor, of forward and input gradient

/// Sizes are the input's.
struct Call {
  const void* source = nullptr;   // what is multiplied: the input or the output's gradient
  const void* weights = nullptr;  // packed, in this pass's order
  const float* bias = nullptr;
  const void* sign = nullptr;       // input gradient: activation or what came before the PReLU; null: no derivative
  const float* slope_at = nullptr;  // null: `slope`
  float* slope_partial = nullptr;   // [blocks], of a PReLU's slope; null: not wanted
  void* raw = nullptr;              // forward: before the activation; null: not wanted
  void* out = nullptr;
  std::uint32_t voxels = 0;
  std::uint32_t H = 0;
  std::uint32_t W = 0;
  float slope = 1.0F;
};

struct WeightCall {
  const void* input = nullptr;
  const void* gradient = nullptr;
  float* partial = nullptr;  // [block][values]
  float* weights = nullptr;
  float* bias = nullptr;
  std::uint32_t voxels = 0;
  std::uint32_t H = 0;
  std::uint32_t W = 0;
  int blocks = 0;
};

struct PackBatch {
  const float* weights[kPackJobs] = {};
  std::uint32_t* packed[kPackJobs] = {};
  int channels[kPackJobs] = {};
};

void launch_pack(const PackBatch& batch, int jobs, Stream stream);
void launch_forward(int channels, const Call& call, int blocks, Stream stream);
void launch_input_gradient(int channels, const Call& call, int blocks, Stream stream);
void launch_weight_gradient(int channels, const WeightCall& call, Stream stream);

}  // namespace regatta::kernels::up_conv
