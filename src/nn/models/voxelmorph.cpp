// VoxelMorph as the TransMorph repository ships it (classes VxmDense_1, _2, x2, huge): a U-Net with strided
// convolutions, a 3-channel head, one warp, no integration. Parameter names and order are the reference's.
// Source: Balakrishnan et al., "VoxelMorph: a learning framework for deformable medical image registration", TMI 2019.
#include <array>
#include <string>
#include <vector>

#include "nn/layers/conv.hpp"
#include "nn/layers/resize.hpp"
#include "nn/models/common.hpp"
#include "regatta/base/error.hpp"
#include "regatta/config/options.hpp"
#include "regatta/nn/model.hpp"
#include "regatta/nn/warp.hpp"

namespace regatta::models {
namespace {

constexpr std::size_t kEncoderLevels = 4;
constexpr std::size_t kDecoderConvs = 7;
constexpr int kSizeMultiple = 16;  // 2^levels: the skip connections meet
constexpr std::int64_t kImages = 2;
constexpr double kLeakySlope = 0.2;

struct VoxelmorphOptions {
  std::vector<int> encoder = {16, 32, 32, 32};
  std::vector<int> decoder = {32, 32, 32, 32, 32, 16, 16};

  template <class Self, class V>
  static void visit(Self& s, V&& v) {
    v("encoder", s.encoder, "output channels of the 4 strided convolutions", between(1, 4096));
    v("decoder", s.decoder, "output channels of the 4 decoder convolutions and the 3 at full resolution",
      between(1, 4096));
  }
};

struct Preset {
  const char* name;
  VoxelmorphOptions features;
};

const std::vector<Preset>& presets() {
  static const std::vector<Preset> table = {
      {"voxelmorph-1", {{8, 32, 32, 32}, {32, 32, 32, 32, 32, 8, 8}}},
      {"voxelmorph-2", {{16, 32, 32, 32}, {32, 32, 32, 32, 32, 16, 16}}},
      {"voxelmorph-x2", {{32, 64, 64, 64}, {64, 64, 64, 64, 64, 32, 32}}},
      {"voxelmorph-huge", {{14, 28, 144, 320}, {1152, 1152, 320, 144, 28, 14, 14}}},
  };
  return table;
}

class Voxelmorph final : public Model {
 public:
  template <class Options>
  Voxelmorph(const Options& options, const VoxelmorphOptions& features, const NetworkContext& context)
      : Model(options, context, HasFastForm{}) {
    const std::vector<int>& enc = features.encoder;
    const std::vector<int>& dec = features.decoder;
    for (std::size_t level = 0; level < kEncoderLevels; ++level) {
      add_block(down_, "downarm", level == 0 ? kImages : enc[level - 1], enc[level], 2);
    }
    add_block(up_, "uparm", enc[3], dec[0], 1);
    for (std::size_t level = 1; level < kEncoderLevels; ++level) {
      add_block(up_, "uparm", dec[level - 1] + enc[kEncoderLevels - 1 - level], dec[level], 1);
    }
    add_block(extras_, "extras", dec[3] + kImages, dec[4], 1);
    add_block(extras_, "extras", dec[4], dec[5], 1);
    add_block(extras_, "extras", dec[5], dec[6], 1);
    const ConvShape head{
        .in = dec[6], .out = 3, .weight_init = Init::normal(1e-5), .bias_init = Init::constant(0.0), .field = true};
    flow_.emplace_back(parameters_, "flow", head);
  }

  ModelOutput forward(const at::Tensor& moving, const at::Tensor& fixed) override {
    check_sizes("voxelmorph", moving, fixed, kSizeMultiple);
    const at::Tensor images = join_images(moving, fixed, context());
    std::vector<Feature> kept = {images};
    for (const Conv3d& conv : down_) {
      kept.push_back(conv({kept.back()}));
    }
    std::vector<Feature> x = {kept.back()};
    kept.pop_back();
    for (const Conv3d& conv : up_) {
      x = {upsample_nearest(conv(x)), kept.back()};
      kept.pop_back();
    }
    for (const Conv3d& conv : extras_) {
      x = {conv(x)};
    }
    const at::Tensor flow = flow_.front()(x).value();  // [N, 3, D, H, W] voxels
    return {.warped = warp(moving, flow, {.backend = context().backend}), .flow = flow, .regularised = flow};
  }

  int size_multiple() const override { return kSizeMultiple; }

 private:
  void add_block(std::vector<Conv3d>& blocks, const std::string& arm, std::int64_t in, std::int64_t out,
                 std::int64_t stride) {
    const std::string name = str("unet_model.", arm, ".", blocks.size(), ".main");
    blocks.emplace_back(
        parameters_, name,
        ConvShape{.in = in, .out = out, .stride = stride, .activation = Activation::leaky(kLeakySlope)});
  }

  std::vector<Conv3d> down_;
  std::vector<Conv3d> up_;
  std::vector<Conv3d> extras_;
  std::vector<Conv3d> flow_;
};

}  // namespace

std::unique_ptr<Model> make_voxelmorph(const std::string& name, const Json& options, const NetworkContext& context) {
  const std::string pointer = "/model/options";
  for (const Preset& preset : presets()) {
    if (preset.name == name) {
      const NoOptions none = read_no_options(options);
      return std::make_unique<Voxelmorph>(none, preset.features, context);
    }
  }
  VoxelmorphOptions chosen;
  read_options(options, chosen, pointer);
  REGATTA_REQUIRE(chosen.encoder.size() == kEncoderLevels, ConfigError, pointer, "/encoder: ", chosen.encoder.size(),
                  " values, expected ", kEncoderLevels);
  REGATTA_REQUIRE(chosen.decoder.size() == kDecoderConvs, ConfigError, pointer, "/decoder: ", chosen.decoder.size(),
                  " values, expected ", kDecoderConvs);
  return std::make_unique<Voxelmorph>(chosen, chosen, context);
}

}  // namespace regatta::models
