#include "nn/layers/transformer.hpp"

#include <array>
#include <cmath>
#include <utility>

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/full.h>
#include <ATen/ops/gelu.h>
#include <ATen/ops/layer_norm.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros_like.h>
#include <torch/csrc/autograd/custom_function.h>

#include "nn/fast/attention.hpp"
#include "nn/fast/draw.hpp"
#include "nn/fast/tokens.hpp"
#include "nn/layers/precision.hpp"
#include "nn/layers/work.hpp"
#include "nn/shapes.hpp"
#include "regatta/base/error.hpp"
#include "regatta/base/random.hpp"
#include "regatta/nn/batch_part.hpp"
#include "regatta/nn/chip.hpp"
#include "regatta/nn/forms.hpp"

namespace regatta {
namespace {

constexpr double kOtherRegion = -100.0;  // the reference's number
constexpr std::int64_t kLogitsAtOnce = std::int64_t{1} << 24;
constexpr std::int64_t kMostSamples = 64;
constexpr std::array<std::array<std::int64_t, 3>, 8> kOctants = {
    {{0, 0, 0}, {1, 0, 0}, {0, 1, 0}, {0, 0, 1}, {1, 1, 0}, {0, 1, 1}, {1, 0, 1}, {1, 1, 1}}};

/// Some windows of one volume.
struct Chunk {
  std::int64_t first = 0;   ///< of all windows
  std::int64_t region = 0;  ///< row of `regions`
  std::int64_t count = 0;
};

std::vector<Chunk> chunks_of(std::int64_t windows, std::int64_t windows_of_volume, std::int64_t logits_of_window) {
  const std::int64_t most = std::max<std::int64_t>(1, kLogitsAtOnce / logits_of_window);
  std::vector<Chunk> chunks;
  for (std::int64_t volume = 0; volume < windows; volume += windows_of_volume) {
    for (std::int64_t row = 0; row < windows_of_volume; row += most) {
      chunks.push_back({volume + row, row, std::min(most, windows_of_volume - row)});
    }
  }
  return chunks;
}

struct Heads {
  at::Tensor query;  ///< [B, h, n, c], scaled by c^-1/2
  at::Tensor key;
  at::Tensor value;
};

Heads split_heads(const at::Tensor& qkv, std::int64_t heads) {
  const std::int64_t c = qkv.size(2) / (3 * heads);
  const at::Tensor parts = qkv.view({qkv.size(0), qkv.size(1), 3, heads, c}).permute({2, 0, 3, 1, 4});
  return {parts[0] * (1.0 / std::sqrt(static_cast<double>(c))), parts[1], parts[2]};
}

at::Tensor weights_of(const Heads& heads, const at::Tensor& bias, const at::Tensor& regions) {
  at::Tensor logits = at::matmul(heads.query, heads.key.transpose(-2, -1));  // [B, h, n, n]
  if (bias.defined()) {
    logits = logits + bias.unsqueeze(0);
  }
  if (regions.defined()) {
    const at::Tensor apart = regions.unsqueeze(1).ne(regions.unsqueeze(2)).unsqueeze(1);  // [B, 1, n, n]
    const std::int64_t volumes = logits.size(0) / regions.size(0);
    logits = logits + (volumes == 1 ? apart : apart.repeat({volumes, 1, 1, 1})).to(logits.scalar_type()) * kOtherRegion;
  }
  return at::softmax(logits, -1);
}

/// [B, h, n, c] -> [B, n, h c]
at::Tensor join_heads(const at::Tensor& parts) {
  return parts.transpose(1, 2).flatten(2);
}

at::Tensor rows_of(const at::Tensor& regions, const Chunk& chunk) {
  return regions.defined() ? regions.narrow(0, chunk.region, chunk.count) : regions;
}

class WindowAttention : public torch::autograd::Function<WindowAttention> {
 public:
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& qkv,
                            const std::optional<at::Tensor>& given_bias, const std::optional<at::Tensor>& given_regions,
                            std::int64_t heads) {
    const at::Tensor bias = given_bias.value_or(at::Tensor());
    const at::Tensor regions = given_regions.value_or(at::Tensor());
    context->save_for_backward({qkv, bias, regions});
    context->saved_data["heads"] = heads;
    const at::Tensor out = at::empty_like(qkv.narrow(2, 0, qkv.size(2) / 3), at::MemoryFormat::Contiguous);
    for (const Chunk& chunk : chunks(qkv, regions, heads)) {
      const Heads parts = split_heads(qkv.narrow(0, chunk.first, chunk.count), heads);
      const at::Tensor weights = weights_of(parts, bias, rows_of(regions, chunk));
      out.narrow(0, chunk.first, chunk.count).copy_(join_heads(at::matmul(weights, parts.value)));
    }
    return out;
  }

