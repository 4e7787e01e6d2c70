// VoxelMorph as the package voxelmorph 0.3.4 ships it (class VxmPairwise over the U-Net of the package neurite): one
// convolution a level, maximum pooling, linear up-sampling with the corner voxels in place, a velocity integrated at
// full resolution. Parameter names and order are the package's. Sources: Balakrishnan et al., "VoxelMorph: a learning
// framework for deformable medical image registration", TMI 2019; Dalca et al., "Unsupervised learning of
// probabilistic diffeomorphic registration for images and surfaces", MedIA 2019.
#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "nn/layers/conv.hpp"
#include "nn/layers/resize.hpp"
#include "nn/models/common.hpp"
#include "regatta/base/error.hpp"
#include "regatta/config/options.hpp"
#include "regatta/nn/model.hpp"
#include "regatta/nn/velocity_model.hpp"
#include "regatta/nn/warp.hpp"

namespace regatta::models {
namespace {

constexpr std::int64_t kImages = 2;
constexpr std::size_t kMostLevels = 8;
const char* const kPointer = "/model/options";
const char* const kDisplacement = "displacement";

struct VxmPairwiseOptions {
  std::vector<int> features = {16, 16, 16, 16, 16};
  std::vector<int> up_features{};
  int int_steps = 5;
  bool bidirectional = false;
  std::string regularised = kDisplacement;

  template <class Self, class V>
  static void visit(Self& s, V&& v) {
    v("features", s.features,
      "output channels of each level on the way down, a convolution before a pooling by two; 0: the pooling alone",
      between(0, 4096));
    v("up_features", s.up_features,
      "output channels at the lowest resolution, then of the levels on the way up, the last number for two; 0: the "
      "up-sampling alone; none: features from the last to the first",
      between(0, 4096));
    v("int_steps", s.int_steps, "squarings; 0: the network's output is the displacement itself", between(0, 16));
    v("bidirectional", s.bidirectional, "the fixed volume is warped too, by the integral of the negated velocity");
    v("regularised", s.regularised,
      "what smoothness losses see: the displacement, as in the package's training script, or the velocity",
      one_of({kDisplacement, "velocity"}));
  }
};

std::vector<int> up_features_of(const VxmPairwiseOptions& options) {
  return options.up_features.empty() ? std::vector<int>(options.features.rbegin(), options.features.rend())
                                     : options.up_features;
}

void check_options(const VxmPairwiseOptions& options) {
  const std::size_t levels = options.features.size();
  REGATTA_REQUIRE(levels >= 1 && levels <= kMostLevels, ConfigError, kPointer, "/features: ", levels,
                  " values, expected 1..", kMostLevels);
  REGATTA_REQUIRE(up_features_of(options).size() == levels, ConfigError, kPointer,
                  "/up_features: ", options.up_features.size(), " values, expected ", levels, ", as many as features");
  REGATTA_REQUIRE(!options.bidirectional || options.int_steps > 0, ConfigError, kPointer,
                  "/bidirectional: true needs int_steps above 0");
}

class VxmPairwise final : public Model, public VelocityModel {
 public:
  VxmPairwise(const VxmPairwiseOptions& options, const NetworkContext& context)
      : Model(options, context, HasFastForm{}),
        chosen_(options),
        flow_(parameters_, "flow_layer.conv0",
              {.in = 3, .out = 3, .weight_init = Init::normal(1e-5), .bias_init = Init::constant(0.0), .field = true}) {
    std::int64_t channels = kImages;
    std::vector<std::int64_t> kept;
    for (std::size_t level = 0; level < chosen_.features.size(); ++level) {
      add_block(down_, str("downsampling_conv_blocks.", level, ".conv_block"), channels, chosen_.features[level]);
      kept.push_back(channels);
    }
    const std::vector<int> up = up_features_of(chosen_);
    const int lowest = up.front() > 0 ? up.front() : static_cast<int>(channels);
    add_block(lowest_, "lowest_resolution_conv_block", channels, lowest);
    for (std::size_t i = 0; i < up.size(); ++i) {
      channels += kept[kept.size() - 1 - i];
      add_block(up_, str("upsampling_conv_blocks.", i, ".conv_block"), channels, up[std::min(i + 1, up.size() - 1)]);
    }
    out_.emplace(parameters_, "model.out_layer.conv0", ConvShape{.in = channels, .out = 3, .kernel = 1});
  }

