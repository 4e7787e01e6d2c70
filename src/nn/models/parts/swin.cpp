#include "nn/models/parts/swin.hpp"

#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/embedding.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/pow.h>
#include <ATen/ops/roll.h>

#include "nn/layers/precision.hpp"
#include "nn/layers/recompute.hpp"
#include "nn/layers/resize.hpp"
#include "nn/models/common.hpp"

namespace regatta::models {
namespace {

using Size3 = std::array<std::int64_t, 3>;

constexpr double kBiasDeviation = 0.02;
constexpr std::int64_t kMlpRatio = 4;
constexpr std::int64_t kLearnedEdge = 56;  // the learned embedding has a 224 / 4 grid, whatever the volumes are

/// Sizes of the token grid [N, D, H, W, C].
Size3 token_grid(const at::Tensor& tokens) {
  return {tokens.size(1), tokens.size(2), tokens.size(3)};
}

/// [N, D, H, W, C] of whole windows -> [N windows, tokens of a window, C]
at::Tensor partition(const at::Tensor& tokens, const Size3& window) {
  const Size3 grid = token_grid(tokens);
  return tokens
      .view({tokens.size(0), grid[0] / window[0], window[0], grid[1] / window[1], window[1], grid[2] / window[2],
             window[2], tokens.size(4)})
      .permute({0, 1, 3, 5, 2, 4, 6, 7})
      .reshape({-1, window[0] * window[1] * window[2], tokens.size(4)});
}

/// The way back.
at::Tensor unite(const at::Tensor& windows, const Size3& window, const Size3& grid) {
  return windows
      .view({-1, grid[0] / window[0], grid[1] / window[1], grid[2] / window[2], window[0], window[1], window[2],
             windows.size(2)})
      .permute({0, 1, 4, 2, 5, 3, 6, 7})
      .reshape({-1, grid[0], grid[1], grid[2], windows.size(2)});
}

/// Row of the bias table for each pair of tokens of a window: the reference's numbering. [n n] int64
at::Tensor relative_index(const Size3& window) {
  const std::int64_t n = window[0] * window[1] * window[2];
  at::Tensor index = at::empty({n * n}, at::TensorOptions().dtype(at::kLong));
  std::int64_t* value = index.data_ptr<std::int64_t>();
  const auto place = [&window](std::int64_t token) {
    return Size3{token / (window[1] * window[2]), token / window[2] % window[1], token % window[2]};
  };
  for (std::int64_t i = 0; i < n; ++i) {
    for (std::int64_t j = 0; j < n; ++j) {
      const Size3 a = place(i);
      const Size3 b = place(j);
      std::int64_t row = 0;
      for (std::size_t axis = 0; axis < 3; ++axis) {
        row = row * (2 * window[axis] - 1) + a[axis] - b[axis] + window[axis] - 1;
      }
      *value++ = row;
    }
  }
  return index;
}

/// After a roll by -shift, tokens that were not neighbours share windows: their region numbers differ. [windows, n]
at::Tensor shift_regions(const Size3& grid, const Size3& window, const Size3& shift, const at::Device& device) {
  const at::TensorOptions longs = at::device(device).dtype(at::kLong);
  at::Tensor regions;
  for (std::size_t axis = 0; axis < 3; ++axis) {
    const at::Tensor position = at::arange(grid[axis], longs);
    const at::Tensor region = position.ge(grid[axis] - window[axis]).to(at::kLong) +
                              position.ge(grid[axis] - shift[axis]).to(at::kLong);  // 0, 1, 2
    Size3 shape = {1, 1, 1};
    shape[axis] = grid[axis];
    const at::Tensor part = region.view(shape);
    regions = regions.defined() ? regions * 3 + part : part;
  }
  return partition(regions.unsqueeze(0).unsqueeze(-1), window).squeeze(-1);
}

/// Sines, then cosines, of each axis, a third of the channels each: [1, D, H, W, C].
at::Tensor sinusoidal_position(const Size3& grid, std::int64_t channels, const at::TensorOptions& options) {
  const std::int64_t third = (channels + 5) / 6 * 2;
  const at::Tensor rates = at::pow(10000.0, at::arange(0, third, 2, options).div(-static_cast<double>(third)));
  std::vector<at::Tensor> parts;
  for (std::size_t axis = 0; axis < 3; ++axis) {
    const at::Tensor angles = at::arange(grid[axis], options).unsqueeze(1) * rates;  // [size, third / 2]
    std::vector<std::int64_t> shape = {1, 1, 1, 1, third};
    shape[axis + 1] = grid[axis];
    parts.push_back(at::cat({angles.sin(), angles.cos()}, 1).view(shape).expand({1, grid[0], grid[1], grid[2], third}));
  }
  return at::cat(parts, 4).narrow(4, 0, channels);
}

Size3 as_size(const std::vector<int>& list) {
  return {list[0], list[1], list[2]};
}

}  // namespace

/// One transformer block; odd ones work on windows shifted by half a window.
class SwinBlock {
 public:
  SwinBlock(Parameters& parameters, const std::string& name, std::int64_t channels, std::int64_t heads,
            const SwinShape& shape, bool shifted)
      : window_(as_size(shape.window)),
        heads_(heads),
        relative_(shape.relative_position),
        norm1_(parameters, name + ".norm1", channels),
        table_(parameters.add(name + ".attn.relative_position_bias_table",
                              {(2 * window_[0] - 1) * (2 * window_[1] - 1) * (2 * window_[2] - 1), heads},
                              Init::normal(kBiasDeviation))),
        index_(relative_index(window_)),
        qkv_(parameters, name + ".attn.qkv", {.in = channels, .out = 3 * channels, .bias = false}),
        proj_(parameters, name + ".attn.proj", {.in = channels, .out = channels}),
        norm2_(parameters, name + ".norm2", channels),
        fc1_(parameters, name + ".mlp.fc1", {.in = channels, .out = kMlpRatio * channels}),
        fc2_(parameters, name + ".mlp.fc2", {.in = kMlpRatio * channels, .out = channels}),
        backend_(parameters.context().backend) {
    for (std::size_t axis = 0; axis < 3; ++axis) {
      shift_[axis] = shifted ? window_[axis] / 2 : 0;
    }
    rolled_ = *std::min_element(shift_.begin(), shift_.end()) > 0;
  }