  /// With P the weights and S the logits: dV = P' dO, dP = dO V', dS = P (dP - sum(dP P)), dQ = dS K, dK = dS' Q.
  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& outer) {
    const auto saved = context->get_saved_variables();
    const at::Tensor& qkv = saved[0];
    const at::Tensor& bias = saved[1];
    const at::Tensor& regions = saved[2];
    const std::int64_t heads = context->saved_data["heads"].toInt();
    const double scale = 1.0 / std::sqrt(static_cast<double>(qkv.size(2) / (3 * heads)));
    const at::Tensor to_qkv = at::empty_like(qkv, at::MemoryFormat::Contiguous);
    const at::Tensor to_bias = bias.defined() ? at::zeros_like(bias) : at::Tensor();
    for (const Chunk& chunk : chunks(qkv, regions, heads)) {
      const Heads parts = split_heads(qkv.narrow(0, chunk.first, chunk.count), heads);
      const at::Tensor weights = weights_of(parts, bias, rows_of(regions, chunk));
      const at::Tensor to_out = outer.front()
                                    .narrow(0, chunk.first, chunk.count)
                                    .view({chunk.count, qkv.size(1), heads, -1})
                                    .transpose(1, 2);  // [B, h, n, c]
      const at::Tensor to_value = at::matmul(weights.transpose(-2, -1), to_out);
      const at::Tensor to_weights = at::matmul(to_out, parts.value.transpose(-2, -1));
      const at::Tensor to_logits = (to_weights - (to_weights * weights).sum(-1, /*keepdim=*/true)).mul_(weights);
      if (bias.defined()) {
        to_bias.add_(to_logits.sum(0));
      }
      const at::Tensor to_query = at::matmul(to_logits, parts.key).mul_(scale);
      const at::Tensor to_key = at::matmul(to_logits.transpose(-2, -1), parts.query);
      to_qkv.narrow(0, chunk.first, chunk.count)
          .copy_(at::stack({to_query, to_key, to_value}).permute({1, 3, 0, 2, 4}).flatten(2));
    }
    return {to_qkv, to_bias, at::Tensor(), at::Tensor()};
  }

 private:
  static std::vector<Chunk> chunks(const at::Tensor& qkv, const at::Tensor& regions, std::int64_t heads) {
    const std::int64_t of_volume = regions.defined() ? regions.size(0) : qkv.size(0);
    return chunks_of(qkv.size(0), of_volume, heads * qkv.size(1) * qkv.size(1));
  }
};

/// [N] float32; undefined: all 1.
at::Tensor factors_on_device(const SampleFactors& factors, const at::Tensor& like) {
  if (factors.on_device.defined() || factors.on_host.empty()) {
    return factors.on_device;
  }
  return at::tensor(factors.on_host, at::dtype(at::kFloat)).to(like.device());
}