  ModelOutput forward(const at::Tensor& moving, const at::Tensor& fixed) override {
    check_sizes("voxelmorph-pairwise", moving, fixed, size_multiple());
    const at::Tensor velocity = unet(join_images(moving, fixed, context()));  // [N, 3, D, H, W] voxels
    const WarpOptions warping = {.backend = context().backend};
    const bool by_displacement = chosen_.regularised == kDisplacement;
    ModelOutput out;
    out.flow = integrated(velocity);
    out.warped = warp(moving, out.flow, warping);
    out.regularised = by_displacement ? out.flow : velocity;
    if (chosen_.bidirectional) {
      out.inverse_flow = integrated(velocity.neg());
      out.inverse_warped = warp(fixed, out.inverse_flow, warping);
      // The inverse velocity is the negated one: there is no second field to regularise.
      out.inverse_regularised = by_displacement ? out.inverse_flow : at::Tensor();
    }
    return out;
  }

  int size_multiple() const override { return 1 << down_.size(); }

  bool regularises_velocity() const override { return chosen_.int_steps > 0 && chosen_.regularised != kDisplacement; }

  at::Tensor displacement_of(const at::Tensor& velocity, const at::Tensor&) const override {
    return integrated(velocity);
  }

  bool numerical_on_cuda() const override {  // by reference integration samples a field that wants a gradient
    return context().backend == Backend::kReference && chosen_.int_steps > 0;
  }

 private:
  using Blocks = std::vector<std::optional<Conv3d>>;

  /// Without features there is no convolution, and the channels stay.
  void add_block(Blocks& blocks, const std::string& name, std::int64_t& channels, int features) {
    std::optional<Conv3d>& block = blocks.emplace_back();
    if (features > 0) {
      const ConvShape shape{.in = channels, .out = features, .activation = Activation::relu()};
      block.emplace(parameters_, str("model.", name, ".conv0"), shape);
      channels = features;
    }
  }

  /// [N, 3, D, H, W] voxels
  at::Tensor unet(const at::Tensor& images) const {
    std::vector<Feature> kept;
    Feature low = images;
    for (const std::optional<Conv3d>& conv : down_) {
      kept.push_back(conv ? (*conv)({low}) : low);
      low = max_pool(kept.back());
    }
    std::vector<Feature> x = {(*lowest_.front())({low})};
    for (const std::optional<Conv3d>& conv : up_) {
      for (Feature& part : x) {
        part = upsample_trilinear(part.value(), {.align_corners = true});
      }
      x.push_back(kept.back());
      kept.pop_back();
      x = conv ? std::vector<Feature>{(*conv)(x)} : x;
    }
    return flow_.after(*out_, x).value();
  }

  at::Tensor integrated(const at::Tensor& velocity) const {
    return chosen_.int_steps == 0
               ? velocity
               : integrate(velocity, {.steps = chosen_.int_steps, .warp = {.backend = context().backend}});
  }

  VxmPairwiseOptions chosen_;
  Conv3d flow_;  // the first in the package's order
  Blocks down_;
  Blocks lowest_;
  Blocks up_;
  std::optional<Conv3d> out_;
};

}  // namespace

std::unique_ptr<Model> make_vxm_pairwise(const std::string&, const Json& options, const NetworkContext& context) {
  VxmPairwiseOptions chosen;
  read_options(options, chosen, kPointer);
  check_options(chosen);
  return std::make_unique<VxmPairwise>(chosen, context);
}

}  // namespace regatta::models
