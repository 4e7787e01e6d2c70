// Fourier-Net+, one stage: the images too are cut to their low frequencies, half the size along each axis, before a
// small network without skip connections; its output at a quarter of the resolution is decoded as in Fourier-Net.
// Parameter names and order are the reference's; intensities reach the network times 8, as its transforms leave them.
// Source: Jia et al., "Fourier-Net+: leveraging band-limited representation for efficient 3D medical image
// registration", arXiv 2307.02997.
#include <array>
#include <string>
#include <vector>

#include "nn/layers/band_limited.hpp"
#include "nn/layers/conv.hpp"
#include "nn/layers/resize.hpp"
#include "nn/models/common.hpp"
#include "nn/models/parts/unet_skeleton.hpp"
#include "regatta/config/options.hpp"
#include "regatta/nn/model.hpp"
#include "regatta/nn/velocity_model.hpp"
#include "regatta/nn/warp.hpp"

namespace regatta::models {
namespace {

constexpr int kSizeMultiple = 16;  // half the size, then three strided convolutions

struct FourierNetPlusOptions {
  int channels = 16;
  bool diffeomorphic = false;
  int int_steps = 7;

  template <class Self, class V>
  static void visit(Self& s, V&& v) {
    v("channels", s.channels, "channels at half resolution; 2, 4 and 8 times as many below", between(1, 256));
    v("diffeomorphic", s.diffeomorphic, "the output is a velocity that is integrated, not the displacement");
    v("int_steps", s.int_steps, "squarings of a diffeomorphic network", between(1, 16));
  }
};

class FourierNetPlus final : public Model, public VelocityModel {
 public:
  FourierNetPlus(const FourierNetPlusOptions& options, const NetworkContext& context)
      : Model(options, context, HasFastForm{}), chosen_(options) {
    const std::int64_t c = options.channels;
    add_block(encoder_, "eninput", 2, c, 1);
    add_block(encoder_, "ec1", c, c, 1);
    add_block(encoder_, "ec2", c, 2 * c, 2);
    add_block(encoder_, "ec3", 2 * c, 2 * c, 1);
    add_block(encoder_, "ec4", 2 * c, 4 * c, 2);
    add_block(encoder_, "ec5", 4 * c, 4 * c, 1);
    add_block(encoder_, "ec6", 4 * c, 8 * c, 2);
    add_block(encoder_, "ec7", 8 * c, 4 * c, 1);
    add_block(decoder_, "dc1", 4 * c, 4 * c, 1);
    add_block(decoder_, "dc2", 4 * c, 2 * c, 1);
    add_block(decoder_, "dc3", 2 * c, c, 1);
    decoder_.emplace_back(parameters_, "net1.dc9.0", ConvShape{.in = c, .out = 3, .bias = false, .field = true});
    add_up("up1", 4 * c);
    add_up("up2", 2 * c);
  }

  ModelOutput forward(const at::Tensor& moving, const at::Tensor& fixed) override {
    check_sizes("fourier-net-plus", moving, fixed, kSizeMultiple);
    const std::array<std::int64_t, 3> full = grid_of(moving);
    NetworkContext exact = context();
    exact.backend = Backend::kReference;  // the transforms are in float32
    Feature x = band_limit_(join_images(moving, fixed, exact), {full[0] / 2, full[1] / 2, full[2] / 2});
    for (const Conv3d& conv : encoder_) {
      x = conv({x});
    }
    x = decoder_[1]({decoder_[0]({ups_[0](x)})});
    const Feature low = decoder_[3]({decoder_[2]({ups_[1](x)})});  // [N, 3, D/4, H/4, W/4]
    const at::Tensor field =                                       // [N, 3, D, H, W] voxels
        scale_components(band_limit_(low.value(), full), voxels_per_unit(moving));
    const at::Tensor flow =
        chosen_.diffeomorphic ? integrate_within_borders(field, chosen_.int_steps, context().backend) : field;
    return {.warped = warp(moving, flow, {.backend = context().backend}), .flow = flow, .regularised = field};
  }

  int size_multiple() const override { return kSizeMultiple; }

  bool regularises_velocity() const override { return chosen_.diffeomorphic; }

  at::Tensor displacement_of(const at::Tensor& velocity, const at::Tensor&) const override {
    return integrate_within_borders(velocity, chosen_.int_steps, context().backend);
  }

  bool numerical_on_cuda() const override {  // by reference a sampled field wants a gradient
    return context().backend == Backend::kReference && chosen_.diffeomorphic;
  }

 private:
  void add_block(std::vector<Conv3d>& blocks, const std::string& layer, std::int64_t in, std::int64_t out,
                 std::int64_t stride) {
    const std::string name = "net1." + layer;
    blocks.emplace_back(parameters_, name + ".0",
                        ConvShape{.in = in,
                                  .out = out,
                                  .stride = stride,
                                  .activation = Activation::prelu(),
                                  .slope_name = name + ".1.weight"});
  }

  void add_up(const std::string& layer, std::int64_t channels) {
    const std::string name = "net1." + layer;
    ups_.emplace_back(
        parameters_, name + ".0",
        ConvShape{
            .in = channels, .out = channels, .activation = Activation::prelu(), .slope_name = name + ".1.weight"});
  }

  FourierNetPlusOptions chosen_;
  std::vector<Conv3d> encoder_;
  std::vector<Conv3d> decoder_;
  std::vector<UpConv3d> ups_;
  BandLimitedResize band_limit_;
};

}  // namespace

std::unique_ptr<Model> make_fourier_net_plus(const std::string&, const Json& options, const NetworkContext& context) {
  FourierNetPlusOptions chosen;
  read_options(options, chosen, "/model/options");
  return std::make_unique<FourierNetPlus>(chosen, context);
}

}  // namespace regatta::models
