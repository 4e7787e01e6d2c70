// Affine TransMorph: the Swin encoder alone, its last map flattened into four heads for rotation, scale, translation
// and shear. The encoder's parameter names are the reference's. Source: Chen et al., "TransMorph: transformer for
// unsupervised medical image registration", MedIA 2022.
#include <array>
#include <numbers>
#include <optional>
#include <string>
#include <vector>

#include <ATen/ops/leaky_relu.h>

#include "nn/layers/norm.hpp"
#include "nn/layers/transformer.hpp"
#include "nn/models/common.hpp"
#include "nn/models/parts/affine_output.hpp"
#include "nn/models/parts/swin.hpp"
#include "nn/models/parts/transmorph_parts.hpp"
#include "regatta/config/options.hpp"
#include "regatta/nn/model.hpp"

namespace regatta::models {
namespace {

constexpr std::int64_t kHidden = 100;  // units between the map and a head's output
constexpr double kLeakySlope = 0.01;
constexpr double kDamping = 0.1;  // of all heads
constexpr double kMostScale = 5.0;

struct TransmorphAffineOptions : SwinSize {
  std::vector<int> size = {160, 192, 224};
  double drop_path = 0.3;
  bool recompute = false;

  template <class Self, class V>
  static void visit(Self& s, V&& v) {
    SwinSize::visit(s, v);
    v("size", s.size,
      "D, H, W of the volumes, multiples of 32: heads and attention windows (size / 32) are made for it",
      between(1, 4096));
    v("drop_path", s.drop_path, "share of training steps that skip the last block; fewer for those before it",
      between(0.0, 0.9));
    v("recompute", s.recompute, "less memory, more time: each block keeps only its input for the backward pass",
      not_identity());
  }
};

using Size3 = std::array<std::int64_t, 3>;

SwinShape encoder_shape(const TransmorphAffineOptions& options, const Size3& size) {
  SwinChoices choices;
  choices.drop_path = options.drop_path;
  choices.recompute = options.recompute;
  choices.window.clear();
  for (const std::int64_t edge : size) {
    choices.window.push_back(static_cast<int>(edge / kSwinMultiple));
  }
  return swin_shape(options, choices);
}

class TransmorphAffine final : public Model {
 public:
  TransmorphAffine(const TransmorphAffineOptions& options, const Size3& size, const NetworkContext& context)
      : Model(options, context), size_(size), encoder_(parameters_, "transformer", encoder_shape(options, size)) {
    const std::int64_t voxels = (size[0] / kSwinMultiple) * (size[1] / kSwinMultiple) * (size[2] / kSwinMultiple);
    const std::int64_t features = (std::int64_t{options.embed_dim} << (kSwinStages - 1)) * voxels;
    add_head("rotation", features, 3, Init::normal(1e-3), std::nullopt);
    add_head("scale", features, 3, Init::normal(1e-2), std::nullopt);
    add_head("translation", features, 3, Init::normal(1e-2), Init::normal(1e-4));
    add_head("shear", features, 6, Init::normal(1e-2), Init::normal(1e-4));
  }

  ModelOutput forward(const at::Tensor& moving, const at::Tensor& fixed) override {
    check_made_for("transmorph-affine", moving, fixed, size_);
    const at::Tensor map = encoder_(join_images(moving, fixed, context()), draw()).back();  // [N, 8 E, d, h, w]
    const at::Tensor features = norm_(map).contiguous().flatten(1);
    const double pi = std::numbers::pi;
    const AffineParts parts = {.rotation = heads_[0](features).clamp(-1.0, 1.0).mul(pi),
                               .scale = heads_[1](features).add(1.0).clamp(0.0, kMostScale),
                               .shear = heads_[3](features).clamp(-1.0, 1.0).mul(pi),
                               .translation = heads_[2](features)};
    return affine_output(parts, moving, fixed, /*align_corners=*/false);
  }

  int size_multiple() const override { return kSwinMultiple; }

 private:
  struct Head {
    Linear hidden;
    Linear out;

    at::Tensor operator()(const at::Tensor& features) const {
      return out(at::leaky_relu(hidden(features), kLeakySlope)).mul(kDamping);
    }
  };

  void add_head(const std::string& name, std::int64_t features, std::int64_t out, const Init& weight,
                const std::optional<Init>& bias) {
    const Linear hidden(parameters_, name + ".0", {.in = features, .out = kHidden});
    heads_.push_back({hidden, Linear(parameters_, name + ".2",
                                     {.in = kHidden, .out = out, .weight_init = weight, .bias_init = bias})});
  }

  Size3 size_;
  SwinEncoder encoder_;
  InstanceNorm norm_{};
  std::vector<Head> heads_;
};

}  // namespace

std::unique_ptr<Model> make_transmorph_affine(const std::string&, const Json& options, const NetworkContext& context) {
  TransmorphAffineOptions chosen;
  read_options(options, chosen, "/model/options");
  const Size3 size = read_size(chosen.size, {kSwinMultiple, kSwinMultiple, kSwinMultiple});
  return std::make_unique<TransmorphAffine>(chosen, size, context);
}

}  // namespace regatta::models
