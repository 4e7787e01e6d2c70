// VoxelMorph as its own repository ships it (class VxmDense of the PyTorch part): a U-Net with pooling, its flow read
// as a stationary velocity that is integrated at half resolution. Parameter names and order are the reference's. The
// loss of the reference weights the smoothness of the velocity with int_downsize times its weight: a matter of the
// recipe. Sources: Balakrishnan et al., "VoxelMorph: a learning framework for deformable medical image registration",
// TMI 2019; Dalca et al., "Unsupervised learning of probabilistic diffeomorphic registration for images and surfaces",
// MedIA 2019.
#include <array>
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
constexpr double kLeakySlope = 0.2;
constexpr std::size_t kMostLevels = 8;
constexpr int kHalf = 2;
const char* const kPointer = "/model/options";

struct VxmDenseOptions {
  std::vector<int> encoder = {16, 32, 32, 32};
  std::vector<int> decoder = {32, 32, 32, 32, 32, 16, 16};
  int int_steps = 7;
  int int_downsize = kHalf;
  bool bidirectional = false;
  bool half_resolution = false;

  template <class Self, class V>
  static void visit(Self& s, V&& v) {
    v("encoder", s.encoder, "output channels of the convolutions, each before a pooling by two", between(1, 4096));
    v("decoder", s.decoder, "output channels: one convolution a level, then those at the last resolution",
      between(1, 4096));
    v("int_steps", s.int_steps, "squarings; 0: the network's output is the displacement itself", between(0, 16));
    v("int_downsize", s.int_downsize, "2: integrate at half resolution, 1: at full resolution", between(1, kHalf));
    v("bidirectional", s.bidirectional, "the fixed volume is warped too, by the integral of the negated velocity");
    v("half_resolution", s.half_resolution,
      "the network ends at half resolution, without its last up-sampling (unet_half_res of the reference)");
  }
};

void check_options(const VxmDenseOptions& options) {
  const std::size_t levels = options.encoder.size();
  REGATTA_REQUIRE(levels >= 1 && levels <= kMostLevels, ConfigError, kPointer, "/encoder: ", levels,
                  " values, expected 1..", kMostLevels);
  REGATTA_REQUIRE(options.decoder.size() >= levels, ConfigError, kPointer, "/decoder: ", options.decoder.size(),
                  " values, expected at least ", levels, ", one for each of the encoder");
  REGATTA_REQUIRE(!options.half_resolution || (options.int_steps > 0 && options.int_downsize == kHalf), ConfigError,
                  kPointer, "/half_resolution: true needs int_downsize ", kHalf, " and int_steps above 0, got ",
                  options.int_downsize, " and ", options.int_steps);
}

class VxmDense final : public Model, public VelocityModel {
 public:
  VxmDense(const VxmDenseOptions& options, const NetworkContext& context)
      : Model(options, context, HasFastForm{}), chosen_(options) {
    const std::vector<int>& enc = chosen_.encoder;
    const std::vector<int>& dec = chosen_.decoder;
    std::int64_t channels = kImages;
    for (std::size_t level = 0; level < enc.size(); ++level) {
      channels = add_block(encoder_, str("encoder.", level, ".0"), channels, enc[level]);
    }
    for (std::size_t level = 0; level < enc.size(); ++level) {
      channels = add_block(decoder_, str("decoder.", level, ".0"), channels, dec[level]);
      channels += level < joins() ? enc[enc.size() - 1 - level] : 0;
    }
    for (std::size_t i = 0; i + enc.size() < dec.size(); ++i) {
      channels = add_block(remaining_, str("remaining.", i), channels, dec[enc.size() + i]);
    }
    const ConvShape head{
        .in = channels, .out = 3, .weight_init = Init::normal(1e-5), .bias_init = Init::constant(0.0), .field = true};
    flow_.emplace_back(parameters_, "flow", head);
  }