void check_attention(const at::Tensor& qkv, const at::Tensor& regions, std::int64_t heads) {
  const bool fits = qkv.dim() == 3 && qkv.size(2) % (3 * heads) == 0 &&
                    (!regions.defined() ||
                     (regions.dim() == 2 && regions.size(1) == qkv.size(1) && qkv.size(0) % regions.size(0) == 0));
  REGATTA_REQUIRE(fits, BugError, "window attention: qkv ", shape_text(qkv), ", regions ", shape_text(regions), ", ",
                  heads, " heads");
}

}  // namespace

Linear::Linear(Parameters& parameters, const std::string& name, const LinearShape& shape)
    : backend_(parameters.context().backend) {
  const Init standard = Init::uniform(1.0 / std::sqrt(static_cast<double>(shape.in)));
  weight_ = parameters.add(name + ".weight", {shape.out, shape.in}, shape.weight_init.value_or(standard));
  if (shape.bias) {
    bias_ = parameters.add(name + ".bias", {shape.out}, shape.bias_init.value_or(standard));
  }
}

Unbiased Linear::unbiased(const at::Tensor& tokens) const {
  count_linear(weight_, tokens);
  if (backend_ == Backend::kReference) {
    const StepPart part(Form::kReference, "linear layer");
    return {at::linear(tokens, weight_, bias_)};
  }
  const StepPart part(Form::kCublas, "linear layer");
  if (fast::has_chip(tokens)) {
    return {fast::product(tokens, weight_), bias_};
  }
  const auto rounded = [](const at::Tensor& values) {
    return values.defined() ? values.to(at::kBFloat16) : at::Tensor();
  };
  return {at::linear(rounded(tokens), rounded(weight_), rounded(bias_))};
}

at::Tensor Unbiased::value() const {
  return bias.defined() ? values.add(bias.to(values.scalar_type())) : values;
}

PatchEmbedding::PatchEmbedding(Parameters& parameters, const std::string& name, std::int64_t in, std::int64_t out,
                               std::int64_t kernel)
    : conv_(parameters, name, {.in = in, .out = out, .kernel = kernel, .stride = kernel, .padding = 0}),
      kernel_(kernel),
      backend_(parameters.context().backend) {}

Unbiased PatchEmbedding::operator()(const at::Tensor& images) const {
  if (backend_ == Backend::kReference || !fast::has_chip(images)) {
    return {conv_({images}).value().permute({0, 2, 3, 4, 1}).contiguous()};
  }
  const StepPart part(Form::kCublas, "patch embedding");
  const at::Tensor voxels = images.permute({0, 2, 3, 4, 1});
  std::vector<std::int64_t> cut = {voxels.size(0)};
  std::vector<std::int64_t> grid = {voxels.size(0)};
  for (std::int64_t axis = 1; axis < 4; ++axis) {
    grid.push_back(voxels.size(axis) / kernel_);
    cut.insert(cut.end(), {grid.back(), kernel_});
  }
  cut.push_back(voxels.size(4));
  grid.push_back(-1);
  const at::Tensor patches = voxels.reshape(cut).permute({0, 1, 3, 5, 2, 4, 6, 7}).reshape(grid);
  const at::Tensor& weight = conv_.weight();
  const at::Tensor tokens = fast::product(patches, weight.permute({0, 2, 3, 4, 1}).reshape({weight.size(0), -1}));
  count_convolution(weight, tokens.permute({0, 4, 1, 2, 3}));
  return {tokens, conv_.bias()};
}

at::Tensor gelu(const Unbiased& tokens) {
  return fast::has_gelu(tokens.values) ? fast::gelu(tokens.values, tokens.bias) : at::gelu(tokens.value());
}

at::Tensor Residual::value() const {
  if (!branch.values.defined()) {
    return stream;
  }
  const at::Tensor values = branch.value();
  if (!stream.defined()) {
    return as_wide(values);
  }
  const bool scaled = factors.on_device.defined() || !factors.on_host.empty();
  return stream.add(scaled ? scale_samples(values, factors) : values);
}

LayerNorm::LayerNorm(Parameters& parameters, const std::string& name, std::int64_t channels)
    : weight_(parameters.add(name + ".weight", {channels}, Init::constant(1.0))),
      shift_(parameters.add(name + ".bias", {channels}, Init::constant(0.0))),
      backend_(parameters.context().backend) {}

