#include "nn/models/parts/transmorph_parts.hpp"

#include <utility>

#include "nn/layers/resize.hpp"
#include "nn/models/common.hpp"

namespace regatta::models {
namespace {

constexpr double kSlope = 0.01;

const std::vector<std::pair<const char*, SwinSize>>& sizes() {
  static const std::vector<std::pair<const char*, SwinSize>> table = {
      {"transmorph-tiny", {6, {2, 2, 4, 2}, {2, 2, 4, 4}}},
      {"transmorph-small", {48, {2, 2, 4, 2}, {4, 4, 4, 4}}},
      {"transmorph", {}},
      {"transmorph-large", {128, {2, 2, 12, 2}, {4, 4, 8, 16}}},
  };
  return table;
}

void require_length(const char* option, std::size_t length, std::size_t expected) {
  REGATTA_REQUIRE(length == expected, ConfigError, "/model/options/", option, ": ", length, " values, expected ",
                  expected);
}

}  // namespace

SwinSize swin_size(const std::string& name) {
  for (const auto& [known, size] : sizes()) {
    if (name == known) {
      return size;
    }
  }
  throw BugError(str("no size of the Swin encoder is called '", name, "'"));
}

SwinShape swin_shape(const SwinSize& size, const SwinChoices& choices) {
  require_length("depths", size.depths.size(), kSwinStages);
  require_length("heads", size.heads.size(), kSwinStages);
  require_length("window", choices.window.size(), 3);
  REGATTA_REQUIRE(size.embed_dim % 2 == 0, ConfigError, "/model/options/embed_dim: ", size.embed_dim,
                  " is odd, expected an even number");
  for (std::size_t stage = 0; stage < kSwinStages; ++stage) {
    const int channels = size.embed_dim << stage;
    REGATTA_REQUIRE(channels % size.heads[stage] == 0, ConfigError, "/model/options/heads/", stage, ": ",
                    size.heads[stage], " heads do not divide the stage's ", channels, " channels");
  }
  SwinShape shape;
  shape.embed_dim = size.embed_dim;
  shape.depths = size.depths;
  shape.heads = size.heads;
  shape.window = choices.window;
  shape.position = choices.position == "learned"      ? Position::kLearned
                   : choices.position == "sinusoidal" ? Position::kSinusoidal
                                                      : Position::kNone;
  shape.relative_position = choices.relative_position;
  shape.drop_path = choices.drop_path;
  shape.recompute = choices.recompute;
  return shape;
}

ConvNorm::ConvNorm(Parameters& parameters, const std::string& name, std::int64_t in, std::int64_t out, bool may_widen)
    : conv_(parameters, name + ".0", {.in = in, .out = out, .bias = false, .may_widen = may_widen}),
      norm_(Activation::leaky(kSlope)) {}

at::Tensor ConvNorm::operator()(const std::vector<Feature>& inputs) const {
  return norm_(conv_(inputs).value());
}

Skip ConvNorm::skip(const std::vector<Feature>& inputs) const {
  return {conv_(inputs).value(), kSlope};
}

at::Tensor ConvNorm::of_upsampled(const at::Tensor& input, const Skip& skip) const {
  return norm_(conv_.of_upsampled(input, skip).value());
}

DecoderBlock::DecoderBlock(Parameters& parameters, const std::string& name, std::int64_t in, std::int64_t skip,
                           std::int64_t out, bool last)
    : skip_(skip),
      conv1_(parameters, name + ".conv1", in + skip, out, /*may_widen=*/true),
      conv2_(parameters, name + ".conv2", out, out, !last) {}

at::Tensor DecoderBlock::operator()(const at::Tensor& input, const Skip& skip) const {
  return conv2_({conv1_.of_upsampled(input, skip_ > 0 ? skip : Skip{})});
}

}  // namespace regatta::models
