// LKU-Net: a U-Net whose encoder has large-kernel blocks; a displacement, or a velocity that is integrated. Heads at
// full or half resolution, a cascade that refines its own result. Parameter names and order are the reference's.
// Source: Jia et al., "U-Net vs transformer: is U-Net outdated in medical image registration?", MLMI 2022.
#include <optional>
#include <string>
#include <vector>

#include <ATen/TensorOperators.h>

#include "nn/layers/conv.hpp"
#include "nn/layers/resize.hpp"
#include "nn/models/common.hpp"
#include "regatta/nn/model.hpp"
#include "regatta/nn/velocity_model.hpp"
#include "regatta/nn/warp.hpp"

namespace regatta::models {
namespace {

constexpr int kSizeMultiple = 16;

struct LkunetOptions {
  int channels = 8;
  int kernel = 5;
  bool diffeomorphic = true;
  std::string head = "full";
  int cascade = 1;
  bool dc10 = false;
  bool folded = false;

  template <class Self, class V>
  static void visit(Self& s, V&& v) {
    v("channels", s.channels, "of the first convolution (4, 8, 16, 32 in the paper)", between(1, 256));
    v("kernel", s.kernel, "odd edge length of the large kernels", between(3, 13));
    v("diffeomorphic", s.diffeomorphic, "the network gives a velocity, integrated in 7 steps; false: the displacement");
    v("head", s.head,
      "full: at full resolution; half: at half resolution, resized by faces (OASIS); half-corners: resized by corner "
      "voxels (NLST)",
      one_of({"full", "half", "half-corners"}));
    v("cascade", s.cascade, "times that the one network runs, each time on the volume warped so far (3 for NLST)",
      between(1, 8));
    v("dc10", s.dc10, "keep the unused layer of the IXI files, so that they load strictly");
    v("folded", s.folded,
      "parallel kernels as the one that they add up to (inference; see `regatta convert edit --fold`)");
  }
};

class Lkunet final : public Model, public VelocityModel {
 public:
  Lkunet(const LkunetOptions& options, const NetworkContext& context)
      : Model(options, context, HasFastForm{}), choices_(options), prefix_(options.cascade > 1 ? "net1." : "") {
    const std::int64_t c = options.channels;
    const bool full = options.head == "full";
    entry_ = encoder("eninput", 2, c, 1);
    full_ = encoder("ec1", c, c, 1);
    const std::vector<std::int64_t> widths = {2 * c, 4 * c, 8 * c, 8 * c};
    std::int64_t width = c;
    for (std::size_t level = 0; level < widths.size(); ++level) {
      down_.push_back(encoder(str("ec", 2 * level + 2), width, widths[level], 2));
      width = widths[level];
      large_.emplace_back(parameters_, str(prefix_, "ec", 2 * level + 3), width, options.kernel, options.folded);
    }
    decode_.push_back(encoder("dc1", 16 * c, 8 * c, 1));
    decode_.push_back(encoder("dc2", 8 * c, 4 * c, 1));
    decode_.push_back(encoder("dc3", 8 * c, 4 * c, 1));
    decode_.push_back(encoder("dc4", 4 * c, 2 * c, 1));
    decode_.push_back(encoder("dc5", 4 * c, 4 * c, 1));
    decode_.push_back(encoder("dc6", 4 * c, 2 * c, 1));
    decode_.push_back(encoder("dc7", 3 * c, 2 * c, 1));  // these two are unused by a head at half resolution
    decode_.push_back(encoder("dc8", 2 * c, 2 * c, 1));
    head_ = std::make_unique<Conv3d>(parameters_, prefix_ + "dc9.0",
                                     ConvShape{.in = 2 * c, .out = 3, .bias = false, .field = true});
    if (options.dc10) {
      Conv3d(parameters_, prefix_ + "dc10.0", ConvShape{.in = 2 * c, .out = 3, .bias = false});
    }
    for (std::size_t level = 0; level < 4; ++level) {
      const std::int64_t up = level == 0 ? 8 * c : level == 1 ? 4 * c : 2 * c;
      const std::string name = str(prefix_, "up", level + 1);
      up_.emplace_back(
          parameters_, name + ".0",
          ConvShape{.in = up, .out = up, .activation = Activation::prelu(), .slope_name = name + ".1.weight"});
    }
    levels_ = full ? 4 : 3;
  }

