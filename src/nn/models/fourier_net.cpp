// Fourier-Net: a U-Net whose decoder stops at a quarter of the resolution; its output is the low-frequency part of the
// field, which a zero-padded Fourier transform makes full size. Parameter names and order are the reference's.
// Units as the reference: the padded transform divides by 64, the result is in [-1, 1] coordinates, made voxels here.
// Source: Jia et al., "Fourier-Net: fast image registration with band-limited deformation", AAAI 2023.
#include "nn/layers/band_limited.hpp"
#include "nn/layers/resize.hpp"
#include "nn/models/common.hpp"
#include "nn/models/parts/unet_skeleton.hpp"
#include "regatta/config/options.hpp"
#include "regatta/nn/model.hpp"
#include "regatta/nn/velocity_model.hpp"
#include "regatta/nn/warp.hpp"

namespace regatta::models {
namespace {

constexpr int kUpLevels = 2;  // of four: the field is predicted at 1/4

struct FourierNetOptions {
  int channels = 8;
  bool diffeomorphic = false;
  int int_steps = 7;
  bool unused = false;

  template <class Self, class V>
  static void visit(Self& s, V&& v) {
    v("channels", s.channels, "channels at full resolution; 2, 4, 8 and 8 times as many below", between(1, 256));
    v("diffeomorphic", s.diffeomorphic, "the output is a velocity that is integrated, not the displacement");
    v("int_steps", s.int_steps, "squarings of a diffeomorphic network", between(1, 16));
    v("unused", s.unused,
      "parameters for the layers that the reference's files hold and its network never runs (r_dc5..8, r_up3, r_up4)");
  }
};

class FourierNet final : public Model, public VelocityModel {
 public:
  FourierNet(const FourierNetOptions& options, const NetworkContext& context)
      : Model(options, context, HasFastForm{}),
        chosen_(options),
        skeleton_(parameters_, {.channels = options.channels,
                                .activation = Activation::prelu(),
                                .decoder_prefix = "r_",
                                .up_levels = kUpLevels,
                                .unused_layers = options.unused,
                                .heads = {"rr_dc9"}}) {}

  ModelOutput forward(const at::Tensor& moving, const at::Tensor& fixed) override {
    check_sizes("fourier-net", moving, fixed, size_multiple());
    const std::vector<at::Tensor> low = skeleton_(join_images(moving, fixed, context()));  // [N, 3, D/4, H/4, W/4]
    const at::Tensor field =                                                               // [N, 3, D, H, W] voxels
        scale_components(decode_(low.front(), grid_of(moving)), voxels_per_unit(moving));
    const at::Tensor flow =
        chosen_.diffeomorphic ? integrate_within_borders(field, chosen_.int_steps, context().backend) : field;
    return {.warped = warp(moving, flow, {.backend = context().backend}), .flow = flow, .regularised = field};
  }

  int size_multiple() const override { return UnetSkeleton::kSizeMultiple; }

  bool regularises_velocity() const override { return chosen_.diffeomorphic; }

  at::Tensor displacement_of(const at::Tensor& velocity, const at::Tensor&) const override {
    return integrate_within_borders(velocity, chosen_.int_steps, context().backend);
  }

  bool numerical_on_cuda() const override {  // by reference a sampled field wants a gradient
    return context().backend == Backend::kReference && chosen_.diffeomorphic;
  }

 private:
  FourierNetOptions chosen_;
  UnetSkeleton skeleton_;
  BandLimitedResize decode_;
};

}  // namespace

std::unique_ptr<Model> make_fourier_net(const std::string&, const Json& options, const NetworkContext& context) {
  FourierNetOptions chosen;
  read_options(options, chosen, "/model/options");
  return std::make_unique<FourierNet>(chosen, context);
}

}  // namespace regatta::models
