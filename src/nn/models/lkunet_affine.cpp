// Affine LKU-Net: the encoder of LKU-Net, its last map flattened into four heads for rotation, scale, shear and
// translation. Parameter names are the reference's.
// Source: Jia et al., "U-Net vs Transformer: is U-Net outdated in medical image registration?", MLMI 2022, in the form
// that its authors entered in the RnR-ExM challenge of 2023.
#include <array>
#include <numbers>
#include <string>
#include <vector>

#include "nn/layers/conv.hpp"
#include "nn/layers/transformer.hpp"
#include "nn/models/common.hpp"
#include "nn/models/parts/affine_output.hpp"
#include "regatta/base/error.hpp"
#include "regatta/config/options.hpp"
#include "regatta/nn/model.hpp"

namespace regatta::models {
namespace {

constexpr std::int64_t kLevels = 4;
constexpr int kReduction = 1 << kLevels;
constexpr std::int64_t kHidden = 100;  // units between the map and a head's output
constexpr std::int64_t kLargeKernel = 5;
constexpr double kMostScale = 3.0;
constexpr double kPreluStart = 0.25;

struct LkunetAffineOptions {
  int channels = 8;
  std::string form = "mouse";
  std::vector<int> size = {96, 128, 128};
  bool reference = false;

  template <class Self, class V>
  static void visit(Self& s, V&& v) {
    v("channels", s.channels, "channels of the first convolution", between(1, 256));
    v("form", s.form, "mouse: sizes reduced by 16; elegans: by 64 along D, 32 along H and W, made for 576 256 256",
      one_of({"mouse", "elegans"}));
    v("size", s.size, "D, H, W of the volumes: the heads are made for it", between(1, 4096));
    v("reference", s.reference,
      "scale factors as the original has them, without the 1 of an untrained network's "
      "identity: it starts by collapsing the volume to a point");
  }
};

class LkunetAffine final : public Model {
 public:
  LkunetAffine(const LkunetAffineOptions& options, const std::array<int, 3>& reduction, const NetworkContext& context)
      : Model(options, context), reference_(options.reference), size_(read_size(options.size, reduction)) {
    const std::int64_t c = options.channels;
    const bool elegans = options.form == "elegans";
    add_conv("eninput", 2, c, elegans ? std::array<std::int64_t, 3>{2, 1, 1} : std::array<std::int64_t, 3>{1, 1, 1});
    const std::int64_t second = elegans ? 2 : 1;
    add_conv("ec1", c, c, {second, second, second});
    const std::array<std::int64_t, kLevels + 1> widths = {c, 2 * c, 4 * c, 8 * c, 8 * c};
    for (std::size_t level = 1; level <= kLevels; ++level) {
      add_conv(str("ec", 2 * level), widths[level - 1], widths[level], {2, 2, 2});
      large_.emplace_back(parameters_, str("ec", 2 * level + 1), widths[level], kLargeKernel, /*folded=*/false);
    }
    std::int64_t features = widths.back();
    for (std::size_t axis = 0; axis < 3; ++axis) {
      features *= size_[axis] / reduction[axis];
    }
    add_head("rot", features, 3);
    add_head("scl", features, 3);
    add_head("shear", features, 6);
    add_head("trans", features, 3);
  }

  ModelOutput forward(const at::Tensor& moving, const at::Tensor& fixed) override {
    check_made_for("lkunet-affine", moving, fixed, size_);
    Feature x = join_images(moving, fixed, context());
    x = convs_[0]({x});
    x = convs_[1]({x});
    for (std::size_t level = 0; level < kLevels; ++level) {
      x = large_[level](convs_[level + 2]({x}));
    }
    const at::Tensor features = x.value().contiguous().flatten(1);  // [N, 8 c d h w]
    const double pi = std::numbers::pi;
    const AffineParts parts = {.rotation = heads_[0](features).clamp(-1.0, 1.0).mul(pi),
                               .scale = heads_[1](features).add(reference_ ? 0.0 : 1.0).clamp(0.0, kMostScale),
                               .shear = heads_[2](features).clamp(-1.0, 1.0).mul(pi),
                               .translation = heads_[3](features)};
    return affine_output(parts, moving, fixed, /*align_corners=*/true);
  }

  int size_multiple() const override { return kReduction; }

 private:
  struct Head {
    Linear hidden;
    at::Tensor slope;
    Linear out;

    at::Tensor operator()(const at::Tensor& features) const { return out(Feature(hidden(features), slope).value()); }
  };

  void add_conv(const std::string& name, std::int64_t in, std::int64_t out,
                const std::array<std::int64_t, 3>& strides) {
    convs_.emplace_back(parameters_, name + ".0",
                        ConvShape{.in = in,
                                  .out = out,
                                  .activation = Activation::prelu(),
                                  .slope_name = name + ".1.weight",
                                  .strides = strides});
  }

  void add_head(const std::string& name, std::int64_t features, std::int64_t out) {
    const Linear hidden(parameters_, name + "_gloFeaInt", {.in = features, .out = kHidden});
    const at::Tensor slope = parameters_.add(str("act_", name, ".weight"), {1}, Init::constant(kPreluStart));
    heads_.push_back({hidden, slope, Linear(parameters_, name + "_transParaEst", {.in = kHidden, .out = out})});
  }

  bool reference_;
  std::array<std::int64_t, 3> size_;
  std::vector<Conv3d> convs_;
  std::vector<LargeKernelConv> large_;
  std::vector<Head> heads_;
};

}  // namespace

std::unique_ptr<Model> make_lkunet_affine(const std::string&, const Json& options, const NetworkContext& context) {
  LkunetAffineOptions chosen;
  read_options(options, chosen, "/model/options");
  const bool elegans = chosen.form == "elegans";
  // ec2 .. ec8 halve each axis; in elegans ec1 too, and eninput halves D.
  const std::array<int, 3> reduction = elegans ? std::array<int, 3>{4 * kReduction, 2 * kReduction, 2 * kReduction}
                                               : std::array<int, 3>{kReduction, kReduction, kReduction};
  return std::make_unique<LkunetAffine>(chosen, reduction, context);
}

}  // namespace regatta::models