Normed LayerNorm::operator()(const Residual& tokens) const {
  const at::Tensor& branch = tokens.branch.values;
  const at::Tensor& like = branch.defined() ? branch : tokens.stream;
  if (backend_ == Backend::kFast && fast::has_layer_norm(like)) {
    const StepPart part(Form::kKernel, "layer norm");
    const auto [sum, out] = fast::layer_norm(
        {tokens.stream, branch, tokens.branch.bias, factors_on_device(tokens.factors, like)}, weight_, shift_, false);
    return {sum, out};
  }
  const StepPart part(Form::kReference, "layer norm");
  const at::Tensor sum = as_wide(tokens.value());
  return {sum, at::layer_norm(sum, weight_.sizes(), weight_, shift_)};
}

at::Tensor LayerNorm::wide(const Unbiased& tokens) const {
  if (backend_ == Backend::kFast && fast::has_layer_norm(tokens.values)) {
    const StepPart part(Form::kKernel, "layer norm");
    return fast::layer_norm({{}, tokens.values, tokens.bias, {}}, weight_, shift_, true).second;
  }
  return (*this)(Residual{{}, tokens}).out;
}

at::Tensor LayerNorm::merged(const at::Tensor& tokens) const {
  if (backend_ == Backend::kFast && fast::has_layer_norm(tokens, true)) {
    const StepPart part(Form::kKernel, "layer norm");
    return fast::merged_layer_norm(tokens, weight_, shift_);
  }
  std::vector<at::Tensor> octants;
  for (const auto& offset : kOctants) {
    at::Tensor part = tokens;
    for (std::int64_t axis = 0; axis < 3; ++axis) {
      part = part.slice(axis + 1, offset[static_cast<std::size_t>(axis)], std::nullopt, 2);
    }
    octants.push_back(part);
  }
  return (*this)(Residual{at::cat(octants, -1)}).out;
}

at::Tensor window_attention(const at::Tensor& qkv, const at::Tensor& bias, const at::Tensor& regions,
                            std::int64_t heads) {
  check_attention(qkv, regions, heads);
  const StepPart part(Form::kReference, "window attention");
  const double pairs = static_cast<double>(qkv.size(0)) * static_cast<double>(qkv.size(1) * qkv.size(1));
  count_attention(2.0 * pairs * static_cast<double>(qkv.size(2) / 3));
  const auto optional = [](const at::Tensor& tensor) {
    return tensor.defined() ? std::optional(tensor) : std::nullopt;
  };
  return WindowAttention::apply(qkv.contiguous(), optional(bias), optional(regions), heads);
}

at::Tensor window_attention_plain(const at::Tensor& qkv, const at::Tensor& bias, const at::Tensor& regions,
                                  std::int64_t heads) {
  check_attention(qkv, regions, heads);
  const Heads parts = split_heads(qkv, heads);
  return join_heads(at::matmul(weights_of(parts, bias, regions), parts.value));
}

bool has_token_attention(const at::Tensor& tokens, const TokenWindows& windows) {
  return fast::has_window_attention(tokens, windows);
}

at::Tensor token_attention(const at::Tensor& qkv, const at::Tensor& table, const TokenWindows& windows) {
  const StepPart part(Form::kKernel, "window attention");
  double windows_in_all = static_cast<double>(qkv.size(0));
  double of_window = 1.0;
  for (std::size_t axis = 0; axis < 3; ++axis) {
    const std::int64_t edge = windows.window[axis];
    windows_in_all *= static_cast<double>((qkv.size(static_cast<std::int64_t>(axis) + 1) + edge - 1) / edge);
    of_window *= static_cast<double>(edge);
  }
  count_attention(2.0 * windows_in_all * of_window * of_window * static_cast<double>(qkv.size(4) / 3));
  return fast::window_attention(qkv, table, windows);
}

