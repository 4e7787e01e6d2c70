// Layers over tokens, part of the vocabulary: linear, MLP, window attention, drop path.
#pragma once

#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

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

/// `name`.weight [out, in] and `name`.bias [out] over the last axis. The fast backend's result is bf16.
class Linear {
 public:
  Linear(Parameters& parameters, const std::string& name, const LinearShape& shape);
  at::Tensor operator()(const at::Tensor& tokens) const;

 private:
  at::Tensor weight_;
  at::Tensor bias_;
  Backend backend_;
};

/// Multi-head attention among the tokens of a window with a relative position bias, as in Swin transformers. Works on
/// some windows at a time and makes the attention weights anew for the backward pass: they are never kept.
/// @param qkv      [B, n, 3 h c]: queries, keys, values of n tokens in B windows
/// @param bias     [h, n, n], added to the logits; undefined: none
/// @param regions  [windows of one volume, n] int64: tokens of different regions get -100; undefined: none
/// @return [B, n, h c]
at::Tensor window_attention(const at::Tensor& qkv, const at::Tensor& bias, const at::Tensor& regions,
                            std::int64_t heads);

/// The same by LibTorch's own derivative, all windows at once: the oracle of `window_attention`.
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

/// Each sample (first axis) times its factor.
at::Tensor scale_samples(const at::Tensor& batch, const SampleFactors& factors);

/// `input` plus the branch that it goes through, weighted by `drop_path_factors`. A branch that the host knows every
/// sample to drop is not computed.
template <class Branch>
at::Tensor add_branch(const at::Tensor& input, const SampleFactors& drawn, Branch&& branch) {
  if (drawn.on_device.defined()) {
    return input.add(scale_samples(branch(input), drawn));
  }
  const std::vector<double>& factors = drawn.on_host;
  if (std::all_of(factors.begin(), factors.end(), [](double factor) { return factor == 1.0; })) {
    return input.add(branch(input));
  }
  if (std::all_of(factors.begin(), factors.end(), [](double factor) { return factor == 0.0; })) {
    return input;
  }
  return input.add(scale_samples(branch(input), drawn));
}

}  // namespace regatta
