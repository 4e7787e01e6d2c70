// VoxelMorph-diff as the TransMorph repository ships it (class VoxelMorphMICCAI2019): a U-Net with strided convolutions
// to half resolution, a normal distribution of velocities there, its integral. Parameter names and order are the
// reference's; its two deviations from a diffeomorphism (no division by 2^7, no scaling of the up-sampled values) are
// an option. Source: Dalca et al., "Unsupervised learning for fast probabilistic diffeomorphic registration", MICCAI
// 2018.
#include <array>
#include <string>
#include <vector>

#include "nn/layers/conv.hpp"
#include "nn/layers/resize.hpp"
#include "nn/models/common.hpp"
#include "nn/models/parts/velocity_head.hpp"
#include "regatta/base/error.hpp"
#include "regatta/config/options.hpp"
#include "regatta/nn/model.hpp"
#include "regatta/nn/velocity_model.hpp"

namespace regatta::models {
namespace {

constexpr int kSizeMultiple = 16;  // 2^4 strided convolutions: the skip connections meet
constexpr std::array<std::int64_t, 6> kEncoder = {2, 16, 32, 32, 32, 32};  // channels in, then out of each
constexpr std::size_t kLevels = 3;                                         // up-samplings
constexpr std::int64_t kWide = 32;                                         // channels of the decoder
constexpr std::int64_t kLast = 16;
constexpr double kLeakySlope = 0.2;

struct VoxelmorphDiffOptions {
  bool reference = false;

  template <class Self, class V>
  static void visit(Self& s, V&& v) {
    v("reference", s.reference,
      "as the reference computes, for its weights: the velocity is not divided by 2^7 before the squarings, and the "
      "field's values are not doubled where it is up-sampled by two");
  }
};

class VoxelmorphDiff final : public Model, public VelocityModel {
 public:
  VoxelmorphDiff(const VoxelmorphDiffOptions& options, const NetworkContext& context)
      : Model(options, context, HasFastForm{}),
        encoder_(make_encoder(parameters_)),
        decoder_(make_decoder(parameters_)),
        head_(parameters_, kLast, options.reference) {}

  ModelOutput forward(const at::Tensor& moving, const at::Tensor& fixed) override {
    check_sizes("voxelmorph-diff", moving, fixed, kSizeMultiple);
    std::vector<Feature> kept = {join_images(moving, fixed, context())};
    for (const Conv3d& conv : encoder_) {
      kept.push_back(conv({kept.back()}));
    }
    std::vector<Feature> x = {kept.back()};
    for (std::size_t level = 0; level < kLevels; ++level) {  // 1/16 to 1/2
      x = {upsample_trilinear(decoder_[level](x).value()), kept[kEncoder.size() - 2 - level]};
    }
    const Feature half = decoder_[kLevels](x);  // [N, 32, D/2, H/2, W/2]
    return head_(decoder_[kLevels + 1]({half}), moving, draw());
  }

  int size_multiple() const override { return kSizeMultiple; }

  bool regularises_velocity() const override { return head_.gives_velocity(); }

  at::Tensor displacement_of(const at::Tensor& velocity, const at::Tensor& volume) const override {
    return head_.displacement_of(velocity, volume);
  }

  bool numerical_on_cuda() const override {  // by reference integration samples a field that wants a gradient
    return context().backend == Backend::kReference;
  }

 private:
  static Conv3d block(Parameters& parameters, const std::string& name, std::int64_t in, std::int64_t out,
                      std::int64_t stride) {
    const ConvShape shape{.in = in, .out = out, .stride = stride, .activation = Activation::leaky(kLeakySlope)};
    return {parameters, name + ".conv", shape};
  }

  static std::vector<Conv3d> make_encoder(Parameters& parameters) {
    std::vector<Conv3d> blocks;
    for (std::size_t i = 0; i + 1 < kEncoder.size(); ++i) {
      blocks.push_back(block(parameters, str("encoders.", i), kEncoder[i], kEncoder[i + 1], i == 0 ? 1 : 2));
    }
    return blocks;
  }

  static std::vector<Conv3d> make_decoder(Parameters& parameters) {
    std::vector<Conv3d> blocks;
    blocks.push_back(block(parameters, "decoders.0", kWide, kWide, 1));
    for (std::size_t level = 1; level <= kLevels; ++level) {
      blocks.push_back(block(parameters, str("decoders.", level), kWide + kWide, kWide, 1));
    }
    blocks.push_back(block(parameters, str("decoders.", kLevels + 1), kWide, kLast, 1));
    return blocks;
  }

  std::vector<Conv3d> encoder_;
  std::vector<Conv3d> decoder_;
  VelocityHead head_;
};

}  // namespace

std::unique_ptr<Model> make_voxelmorph_diff(const std::string&, const Json& options, const NetworkContext& context) {
  VoxelmorphDiffOptions chosen;
  read_options(options, chosen, "/model/options");
  return std::make_unique<VoxelmorphDiff>(chosen, context);
}

}  // namespace regatta::models
