// TransMorph: a Swin encoder, a convolutional decoder with skip connections of both, one warp. The "-oasis" networks
// predict at half resolution. Parameter names and order are the reference's.
// Source: Chen et al., "TransMorph: transformer for unsupervised medical image registration", MedIA 2022.
#include <optional>
#include <string>

#include "nn/layers/resize.hpp"
#include "nn/models/common.hpp"
#include "nn/models/parts/shifted_grid.hpp"
#include "nn/models/parts/transmorph_parts.hpp"
#include "regatta/nn/model.hpp"
#include "regatta/nn/warp.hpp"

namespace regatta::models {
namespace {

constexpr std::int64_t kHeadChannels = 16;
constexpr const char* kOasisEnding = "-oasis";

struct TransmorphChoices : SwinChoices {
  bool conv_skip = true;
  bool trans_skip = true;
  bool shifted_grid = false;

  template <class Self, class V>
  static void visit(Self& s, V&& v) {
    SwinChoices::visit(s, v);
    v("conv_skip", s.conv_skip, "skip connections from convolutions of the images");
    v("trans_skip", s.trans_skip, "skip connections from the transformer's stages");
    v("shifted_grid", s.shifted_grid,
      "sample as the authors' OASIS code does (up to half a voxel off towards the borders): only for its weights");
  }
};

/// `transmorph` itself: the encoder's size is free too.
struct TransmorphOptions : SwinSize, TransmorphChoices {
  template <class Self, class V>
  static void visit(Self& s, V&& v) {
    SwinSize::visit(s, v);
    TransmorphChoices::visit(s, v);
  }
};

class Transmorph final : public Model {
 public:
  template <class Options>
  Transmorph(const Options& options, const SwinSize& size, const TransmorphChoices& choices, bool half,
             const NetworkContext& context)
      : Model(options, context, HasFastForm{}),
        choices_(choices),
        half_(half),
        encoder_(parameters_, "transformer", swin_shape(size, choices)) {
    const std::int64_t e = size.embed_dim;
    const auto from_stage = [&](std::int64_t channels) { return choices.trans_skip ? channels : 0; };
    const auto from_images = [&](std::int64_t channels) { return choices.conv_skip ? channels : 0; };
    up_.emplace_back(parameters_, "up0", 8 * e, from_stage(4 * e), 4 * e);
    up_.emplace_back(parameters_, "up1", 4 * e, from_stage(2 * e), 2 * e);
    up_.emplace_back(parameters_, "up2", 2 * e, from_stage(e), e);
    up_.emplace_back(parameters_, "up3", e, from_images(e / 2), half ? kHeadChannels : e / 2, half);
    if (!half) {
      up_.emplace_back(parameters_, "up4", e / 2, from_images(kHeadChannels), kHeadChannels, true);
    }
    half_images_.emplace(parameters_, "c1", 2, e / 2);
    full_images_.emplace(parameters_, "c2", 2, kHeadChannels);  // unused at half resolution, as in the reference
    head_.emplace(parameters_, "reg_head.0",
                  ConvShape{.in = kHeadChannels,
                            .out = 3,
                            .weight_init = Init::normal(1e-5),
                            .bias_init = Init::constant(0.0),
                            .field = true});
  }

  ModelOutput forward(const at::Tensor& moving, const at::Tensor& fixed) override {
    check_sizes("transmorph", moving, fixed, kSwinMultiple);
    const at::Tensor images = join_images(moving, fixed, context());
    const std::vector<at::Tensor> stages = encoder_(images, draw());
    at::Tensor x = up_[0](stages[3], {stages[2]});
    x = up_[1](x, {stages[1]});
    x = up_[2](x, {stages[0]});
    x = up_[3](x, choices_.conv_skip ? half_images_->skip({average_pool(images, 3, 2)}) : Skip{});
    if (!half_) {
      x = up_[4](x, choices_.conv_skip ? full_images_->skip({images}) : Skip{});
    }
    at::Tensor flow = (*head_)({x}).value();  // voxels of the full grid, at half resolution too
    flow = half_ ? upsample_trilinear(flow, {.backend = context().backend}) : flow;
    return {.warped = warp(moving, flow, {.shifted_grid = choices_.shifted_grid, .backend = context().backend}),
            .flow = choices_.shifted_grid ? follow_shifted_grid(flow) : flow,
            .regularised = flow};
  }

  int size_multiple() const override { return kSwinMultiple; }

 private:
  TransmorphChoices choices_;
  bool half_;
  SwinEncoder encoder_;
  std::vector<DecoderBlock> up_;
  std::optional<ConvNorm> half_images_;
  std::optional<ConvNorm> full_images_;
  std::optional<Conv3d> head_;
};

}  // namespace

std::unique_ptr<Model> make_transmorph(const std::string& name, const Json& options, const NetworkContext& context) {
  if (name == "transmorph") {
    TransmorphOptions chosen;
    read_options(options, chosen, "/model/options");
    return std::make_unique<Transmorph>(chosen, chosen, chosen, false, context);
  }
  const bool half = name.ends_with(kOasisEnding);
  const std::string size = half ? name.substr(0, name.size() - std::string(kOasisEnding).size()) : name;
  TransmorphChoices chosen;
  read_options(options, chosen, "/model/options");
  return std::make_unique<Transmorph>(chosen, swin_size(size), chosen, half, context);
}

}  // namespace regatta::models