  ModelOutput forward(const at::Tensor& moving, const at::Tensor& fixed) override {
    check_sizes("voxelmorph", moving, fixed, size_multiple());
    const at::Tensor output = unet(join_images(moving, fixed, context()));
    if (chosen_.int_steps == 0) {
      return with_warps(moving, fixed, output, output, chosen_.bidirectional ? output.neg() : at::Tensor());
    }
    const bool shrink = chosen_.int_downsize == kHalf && !chosen_.half_resolution;
    // The reference scales values by the ratio of sizes although its corners are aligned.
    const at::Tensor velocity =
        shrink ? resize(output, half_grid(moving), resizing()).mul(1.0 / kHalf) : output;  // voxels of its own grid
    const at::Tensor inverse = chosen_.bidirectional ? integrated(velocity.neg(), moving) : at::Tensor();
    return with_warps(moving, fixed, velocity, integrated(velocity, moving), inverse);
  }

  int size_multiple() const override { return 1 << encoder_.size(); }

  bool regularises_velocity() const override { return chosen_.int_steps > 0; }

  at::Tensor displacement_of(const at::Tensor& velocity, const at::Tensor& volume) const override {
    return integrated(velocity, volume);
  }

  bool numerical_on_cuda() const override {  // by reference a sampled field wants a gradient
    return context().backend == Backend::kReference && chosen_.int_steps > 0;
  }

 private:
  /// Number of up-samplings, each followed by a skip connection.
  std::size_t joins() const { return chosen_.encoder.size() - (chosen_.half_resolution ? 1 : 0); }

  std::int64_t add_block(std::vector<Conv3d>& blocks, const std::string& name, std::int64_t in, std::int64_t out) {
    const ConvShape shape{.in = in, .out = out, .activation = Activation::leaky(kLeakySlope)};
    blocks.emplace_back(parameters_, str("unet_model.", name, ".main"), shape);
    return out;
  }

  /// [N, 3, D, H, W], or at half resolution.
  at::Tensor unet(const at::Tensor& images) const {
    std::vector<Feature> kept;
    std::vector<Feature> x = {images};
    for (const Conv3d& conv : encoder_) {
      kept.push_back(conv(x));
      x = {max_pool(kept.back())};
    }
    for (std::size_t level = 0; level < decoder_.size(); ++level) {
      const Feature out = decoder_[level](x);
      x = level < joins() ? std::vector<Feature>{upsample_nearest(out), kept[kept.size() - 1 - level]}
                          : std::vector<Feature>{out};
    }
    for (const Conv3d& conv : remaining_) {
      x = {conv(x)};
    }
    return flow_.front()(x).value();
  }

  ResizeOptions resizing() const { return {.align_corners = true, .backend = context().backend}; }

  static std::array<std::int64_t, 3> half_grid(const at::Tensor& volume) {
    return {volume.size(2) / kHalf, volume.size(3) / kHalf, volume.size(4) / kHalf};
  }

  /// [N, 3, D, H, W] voxels
  at::Tensor integrated(const at::Tensor& velocity, const at::Tensor& volume) const {
    const at::Tensor field = integrate(velocity, {.steps = chosen_.int_steps, .warp = {.backend = context().backend}});
    return chosen_.int_downsize == kHalf ? resize(field.mul(kHalf), grid_of(volume), resizing()) : field;
  }

  /// The inverse velocity is the negated one, so that there is no second field to regularise.
  ModelOutput with_warps(const at::Tensor& moving, const at::Tensor& fixed, const at::Tensor& velocity,
                         const at::Tensor& flow, const at::Tensor& inverse) const {
    const WarpOptions options = {.backend = context().backend};
    ModelOutput out{.warped = warp(moving, flow, options), .flow = flow, .regularised = velocity};
    if (inverse.defined()) {
      out.inverse_flow = inverse;
      out.inverse_warped = warp(fixed, inverse, options);
    }
    return out;
  }

  VxmDenseOptions chosen_;
  std::vector<Conv3d> encoder_;
  std::vector<Conv3d> decoder_;
  std::vector<Conv3d> remaining_;
  std::vector<Conv3d> flow_;
};

}  // namespace

std::unique_ptr<Model> make_vxm_dense(const std::string&, const Json& options, const NetworkContext& context) {
  VxmDenseOptions chosen;
  read_options(options, chosen, kPointer);
  check_options(chosen);
  return std::make_unique<VxmDense>(chosen, context);
}

}  // namespace regatta::models
