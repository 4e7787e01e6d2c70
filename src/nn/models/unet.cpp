// The backbone U-Net of the LKU-Net paper: its network with plain 3x3x3 convolutions, 17363 c^2 + 314 c + 22
// parameters. The output is a displacement or a stationary velocity in [-1, 1] coordinates, made voxels here. Source:
// Jia et al., "U-Net vs Transformer: is U-Net outdated in medical image registration?", MLMI 2022.
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

struct UnetOptions {
  int channels = 8;
  bool diffeomorphic = false;
  int int_steps = 7;

  template <class Self, class V>
  static void visit(Self& s, V&& v) {
    v("channels", s.channels, "channels at full resolution; 2, 4, 8 and 8 times as many below", between(1, 256));
    v("diffeomorphic", s.diffeomorphic, "the output is a velocity that is integrated, not the displacement");
    v("int_steps", s.int_steps, "squarings of a diffeomorphic network", between(1, 16));
  }
};

class Unet final : public Model, public VelocityModel {
 public:
  Unet(const UnetOptions& options, const NetworkContext& context)
      : Model(options, context, HasFastForm{}),
        chosen_(options),
        skeleton_(parameters_, {.channels = options.channels, .activation = Activation::prelu(), .heads = {"dc9"}}) {}

  ModelOutput forward(const at::Tensor& moving, const at::Tensor& fixed) override {
    check_sizes("unet", moving, fixed, size_multiple());
    const std::vector<at::Tensor> outputs = skeleton_(join_images(moving, fixed, context()));
    const at::Tensor field =  // [N, 3, D, H, W] voxels
        softsign(outputs.front(), voxels_per_unit(moving), context().backend);
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
  UnetOptions chosen_;
  UnetSkeleton skeleton_;
};

}  // namespace

std::unique_ptr<Model> make_unet(const std::string&, const Json& options, const NetworkContext& context) {
  UnetOptions chosen;
  read_options(options, chosen, "/model/options");
  return std::make_unique<Unet>(chosen, context);
}

}  // namespace regatta::models