SampleFactors drop_path_factors(const std::optional<TrainingDraw>& draw, double rate, std::int64_t layer,
                                std::int64_t samples) {
  REGATTA_REQUIRE(samples <= kMostSamples, BugError, samples, " samples, at most ", kMostSamples);
  const std::int64_t first_sample = part_of_batch(samples).first;
  if (draw && rate > 0.0 && fast::draws_on_device(*draw)) {
    const auto first = static_cast<std::uint32_t>(layer * kMostSamples + first_sample);
    const at::Tensor kept = fast::dropout_uniform(*draw, first, samples).ge(rate);
    return {{}, kept.to(at::kFloat).mul_(1.0 / (1.0 - rate))};
  }
  std::vector<double> factors(static_cast<std::size_t>(samples), 1.0);
  if (draw && rate > 0.0) {
    const CounterRng rng(draw->seed, RandomPurpose::kDropout);
    for (std::int64_t sample = 0; sample < samples; ++sample) {
      const auto stream = static_cast<std::uint32_t>(layer * kMostSamples + first_sample + sample);
      const bool kept = rng.uniform(static_cast<std::uint64_t>(draw->step), stream) >= rate;
      factors[static_cast<std::size_t>(sample)] = kept ? 1.0 / (1.0 - rate) : 0.0;
    }
  }
  return {std::move(factors), {}};
}

std::vector<std::array<SampleFactors, 2>> block_factors(const std::optional<TrainingDraw>& draw, double most,
                                                        std::int64_t blocks, std::int64_t samples) {
  std::vector<std::array<SampleFactors, 2>> all(static_cast<std::size_t>(blocks));
  const auto steps = static_cast<double>(std::max<std::int64_t>(blocks - 1, 1));
  if (!draw || most == 0.0 || !fast::draws_on_device(*draw)) {
    for (std::int64_t block = 0; block < blocks; ++block) {
      const double rate = most * static_cast<double>(block) / steps;
      for (std::int64_t branch = 0; branch < 2; ++branch) {
        all[static_cast<std::size_t>(block)][static_cast<std::size_t>(branch)] =
            drop_path_factors(draw, rate, 2 * block + branch, samples);
      }
    }
    return all;
  }
  REGATTA_REQUIRE(samples <= kMostSamples, BugError, samples, " samples, at most ", kMostSamples);
  const at::Tensor drawn = fast::dropout_uniform(*draw, 0, blocks * 2 * kMostSamples)
                               .view({blocks, 2, kMostSamples})
                               .narrow(2, part_of_batch(samples).first, samples);
  const at::Tensor rates = at::arange(blocks, drawn.options()).mul_(most).div_(steps).view({blocks, 1, 1});
  const at::Tensor factors =
      drawn.ge(rates).to(at::kFloat).contiguous().mul_(rates.neg().add_(1.0).reciprocal_().to(at::kFloat));
  for (std::int64_t block = 0; block < blocks; ++block) {
    for (std::int64_t branch = 0; branch < 2; ++branch) {
      all[static_cast<std::size_t>(block)][static_cast<std::size_t>(branch)].on_device = factors[block][branch];
    }
  }
  return all;
}

at::Tensor scale_samples(const at::Tensor& batch, const SampleFactors& factors) {
  std::vector<std::int64_t> shape(static_cast<std::size_t>(batch.dim()), 1);
  if (factors.on_device.defined()) {
    shape.front() = factors.on_device.size(0);
    return batch.mul(factors.on_device.to(batch.scalar_type()).view(shape));
  }
  if (factors.on_host.size() == 1) {
    return batch.mul(factors.on_host.front());
  }
  std::vector<at::Tensor> values;
  for (const double factor : factors.on_host) {
    values.push_back(at::full({1}, factor, batch.options()));
  }
  shape.front() = static_cast<std::int64_t>(values.size());
  return batch.mul(at::cat(values).view(shape));
}

}  // namespace regatta
