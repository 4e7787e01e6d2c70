// TransMorph-bspl: TransMorph's encoder and decoder, a velocity on the control points of cubic B-splines, its integral.
// Sources: Chen et al., "TransMorph", MedIA 2022; Qiu et al., "Learning diffeomorphic and modality-invariant
// registration using B-splines" (MIDIR), MIDL 2021.
#include <array>
#include <cmath>
#include <optional>

#include <ATen/TensorOperators.h>
#include <ATen/ops/matmul.h>

#include "nn/layers/resize.hpp"
#include "nn/models/common.hpp"
#include "nn/models/parts/shifted_grid.hpp"
#include "nn/models/parts/transmorph_parts.hpp"
#include "regatta/nn/forms.hpp"
#include "regatta/nn/velocity_model.hpp"
#include "regatta/nn/warp.hpp"

namespace regatta::models {
namespace {

constexpr std::int64_t kHidden = 32;
constexpr double kSlope = 0.2;
constexpr std::int64_t kTaps = 27;
constexpr int kSteps = 7;

struct TransmorphBsplOptions : SwinSize, SwinChoices {
  int spacing = 3;
  bool reference = false;

  template <class Self, class V>
  static void visit(Self& s, V&& v) {
    SwinSize::visit(s, v);
    SwinChoices::visit(s, v);
    v("spacing", s.spacing, "voxels between control points", between(1, 16));
    v("reference", s.reference,
      "sample as the authors' code does (up to half a voxel off towards the borders): only for its weights");
  }
};

/// PyTorch's kaiming_uniform with this negative slope.
Init kaiming(std::int64_t in, double slope) {
  return Init::uniform(std::sqrt(6.0 / ((1.0 + slope * slope) * static_cast<double>(in * kTaps))));
}

/// The velocity at every voxel, [N, 3, D, H, W], of its values at the control points.
at::Tensor dense_velocity(at::Tensor control, const std::array<std::int64_t, 3>& size, std::int64_t spacing) {
  const StepPart part(Form::kReference, "B-spline interpolation");
  for (std::int64_t axis = 2; axis < 5; ++axis) {
    const at::Tensor matrix =
        spline_matrix(size[static_cast<std::size_t>(axis) - 2], control.size(axis), spacing, control);
    control = at::matmul(control.transpose(axis, 4), matrix.t()).transpose(axis, 4);
  }
  return control;
}

class TransmorphBspl final : public Model, public VelocityModel {
 public:
  TransmorphBspl(const TransmorphBsplOptions& options, const NetworkContext& context)
      : Model(options, context, HasFastForm{}),
        spacing_(options.spacing),
        reference_(options.reference),
        encoder_(parameters_, "transformer", swin_shape(options, options)) {
    const std::int64_t e = options.embed_dim;
    up_.emplace_back(parameters_, "up0", 8 * e, 4 * e, 4 * e);
    up_.emplace_back(parameters_, "up1", 4 * e, 2 * e, 2 * e);
    up_.emplace_back(parameters_, "up2", 2 * e, e, e);
    up_.emplace_back(parameters_, "up3", e, e / 2, e / 2, true);
    half_images_.emplace(parameters_, "c1", 2, e / 2);
    std::int64_t in = e / 2;
    for (const char* name : {"resize_conv.0.0", "resize_conv.1.0"}) {
      convs_.emplace_back(
          parameters_, name,
          ConvShape{
              .in = in, .out = kHidden, .activation = Activation::leaky(kSlope), .weight_init = kaiming(in, kSlope)});
      in = kHidden;
    }
    convs_.emplace_back(parameters_, "out_layer",
                        ConvShape{.in = kHidden, .out = 3, .weight_init = kaiming(kHidden, 0.0), .field = true});
  }

  ModelOutput forward(const at::Tensor& moving, const at::Tensor& fixed) override {
    check_sizes("transmorph-bspl", moving, fixed, kSwinMultiple);
    const at::Tensor images = join_images(moving, fixed, context());
    const std::vector<at::Tensor> stages = encoder_(images, draw());
    at::Tensor x = up_[0](stages[3], {stages[2]});
    x = up_[1](x, {stages[1]});
    x = up_[2](x, {stages[0]});
    x = up_[3](x, half_images_->skip({average_pool(images, 3, 2)}));
    std::array<std::int64_t, 3> points = grid_of(moving);
    for (std::int64_t& size : points) {
      size = (size - 1 + spacing_ - 1) / spacing_ + 3;
    }
    Feature control = resize(x, points);
    for (const Conv3d& conv : convs_) {
      control = conv({control});
    }
    const at::Tensor velocity = dense_velocity(control.value(), grid_of(moving), spacing_);
    const at::Tensor field = reference_ ? reference_integral(velocity) : integrated(velocity);
    return {.warped = sample(moving, field),
            .flow = reference_ ? follow_shifted_grid(sampling_units(field)) : field,
            .regularised = velocity};
  }

  int size_multiple() const override { return kSwinMultiple; }

  bool regularises_velocity() const override { return !reference_; }

  at::Tensor displacement_of(const at::Tensor& velocity, const at::Tensor&) const override {
    return integrated(velocity);
  }

  bool numerical_on_cuda() const override {  // by reference integration samples a field that wants a gradient
    return context().backend == Backend::kReference || reference_;
  }

 private:
  at::Tensor integrated(const at::Tensor& velocity) const {
    return integrate(velocity, {.steps = kSteps, .warp = {.backend = context().backend}});
  }

  /// The published grid takes a voxel as 2 / N of the volume and a position as 2 / (N - 1).
  static at::Tensor sampling_units(const at::Tensor& field) {
    std::array<double, 3> factors{};
    for (std::size_t axis = 0; axis < 3; ++axis) {
      const auto size = static_cast<double>(grid_of(field)[axis]);
      factors[axis] = (size - 1.0) / size;
    }
    return scale_components(field, factors);
  }

  at::Tensor sample(const at::Tensor& volume, const at::Tensor& field) const {
    return reference_ ? warp(volume, sampling_units(field), {.shifted_grid = true})
                      : warp(volume, field, {.backend = context().backend});
  }

  at::Tensor reference_integral(const at::Tensor& velocity) const {
    at::Tensor field = velocity.mul(std::ldexp(1.0, -kSteps));
    for (int step = 0; step < kSteps; ++step) {
      field = field + sample(field, field);
    }
    return field;
  }

  std::int64_t spacing_;
  bool reference_;
  SwinEncoder encoder_;
  std::vector<DecoderBlock> up_;
  std::optional<ConvNorm> half_images_;
  std::vector<Conv3d> convs_;
};

}  // namespace

std::unique_ptr<Model> make_transmorph_bspl(const std::string&, const Json& options, const NetworkContext& context) {
  TransmorphBsplOptions chosen;
  read_options(options, chosen, "/model/options");
  return std::make_unique<TransmorphBspl>(chosen, context);
}

}  // namespace regatta::models
