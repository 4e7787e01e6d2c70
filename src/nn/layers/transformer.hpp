// Layers over tokens, part of the vocabulary: linear, MLP, window attention, drop path.
#pragma once

#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

#include "nn/layers/conv.hpp"
#include "regatta/nn/model.hpp"
#include "regatta/nn/parameters.hpp"

namespace regatta {

struct LinearShape {
  std::int64_t in = 0;
  std::int64_t out = 0;
  bool bias = true;
  std::optional<Init> weight_init{};  ///< none: PyTorch's default, U(+-1/sqrt(fan in)), for the bias too
  std::optional<Init> bias_init{};
};

/// What a linear layer made, its bias left to the reader where `bias` is defined.
struct Unbiased {
  at::Tensor values;
  at::Tensor bias{};

  at::Tensor value() const;
};

/// `name`.weight [out, in] and `name`.bias [out] over the last axis. The fast backend's result is bf16.
class Linear {
 public:
  Linear(Parameters& parameters, const std::string& name, const LinearShape& shape);
  at::Tensor operator()(const at::Tensor& tokens) const { return unbiased(tokens).value(); }

  /// The fast backend leaves the bias to the reader, which adds it in float32 and sums its gradient on the way.
  Unbiased unbiased(const at::Tensor& tokens) const;

 private:
  at::Tensor weight_;
  at::Tensor bias_;
  Backend backend_;
};

/// Cubes of voxels as tokens: a convolution whose stride is its kernel, `name`.weight [out, in, k, k, k] and
/// `name`.bias [out].
class PatchEmbedding {
 public:
  PatchEmbedding(Parameters& parameters, const std::string& name, std::int64_t in, std::int64_t out,
                 std::int64_t kernel);

  /// @param images  [N, in, D, H, W], sizes in multiples of the kernel
  /// @return [N, D/k, H/k, W/k, out]; the bias is left to the reader as by `Linear`
  Unbiased operator()(const at::Tensor& images) const;

 private:
  Conv3d conv_;
  std::int64_t kernel_;
  Backend backend_;
};

/// GELU in its exact form, x Phi(x).
at::Tensor gelu(const Unbiased& tokens);

/// Multi-head attention among the tokens of a window with a relative position bias, as in Swin transformers. Works on
/// some windows at a time and makes the attention weights again for the backward pass: they are never kept.
/// @param qkv      [B, n, 3 h c]: queries, keys, values of n tokens in B windows
/// @param bias     [h, n, n], added to the logits; undefined: none
/// @param regions  [windows of one volume, n] int64: tokens of different regions get -100; undefined: none
/// @return [B, n, h c]
at::Tensor window_attention(const at::Tensor& qkv, const at::Tensor& bias, const at::Tensor& regions,
                            std::int64_t heads);

/// The same by LibTorch's own derivative, all windows at once: the reference of `window_attention`.
at::Tensor window_attention_plain(const at::Tensor& qkv, const at::Tensor& bias, const at::Tensor& regions,
                                  std::int64_t heads);

/// Windows over a grid of tokens.
struct TokenWindows {
  std::array<std::int64_t, 3> window = {};  ///< tokens along D, H, W
  std::array<std::int64_t, 3> shift = {};   ///< the grid is rolled by its negative if all three are above 0
  std::int64_t heads = 0;
};

/// Whether the fast backend attends to tokens [N, D, H, W, C] where they are: `token_attention`.
bool has_token_attention(const at::Tensor& tokens, const TokenWindows& windows);

/// `window_attention` within the windows of a padded and rolled grid of tokens, which is neither padded nor rolled nor
/// cut: a kernel of the fast backend.
/// @param qkv    [N, D, H, W, 3 h c]; those of padded tokens are taken as zero
/// @param table  [(2 wd - 1) (2 wh - 1) (2 ww - 1), h]: the bias of each relative place; undefined: none
/// @return [N, D, H, W, h c] bf16
at::Tensor token_attention(const at::Tensor& qkv, const at::Tensor& table, const TokenWindows& windows);

/// One factor a sample. Where they are on the device, the host does not know them.
struct SampleFactors {
  std::vector<double> on_host{};
  at::Tensor on_device{};  ///< [N] float32; where it is defined only this is read
};

/// 0 or 1 / (1 - rate), drawn for each sample of a training batch: stochastic depth. Host and device draw the same.
/// @param draw   none: no layer is dropped
/// @param layer  number of the residual branch in the network
SampleFactors drop_path_factors(const std::optional<TrainingDraw>& draw, double rate, std::int64_t layer,
                                std::int64_t samples);

/// Of all blocks of a network, of two residual branches each: the rate grows evenly from 0 for the first block to
/// `most` for the last one. Those of `drop_path_factors` for layers 2 b and 2 b + 1, on the device by one draw.
std::vector<std::array<SampleFactors, 2>> block_factors(const std::optional<TrainingDraw>& draw, double most,
                                                        std::int64_t blocks, std::int64_t samples);

/// Each sample (first axis) times its factor.
at::Tensor scale_samples(const at::Tensor& batch, const SampleFactors& factors);

/// Tokens as the next norm takes them: the stream, and a residual branch that is still to be added to it.
struct Residual {
  at::Tensor stream;        ///< undefined: the branch is all
  Unbiased branch{};        ///< without values: nothing to be added
  SampleFactors factors{};  ///< of the branch; none: 1

  at::Tensor value() const;
};

/// What a norm of residual tokens makes.
struct Normed {
  at::Tensor sum;  ///< what was normalised: the stream of what comes next
  at::Tensor out;
};

/// Normalisation of tokens [N, D, H, W, C] over the last axis, eps 1e-5, with `name`.weight and `name`.bias [C].
class LayerNorm {
 public:
  LayerNorm(Parameters& parameters, const std::string& name, std::int64_t channels);

  /// @return `out` bf16 by the fast backend, the type of its products; otherwise the type of the sum
  Normed operator()(const Residual& tokens) const;

  /// Of a linear layer's result. @return float32 of bf16
  at::Tensor wide(const Unbiased& tokens) const;

  /// Of 2x2x2 tokens side by side, in Swin's order: [N, D, H, W, C] -> [N, D/2, H/2, W/2, 8 C].
  at::Tensor merged(const at::Tensor& tokens) const;

 private:
  at::Tensor weight_;
  at::Tensor shift_;
  Backend backend_;
};

/// The tokens with a residual branch of what `norm` makes of them, weighted by `drop_path_factors`. A branch that the
/// host knows every sample to drop is not computed.
template <class Branch>
Residual add_branch(const Residual& tokens, const SampleFactors& drawn, const LayerNorm& norm, Branch&& branch) {
  const auto all = [&](double expected) {
    return !drawn.on_device.defined() &&
           std::all_of(drawn.on_host.begin(), drawn.on_host.end(), [=](double factor) { return factor == expected; });
  };
  if (all(0.0)) {
    return tokens;
  }
  const Normed normed = norm(tokens);
  return {normed.sum, branch(normed.out), all(1.0) ? SampleFactors{} : drawn};
}

}  // namespace regatta