  /// @param keep1, keep2  factors of the two residual branches, one a sample
  Residual operator()(const Residual& tokens, const SampleFactors& keep1, const SampleFactors& keep2) const {
    const Residual attended = add_branch(tokens, keep1, norm1_, [this](const at::Tensor& x) { return attention(x); });
    return add_branch(attended, keep2, norm2_,
                      [this](const at::Tensor& x) { return fc2_.unbiased(gelu(fc1_.unbiased(x))); });
  }

 private:
  Unbiased attention(const at::Tensor& tokens) const {
    const TokenWindows windows = {window_, shift_, heads_};
    if (attends_in_place(tokens, windows)) {
      return proj_.unbiased(token_attention(qkv_(tokens), relative_ ? table_ : at::Tensor(), windows));
    }
    const Size3 grid = token_grid(tokens);
    Size3 padded{};
    std::vector<std::int64_t> padding = {0, 0};  // of the channels; then W, H, D, at the far end
    for (std::size_t axis = 3; axis-- > 0;) {
      padded[axis] = (grid[axis] + window_[axis] - 1) / window_[axis] * window_[axis];
      padding.insert(padding.end(), {0, padded[axis] - grid[axis]});
    }
    at::Tensor x = padded == grid ? tokens : at::constant_pad_nd(tokens, padding, 0);
    if (rolled_) {
      x = at::roll(x, {-shift_[0], -shift_[1], -shift_[2]}, {1, 2, 3});
    }
    const at::Tensor cut =
        window_attention(as_wide(qkv_(partition(x, window_))), bias(), regions(padded, tokens.device()), heads_);
    x = unite(proj_(cut), window_, padded);
    if (rolled_) {
      x = at::roll(x, shift_, {1, 2, 3});
    }
    for (std::int64_t axis = 0; axis < 3; ++axis) {
      x = x.narrow(axis + 1, 0, grid[static_cast<std::size_t>(axis)]);
    }
    return {x};
  }

  /// [heads, n, n]; undefined where the network has no relative positions
  at::Tensor bias() const {
    if (!relative_) {
      return {};
    }
    if (index_.device() != table_.device()) {
      index_ = index_.to(table_.device());
    }
    const std::int64_t n = window_[0] * window_[1] * window_[2];
    return at::embedding(table_, index_).view({n, n, heads_}).permute({2, 0, 1}).contiguous();
  }

  at::Tensor regions(const Size3& padded, const at::Device& device) const {
    if (rolled_ && (!regions_.defined() || regions_of_ != padded || regions_.device() != device)) {
      regions_ = shift_regions(padded, window_, shift_, device);
      regions_of_ = padded;
    }
    return regions_;
  }