  ModelOutput forward(const at::Tensor& moving, const at::Tensor& fixed) override {
    check_sizes("lkunet", moving, fixed, kSizeMultiple);
    at::Tensor regularised = predict(moving, fixed);  // voxels, or voxels per unit time
    const WarpOptions of_images = {.backend = context().backend};
    at::Tensor flow = choices_.diffeomorphic ? integrated(regularised) : regularised;
    at::Tensor warped = warp(moving, flow, of_images);
    for (int run = 1; run < choices_.cascade; ++run) {
      const at::Tensor next = predict(warped, fixed);
      flow = compose(flow, choices_.diffeomorphic ? integrated(next) : next, warping_of_fields());
      regularised = choices_.diffeomorphic ? regularised + next : flow;
      warped = warp(moving, flow, of_images);
    }
    return {.warped = warped, .flow = flow, .regularised = regularised};
  }

  int size_multiple() const override { return kSizeMultiple; }

  bool regularises_velocity() const override { return choices_.diffeomorphic && choices_.cascade == 1; }

  at::Tensor displacement_of(const at::Tensor& velocity, const at::Tensor&) const override {
    return integrated(velocity);
  }

  bool numerical_on_cuda() const override {  // by reference: integration samples a field that wants a gradient
    return context().backend == Backend::kReference && (choices_.diffeomorphic || choices_.cascade > 1);
  }

 private:
  using Block = std::unique_ptr<Conv3d>;

  WarpOptions warping_of_fields() const { return {.outside = Outside::kBorder, .backend = context().backend}; }

  at::Tensor integrated(const at::Tensor& velocity) const {
    return integrate(velocity, {.steps = 7, .scale = true, .warp = warping_of_fields()});
  }

  Block encoder(const std::string& name, std::int64_t in, std::int64_t out, std::int64_t stride) {
    return std::make_unique<Conv3d>(parameters_, str(prefix_, name, ".0"),
                                    ConvShape{.in = in,
                                              .out = out,
                                              .stride = stride,
                                              .activation = Activation::prelu(),
                                              .slope_name = str(prefix_, name, ".1.weight")});
  }

  /// The head's field on the full grid.
  at::Tensor predict(const at::Tensor& moving, const at::Tensor& fixed) const {
    const at::Tensor images = join_images(moving, fixed, context());
    std::vector<Feature> skips = {(*full_)({(*entry_)({images})})};
    for (std::size_t level = 0; level < down_.size(); ++level) {
      skips.push_back(large_[level]((*down_[level])({skips.back()})));
    }
    Feature x = skips.back();
    for (std::size_t level = 0; level < levels_; ++level) {
      x = (*decode_[2 * level])({up_[level](x), skips[3 - level]});
      x = (*decode_[2 * level + 1])({x});
    }
    const at::Tensor field =  // voxels of the full grid
        softsign((*head_)({x}).value(), voxels_per_unit(moving), context().backend);
    if (choices_.head == "full") {
      return field;
    }
    return resize(field, grid_of(moving),
                  {.align_corners = choices_.head == "half-corners", .backend = context().backend});
  }

  LkunetOptions choices_;
  std::string prefix_;
  Block entry_;
  Block full_;
  std::vector<Block> down_;
  std::vector<LargeKernelConv> large_;
  std::vector<Block> decode_;
  std::vector<UpConv3d> up_;
  Block head_;
  std::size_t levels_ = 4;
};

}  // namespace

std::unique_ptr<Model> make_lkunet(const std::string&, const Json& options, const NetworkContext& context) {
  LkunetOptions chosen;
  read_options(options, chosen, "/model/options");
  REGATTA_REQUIRE(chosen.kernel % 2 == 1, ConfigError, "/model/options/kernel: ", chosen.kernel,
                  " is even, expected an odd number 3..13");
  return std::make_unique<Lkunet>(chosen, context);
}

}  // namespace regatta::models
