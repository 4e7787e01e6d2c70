// What the networks of the TransMorph family share beside the Swin encoder: sizes by name, options, the decoder.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "nn/layers/conv.hpp"
#include "nn/layers/norm.hpp"
#include "nn/models/parts/swin.hpp"
#include "regatta/config/options.hpp"

namespace regatta::models {

/// The encoder's size. Named networks fix it; `transmorph` has it as options.
struct SwinSize {
  int embed_dim = 96;
  std::vector<int> depths = {2, 2, 4, 2};
  std::vector<int> heads = {4, 4, 8, 8};

  template <class Self, class V>
  static void visit(Self& s, V&& v) {
    v("embed_dim", s.embed_dim, "channels of the first stage, even; doubled from stage to stage", between(2, 1024));
    v("depths", s.depths, "blocks of the four stages", between(1, 64));
    v("heads", s.heads, "attention heads of the four stages; each divides its stage's channels", between(1, 64));
  }
};

/// What every network of the family leaves to choose.
struct SwinChoices {
  std::vector<int> window = {5, 6, 7};
  std::string position = "none";
  bool relative_position = true;
  double drop_path = 0.3;
  bool recompute = false;

  template <class Self, class V>
  static void visit(Self& s, V&& v) {
    v("window", s.window, "tokens of an attention window along D, H, W; the papers take the volume's size / 32",
      between(1, 32));
    v("position", s.position, "absolute position added to the patches", one_of({"none", "learned", "sinusoidal"}));
    v("relative_position", s.relative_position, "a trained bias for each distance between two tokens of a window");
    v("drop_path", s.drop_path, "share of training steps that skip the last block; fewer for those before it",
      between(0.0, 0.9));
    v("recompute", s.recompute, "less memory, more time: each block keeps only its input for the backward pass",
      not_identity());
  }
};

/// "transmorph-tiny" and so on. @throws BugError for another name
SwinSize swin_size(const std::string& name);

/// @throws ConfigError unless the lists have their lengths and the heads divide the channels
SwinShape swin_shape(const SwinSize& size, const SwinChoices& choices);

/// Convolution without bias, instance norm, LeakyReLU 0.01: "Conv3dReLU" of the reference.
class ConvNorm {
 public:
  /// Registers `name`.0.weight.
  /// @param may_widen  the result may have channels of zeros at its end (ConvShape)
  ConvNorm(Parameters& parameters, const std::string& name, std::int64_t in, std::int64_t out, bool may_widen = false);
  at::Tensor operator()(const std::vector<Feature>& inputs) const;

  /// The same for a decoder, its norm left to who reads it.
  Skip skip(const std::vector<Feature>& inputs) const;

  /// Of the input up-sampled by two and a skip.
  at::Tensor of_upsampled(const at::Tensor& input, const Skip& skip) const;

 private:
  Conv3d conv_;
  InstanceNorm norm_;
};

/// Trilinear up-sampling by two, the skip beside it, two `ConvNorm`.
class DecoderBlock {
 public:
  /// @param skip  channels of the skip connection, 0 for none
  /// @param last  whether the result is read by something else than another block: it has `out` channels then
  DecoderBlock(Parameters& parameters, const std::string& name, std::int64_t in, std::int64_t skip, std::int64_t out,
               bool last = false);

  /// @param skip  without a tensor where the block has none
  at::Tensor operator()(const at::Tensor& input, const Skip& skip) const;

 private:
  std::int64_t skip_;
  ConvNorm conv1_;
  ConvNorm conv2_;
};

}  // namespace regatta::models
