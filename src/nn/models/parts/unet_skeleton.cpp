#include "nn/models/parts/unet_skeleton.hpp"

#include <array>

#include <ATen/TensorOperators.h>

#include "regatta/base/error.hpp"
#include "regatta/nn/warp.hpp"

namespace regatta::models {
namespace {

constexpr std::int64_t kImages = 2;
constexpr std::size_t kLevels = 4;

/// Input and output channels of a convolution in units of c.
struct Widths {
  std::int64_t in;
  std::int64_t out;
};

constexpr std::array<Widths, 9> kEncoder = {
    {{1, 1}, {1, 2}, {2, 2}, {2, 4}, {4, 4}, {4, 8}, {8, 8}, {8, 16}, {16, 8}}};  // ec1..ec9, even numbers strided
constexpr std::array<Widths, 2 * kLevels> kDecoder = {
    {{16, 8}, {8, 4}, {8, 4}, {4, 2}, {4, 4}, {4, 2}, {3, 2}, {2, 2}}};  // dc1..dc8
constexpr std::array<std::int64_t, kLevels> kUp = {8, 4, 2, 2};          // up1..up4
constexpr std::int64_t kHeadIn = 2;                                      // wherever the decoder ends

}  // namespace

UnetSkeleton::UnetSkeleton(Parameters& parameters, const UnetShape& shape) {
  const std::int64_t c = shape.channels;
  const auto up_levels = static_cast<std::size_t>(shape.up_levels);
  const std::size_t kept = shape.unused_layers ? kLevels : up_levels;
  REGATTA_REQUIRE(up_levels >= 2 && up_levels <= kLevels, BugError, "a decoder of ", up_levels, " levels");
  const auto block = [&](const std::string& name, std::int64_t in, std::int64_t out, std::int64_t stride) {
    const ConvShape conv{
        .in = in, .out = out, .stride = stride, .activation = shape.activation, .slope_name = name + ".1.weight"};
    return Conv3d(parameters, name + ".0", conv);
  };
  encoder_.push_back(block("eninput", kImages, c, 1));
  for (std::size_t i = 0; i < kEncoder.size(); ++i) {
    encoder_.push_back(block(str("ec", i + 1), kEncoder[i].in * c, kEncoder[i].out * c, i % 2 == 1 ? 2 : 1));
  }
  for (std::size_t i = 0; i < 2 * kept; ++i) {
    decoder_.push_back(block(str(shape.decoder_prefix, "dc", i + 1), kDecoder[i].in * c, kDecoder[i].out * c, 1));
  }
  for (const std::string& name : shape.heads) {
    heads_.emplace_back(
        parameters, name + ".0",
        ConvShape{.in = kHeadIn * c, .out = 3, .kernel = shape.head_kernel, .bias = false, .field = true});
  }
  for (std::size_t i = 0; i < kept; ++i) {
    const std::string name = str(shape.decoder_prefix, "up", i + 1);
    const ConvShape up{
        .in = kUp[i] * c, .out = kUp[i] * c, .activation = shape.activation, .slope_name = name + ".1.weight"};
    ups_.emplace_back(parameters, name + ".0", up);
  }
  decoder_.erase(decoder_.begin() + static_cast<std::ptrdiff_t>(2 * up_levels), decoder_.end());
  ups_.erase(ups_.begin() + static_cast<std::ptrdiff_t>(up_levels), ups_.end());
}

std::vector<at::Tensor> UnetSkeleton::operator()(const at::Tensor& images) const {
  std::vector<Feature> kept;
  Feature x = images;
  for (std::size_t i = 0; i < encoder_.size(); ++i) {  // eninput and ec1, then two a level
    x = encoder_[i]({x});
    if (i % 2 == 1) {
      kept.push_back(x);
    }
  }
  kept.pop_back();  // the bottom
  for (std::size_t level = 0; level < ups_.size(); ++level) {
    const Feature joined = decoder_[2 * level]({ups_[level](x), kept.back()});
    kept.pop_back();
    x = decoder_[2 * level + 1]({joined});
  }
  std::vector<at::Tensor> fields;
  for (const Conv3d& head : heads_) {
    fields.push_back(head({x}).value());
  }
  return fields;
}

at::Tensor integrate_within_borders(const at::Tensor& velocity, int steps, Backend backend) {
  return integrate(velocity, {.steps = steps, .warp = {.outside = Outside::kBorder, .backend = backend}});
}

}  // namespace regatta::models
