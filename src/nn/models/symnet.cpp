// SYMNet: one U-Net, two velocities, both volumes meet in the middle. Parameter names and order are the reference's.
// Its fields have the components W, H, D in units of 100 voxels; here they are D, H, W in voxels.
// Source: Mok and Chung, "Fast symmetric diffeomorphic image registration with convolutional neural networks", CVPR
// 2020.
#include <array>
#include <cmath>

#include <ATen/ops/stack.h>

#include "nn/layers/conv.hpp"
#include "nn/models/common.hpp"
#include "nn/models/parts/unet_skeleton.hpp"
#include "regatta/config/options.hpp"
#include "regatta/nn/model.hpp"
#include "regatta/nn/warp.hpp"

namespace regatta::models {
namespace {

constexpr double kRangeVoxels = 100.0;
constexpr int kScaleSteps = 7;  // velocities are divided by 2^7 whatever the number of squarings

struct SymnetOptions {
  int channels = 8;
  int int_steps = kScaleSteps;

  template <class Self, class V>
  static void visit(Self& s, V&& v) {
    v("channels", s.channels, "channels at full resolution; 2, 4, 8 and 8 times as many below", between(1, 256));
    v("int_steps", s.int_steps,
      "squarings of a velocity divided by 2^7: 7 as the reference trains, 6 to stop at half the time of the velocity",
      between(kScaleSteps - 1, kScaleSteps));
  }
};

class Symnet final : public Model {
 public:
  Symnet(const SymnetOptions& options, const NetworkContext& context)
      : Model(options, context, HasFastForm{}),
        steps_(options.int_steps),
        skeleton_(parameters_, {.channels = options.channels,
                                .activation = Activation::relu(),
                                .heads = {"dc9", "dc10"},
                                .head_kernel = 5}) {}

  ModelOutput forward(const at::Tensor& moving, const at::Tensor& fixed) override {
    check_sizes("symnet", moving, fixed, size_multiple());
    const std::vector<at::Tensor> outputs = skeleton_(join_images(moving, fixed, context()));
    ModelOutput out;
    out.regularised = voxels(outputs[0]);  // [N, 3, D, H, W] voxels, both velocities
    out.inverse_regularised = voxels(outputs[1]);
    out.halfway_flow = half(out.regularised);
    out.halfway_inverse_flow = half(out.inverse_regularised);
    const WarpOptions options = {.backend = context().backend};
    out.flow = compose(out.halfway_flow, half(out.inverse_regularised.neg()), options);
    out.inverse_flow = compose(out.halfway_inverse_flow, half(out.regularised.neg()), options);
    out.warped = warp(moving, out.flow, options);
    out.inverse_warped = warp(fixed, out.inverse_flow, options);
    out.halfway_moving = warp(moving, out.halfway_flow, options);
    out.halfway_fixed = warp(fixed, out.halfway_inverse_flow, options);
    return out;
  }

  int size_multiple() const override { return UnetSkeleton::kSizeMultiple; }

  bool numerical_on_cuda() const override {  // by reference integration samples a field that wants a gradient
    return context().backend == Backend::kReference;
  }

 private:
  at::Tensor voxels(const at::Tensor& output) const {
    constexpr std::array<double, 3> kRanges = {kRangeVoxels, kRangeVoxels, kRangeVoxels};
    const at::Tensor field = softsign(output, kRanges, context().backend);  // W, H, D
    return at::stack({field.select(1, 2), field.select(1, 1), field.select(1, 0)}, 1);
  }

  /// From one volume to the middle, in voxels.
  at::Tensor half(const at::Tensor& velocity) const {
    return integrate(velocity.mul(std::ldexp(1.0, -kScaleSteps)),
                     {.steps = steps_, .scale = false, .warp = {.backend = context().backend}});
  }

  int steps_;
  UnetSkeleton skeleton_;
};

}  // namespace

std::unique_ptr<Model> make_symnet(const std::string&, const Json& options, const NetworkContext& context) {
  SymnetOptions chosen;
  read_options(options, chosen, "/model/options");
  return std::make_unique<Symnet>(chosen, context);
}

}  // namespace regatta::models
