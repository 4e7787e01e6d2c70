// TransMorph-diff: TransMorph's encoder and decoder under a head that gives a distribution of velocities, at half or at
// full resolution. Source: Chen et al., "TransMorph: transformer for unsupervised medical image registration", MedIA
// 2022.
#include <optional>

#include "nn/layers/resize.hpp"
#include "nn/models/common.hpp"
#include "nn/models/parts/transmorph_parts.hpp"
#include "nn/models/parts/velocity_head.hpp"
#include "regatta/nn/velocity_model.hpp"

namespace regatta::models {
namespace {

constexpr std::int64_t kHeadChannels = 16;

struct TransmorphDiffOptions : SwinSize, SwinChoices {
  bool full_resolution = false;
  bool reference = false;

  template <class Self, class V>
  static void visit(Self& s, V&& v) {
    SwinSize::visit(s, v);
    SwinChoices::visit(s, v);
    v("full_resolution", s.full_resolution, "velocities at full instead of half resolution");
    v("reference", s.reference,
      "as published, for its weights: no division by 2^7 before the squarings, values not doubled by the up-sampling");
  }
};

class TransmorphDiff final : public Model, public VelocityModel {
 public:
  TransmorphDiff(const TransmorphDiffOptions& options, const NetworkContext& context)
      : Model(options, context, HasFastForm{}),
        full_(options.full_resolution),
        encoder_(parameters_, "transformer", swin_shape(options, options)) {
    const std::int64_t e = options.embed_dim;
    up_.emplace_back(parameters_, "up0", 8 * e, 4 * e, 4 * e);
    up_.emplace_back(parameters_, "up1", 4 * e, 2 * e, 2 * e);
    up_.emplace_back(parameters_, "up2", 2 * e, e, e);
    up_.emplace_back(parameters_, "up3", e, e / 2, full_ ? e / 2 : kHeadChannels, !full_);
    if (full_) {
      up_.emplace_back(parameters_, "up4", e / 2, kHeadChannels, kHeadChannels, true);
    }
    half_images_.emplace(parameters_, "c1", 2, e / 2);
    if (full_) {
      full_images_.emplace(parameters_, "c2", 2, kHeadChannels);
    }
    head_.emplace(parameters_, kHeadChannels, options.reference);
  }

  ModelOutput forward(const at::Tensor& moving, const at::Tensor& fixed) override {
    check_sizes("transmorph-diff", moving, fixed, kSwinMultiple);
    const at::Tensor images = join_images(moving, fixed, context());
    const std::vector<at::Tensor> stages = encoder_(images, draw());
    at::Tensor x = up_[0](stages[3], {stages[2]});
    x = up_[1](x, {stages[1]});
    x = up_[2](x, {stages[0]});
    x = up_[3](x, half_images_->skip({average_pool(images, 3, 2)}));
    if (full_) {
      x = up_[4](x, full_images_->skip({images}));
    }
    return (*head_)(x, moving, draw());
  }

  int size_multiple() const override { return kSwinMultiple; }

  bool regularises_velocity() const override { return head_->gives_velocity(); }

  at::Tensor displacement_of(const at::Tensor& velocity, const at::Tensor& volume) const override {
    return head_->displacement_of(velocity, volume);
  }

  bool numerical_on_cuda() const override {  // by reference integration samples a field that wants a gradient
    return context().backend == Backend::kReference;
  }

 private:
  bool full_;
  SwinEncoder encoder_;
  std::vector<DecoderBlock> up_;
  std::optional<ConvNorm> half_images_;
  std::optional<ConvNorm> full_images_;
  std::optional<VelocityHead> head_;
};

}  // namespace

std::unique_ptr<Model> make_transmorph_diff(const std::string&, const Json& options, const NetworkContext& context) {
  TransmorphDiffOptions chosen;
  read_options(options, chosen, "/model/options");
  return std::make_unique<TransmorphDiff>(chosen, context);
}

}  // namespace regatta::models
