// The Swin encoder of the TransMorph family: patch embedding, four stages of shifted-window transformer blocks, a
// feature map of each stage. Source: Liu et al., "Swin transformer", ICCV 2021; Chen et al., "TransMorph", MedIA 2022.
#pragma once

#include <array>
#include <memory>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

#include "nn/layers/conv.hpp"
#include "nn/layers/norm.hpp"
#include "nn/layers/transformer.hpp"

namespace regatta::models {

enum class Position { kNone, kLearned, kSinusoidal };

struct SwinShape {
  std::int64_t embed_dim = 96;
  std::vector<int> depths = {2, 2, 4, 2};
  std::vector<int> heads = {4, 4, 8, 8};
  std::vector<int> window = {5, 6, 7};  ///< tokens along D, H, W
  Position position = Position::kNone;
  bool relative_position = true;  ///< false: the table of biases stays, unused
  double drop_path = 0.3;         ///< of the last block; those before it have proportionally less
  bool recompute = false;         ///< keep only each block's input for the backward pass
};

inline constexpr int kSwinStages = 4;
inline constexpr std::int64_t kSwinPatch = 4;
inline constexpr int kSwinMultiple = 32;  ///< sizes must be multiples: patches, then three mergings by two

class SwinBlock;

class SwinEncoder {
 public:
  /// Registers everything under `name`, in the reference's order.
  SwinEncoder(Parameters& parameters, const std::string& name, const SwinShape& shape);
  ~SwinEncoder();
  SwinEncoder(const SwinEncoder&) = delete;
  SwinEncoder& operator=(const SwinEncoder&) = delete;

  /// @param images  [N, 2, D, H, W], sizes that are multiples of 32
  /// @param draw    of a training step: blocks are dropped at random
  /// @return of each stage i, normalised: [N, E 2^i, D / (4 2^i), ...], channels last in memory
  std::vector<at::Tensor> operator()(const at::Tensor& images, const std::optional<TrainingDraw>& draw) const;

 private:
  struct Merge {
    Linear reduction;
    LayerNorm norm;
  };

  at::Tensor embed(const at::Tensor& images) const;

  SwinShape shape_;
  Backend backend_;
  PatchEmbedding patches_;
  LayerNorm patch_norm_;
  at::Tensor learned_position_;
  std::array<std::vector<std::unique_ptr<SwinBlock>>, kSwinStages> blocks_;
  std::vector<Merge> merges_;
  std::vector<LayerNorm> norms_;
};

}  // namespace regatta::models