  /// Whether a kernel attends to the tokens where they are.
  bool attends_in_place(const at::Tensor& tokens, const TokenWindows& windows) const {
    return backend_ == Backend::kFast && has_token_attention(tokens, windows);
  }

  Size3 window_;
  Size3 shift_{};
  bool rolled_ = false;
  std::int64_t heads_;
  bool relative_;
  LayerNorm norm1_;
  at::Tensor table_;
  mutable at::Tensor index_;    ///< moves to the device with the first forward pass
  mutable at::Tensor regions_;  ///< of the last grid
  mutable Size3 regions_of_{};
  Linear qkv_;
  Linear proj_;
  LayerNorm norm2_;
  Linear fc1_;
  Linear fc2_;
  Backend backend_;
};

SwinEncoder::SwinEncoder(Parameters& parameters, const std::string& name, const SwinShape& shape)
    : shape_(shape),
      backend_(parameters.context().backend),
      patches_(parameters, name + ".patch_embed.proj", 2, shape.embed_dim, kSwinPatch),
      patch_norm_(parameters, name + ".patch_embed.norm", shape.embed_dim) {
  if (shape.position == Position::kLearned) {
    learned_position_ =
        parameters.add(name + ".absolute_pos_embed", {1, shape.embed_dim, kLearnedEdge, kLearnedEdge, kLearnedEdge},
                       Init::normal(kBiasDeviation));
  }
  std::int64_t channels = shape.embed_dim;
  for (std::size_t stage = 0; stage < kSwinStages; ++stage, channels *= 2) {
    const std::string layer = str(name, ".layers.", stage);
    for (int block = 0; block < shape.depths[stage]; ++block) {
      blocks_[stage].push_back(std::make_unique<SwinBlock>(parameters, str(layer, ".blocks.", block), channels,
                                                           shape.heads[stage], shape, block % 2 == 1));
    }
    if (stage + 1 < kSwinStages) {
      Linear reduction(parameters, layer + ".downsample.reduction",
                       {.in = 8 * channels, .out = 2 * channels, .bias = false});
      merges_.push_back({std::move(reduction), LayerNorm(parameters, layer + ".downsample.norm", 8 * channels)});
    }
  }
  for (int stage = 0; stage < kSwinStages; ++stage) {
    norms_.emplace_back(parameters, str(name, ".norm", stage), shape.embed_dim << stage);
  }
}

SwinEncoder::~SwinEncoder() = default;

at::Tensor SwinEncoder::embed(const at::Tensor& images) const {
  at::Tensor tokens = patch_norm_.wide(patches_(images));
  if (shape_.position == Position::kLearned) {
    tokens = tokens + resize(learned_position_, token_grid(tokens)).permute({0, 2, 3, 4, 1});
  } else if (shape_.position == Position::kSinusoidal) {
    tokens = tokens + sinusoidal_position(token_grid(tokens), shape_.embed_dim, tokens.options());
  }
  return tokens;
}

std::vector<at::Tensor> SwinEncoder::operator()(const at::Tensor& images,
                                                const std::optional<TrainingDraw>& draw) const {
  int depth = 0;
  for (const int blocks : shape_.depths) {
    depth += blocks;
  }
  Residual tokens = {embed(images)};  // [N, D/4, H/4, W/4, E]
  std::vector<at::Tensor> maps;
  const auto factors = block_factors(draw, shape_.drop_path, depth, images.size(0));
  std::size_t number = 0;
  for (std::size_t stage = 0; stage < kSwinStages; ++stage) {
    for (const auto& block : blocks_[stage]) {
      const auto& [keep1, keep2] = factors[number];
      if (shape_.recompute) {
        tokens = {recomputed(true, tokens.value(), [&block, both = factors[number]](const at::Tensor& x) {
          return (*block)({x}, both[0], both[1]).value();
        })};
      } else {
        tokens = (*block)(tokens, keep1, keep2);
      }
      ++number;
    }
    const Normed end = norms_[stage](tokens);
    const at::Tensor map = end.out.permute({0, 4, 1, 2, 3});
    maps.push_back(backend_ == Backend::kFast ? map.to(at::kBFloat16) : map);
    if (stage + 1 < kSwinStages) {
      tokens = {{}, merges_[stage].reduction.unbiased(merges_[stage].norm.merged(end.sum))};
    }
  }
  return maps;
}

}  // namespace regatta::models
