// Vector field attention: one encoder for both images, then from coarse to fine each fixed voxel looks for its match
// among the 27 moving voxels around the place that the coarser level found. Written from the paper and a description
// of shapes and key names, not from the authors' program.
// Source: Liu et al., "Vector field attention for deformable image registration", JMI 2024.
#include <algorithm>
#include <array>
#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/chunk.h>

#include "nn/layers/conv.hpp"
#include "nn/layers/image_conv.hpp"
#include "nn/layers/neighbourhood.hpp"
#include "nn/layers/norm.hpp"
#include "nn/layers/resize.hpp"
#include "nn/models/common.hpp"
#include "regatta/base/error.hpp"
#include "regatta/config/options.hpp"
#include "regatta/nn/model.hpp"
#include "regatta/nn/warp.hpp"

namespace regatta::models {
namespace {

constexpr std::int64_t kDownsamples = 4;
constexpr int kSizeMultiple = 1 << kDownsamples;
constexpr std::int64_t kSmallestSize = 2 * kSizeMultiple;  // two voxels at the coarsest level: a map needs them
constexpr double kLeakySlope = 0.01;
constexpr double kBetaStart = 0.1;

struct VfaOptions {
  int start_channels = 8;
  int matching_channels = 8;
  int max_channels = 64;
  int int_steps = 0;
  int skip = 0;

  template <class Self, class V>
  static void visit(Self& s, V&& v) {
    v("start_channels", s.start_channels, "channels of the first convolution, twice as many at each level",
      between(1, 1024));
    v("matching_channels", s.matching_channels,
      "channels that are compared at full resolution, twice as many at each "
      "level",
      between(1, 1024));
    v("max_channels", s.max_channels, "most channels anywhere", between(1, 4096));
    v("int_steps", s.int_steps, "squarings of each level's field; 0: none", between(0, 16));
    v("skip", s.skip, "finest levels that are not matched: their map is up-sampled", between(0, kDownsamples));
  }
};

/// Convolution, instance norm, leaky ReLU.
class NormedConv {
 public:
  /// Registers `name`.conv`number` and `name`.norm`number`.
  NormedConv(Parameters& parameters, const std::string& name, const std::string& number, std::int64_t in,
             std::int64_t out)
      : conv_(parameters, str(name, ".conv", number), {.in = in, .out = out}),
        norm_(parameters, str(name, ".norm", number), out, Activation::leaky(kLeakySlope)) {}

  at::Tensor operator()(const std::vector<Feature>& inputs) const { return norm_(conv_(inputs).value()); }

 private:
  Conv3d conv_;
  InstanceNorm norm_;
};

class DoubleConv {
 public:
  DoubleConv(Parameters& parameters, const std::string& name, std::int64_t in, std::int64_t out)
      : first_(parameters, name, "1", in, out), second_(parameters, name, "2", out, out) {}

  at::Tensor operator()(const std::vector<Feature>& inputs) const { return second_({first_(inputs)}); }

 private:
  NormedConv first_;
  NormedConv second_;
};

/// U-Net of one image; its decoder's maps are what is matched.
class Encoder {
 public:
  Encoder(Parameters& parameters, const std::string& name, const VfaOptions& options)
      : down_(make_down(parameters, name, options)),
        up_(make_up(parameters, name, options)),
        upsampling_(make_upsampling(parameters, name, options)),
        in_(parameters, name + ".in_norm", name + ".in_conv",
            {.in = 1, .out = channels(options, 0), .activation = Activation::leaky(kLeakySlope)}),
        bottleneck_(parameters, name + ".bottleneck_conv", channels(options, kDownsamples),
                    channels(options, kDownsamples)) {}

  /// @param image  [N, 1, D, H, W]
  /// @return one map a level, level i at 1 / 2^i of the resolution
  std::vector<at::Tensor> operator()(const at::Tensor& image) const {
    Feature x = in_(image);
    std::vector<at::Tensor> maps;
    for (const DoubleConv& block : down_) {
      maps.push_back(block({x}));
      x = average_pool(maps.back(), 2, 2);
    }
    maps.push_back(bottleneck_({x}));
    for (std::size_t i = kDownsamples; i-- > 0;) {
      const at::Tensor finer = upsampling_[i]({upsample_trilinear(maps[i + 1], {.align_corners = true})});
      maps[i] = up_[i]({finer, maps[i]});
    }
    return maps;
  }

  /// Of the features before level i's convolutions; after them: of i + 1.
  static std::int64_t channels(const VfaOptions& options, std::int64_t level) {
    return std::min<std::int64_t>(options.max_channels, std::int64_t{options.start_channels} << level);
  }

  /// Of level i's map.
  static std::int64_t map_channels(const VfaOptions& options, std::int64_t level) {
    return channels(options, std::min(level + 1, kDownsamples));
  }

 private:
  static std::vector<DoubleConv> make_down(Parameters& parameters, const std::string& name, const VfaOptions& options) {
    std::vector<DoubleConv> blocks;
    for (std::int64_t i = 0; i < kDownsamples; ++i) {
      blocks.emplace_back(parameters, str(name, ".encoder_conv.", i), channels(options, i), map_channels(options, i));
    }
    return blocks;
  }

  static std::vector<NormedConv> make_upsampling(Parameters& parameters, const std::string& name,
                                                 const VfaOptions& options) {
    std::vector<NormedConv> blocks;
    for (std::int64_t i = 0; i < kDownsamples; ++i) {
      blocks.emplace_back(parameters, str(name, ".upsampling.", i), "", map_channels(options, i + 1),
                          map_channels(options, i));
    }
    return blocks;
  }

  static std::vector<DoubleConv> make_up(Parameters& parameters, const std::string& name, const VfaOptions& options) {
    std::vector<DoubleConv> blocks;
    for (std::int64_t i = 0; i < kDownsamples; ++i) {
      blocks.emplace_back(parameters, str(name, ".decoder_conv.", i), 2 * map_channels(options, i),
                          map_channels(options, i));
    }
    return blocks;
  }

  // In the reference's order of registration.
  std::vector<DoubleConv> down_;
  std::vector<DoubleConv> up_;
  std::vector<NormedConv> upsampling_;
  NormedImageConv in_;
  DoubleConv bottleneck_;
};

class Vfa final : public Model {
 public:
  Vfa(const VfaOptions& options, const NetworkContext& context)
      : Model(options, context, HasFastForm{}), chosen_(options), encoder_(parameters_, "encoder", options) {
    beta_ = parameters_.add("decoder.beta", {1}, Init::constant(kBetaStart));
    for (std::int64_t i = 0; i <= kDownsamples; ++i) {
      const std::int64_t out =
          std::min<std::int64_t>(options.max_channels, std::int64_t{options.matching_channels} << i);
      project_.emplace_back(parameters_, str("decoder.project.", i),
                            ConvShape{.in = Encoder::map_channels(options, i), .out = out});
    }
  }

  ModelOutput forward(const at::Tensor& moving, const at::Tensor& fixed) override {
    check_sizes("vfa", moving, fixed, kSizeMultiple);
    for (std::int64_t axis = 2; axis < 5; ++axis) {
      REGATTA_REQUIRE(fixed.size(axis) >= kSmallestSize, DataError, "vfa: volume ", shape_text(fixed),
                      ", each size must be at least ", kSmallestSize);
    }
    auto [moving_maps, fixed_maps] = encoded(moving, fixed);
    at::Tensor flow;  // [N, 3, d, h, w] of the level, in its voxels
    for (auto level = static_cast<std::size_t>(kDownsamples) + 1; level-- > 0;) {
      const at::Tensor& query = fixed_maps[level];
      if (flow.defined()) {
        flow = resize_field(flow, grid_of(query), {.align_corners = true, .backend = context().backend});
      }
      if (level >= static_cast<std::size_t>(chosen_.skip)) {
        flow = matched(flow, query, moving_maps[level], project_[level]);
      }
      moving_maps.pop_back();
      fixed_maps.pop_back();
    }
    return {.warped = warp(moving, flow, border()), .flow = flow, .regularised = flow};
  }

  int size_multiple() const override { return kSizeMultiple; }

  /// Features and fields are sampled, and get gradients: only our kernels add those in a fixed way.
  bool numerical_on_cuda() const override {
    constexpr std::int64_t kVector = 8;  // channels that the kernels take at a time
    bool by_kernels = context().backend == Backend::kFast;
    for (std::int64_t level = 0; level < kDownsamples; ++level) {
      by_kernels = by_kernels && Encoder::map_channels(chosen_, level) % kVector == 0;
    }
    return !by_kernels;
  }

 private:
  using Maps = std::vector<at::Tensor>;

  WarpOptions border() const { return {.outside = Outside::kBorder, .backend = context().backend}; }

  /// Of both images. The fast backend takes them as one batch, which fills a GPU better at the coarse levels.
  std::pair<Maps, Maps> encoded(const at::Tensor& moving, const at::Tensor& fixed) const {
    if (context().backend == Backend::kReference) {
      const auto in_layout = [this](const at::Tensor& image) {
        return context().channels_last ? image.contiguous(at::MemoryFormat::ChannelsLast3d) : image;
      };
      return {encoder_(in_layout(moving)), encoder_(in_layout(fixed))};
    }
    std::pair<Maps, Maps> maps;
    for (const at::Tensor& both : encoder_(at::cat({moving, fixed}, 0))) {
      const std::vector<at::Tensor> halves = both.chunk(2, 0);
      maps.first.push_back(halves[0]);
      maps.second.push_back(halves[1]);
    }
    return maps;
  }

  /// One level's step: the displacement after each fixed voxel has looked around the place that it points to.
  /// @param flow  undefined: nothing is known yet, each voxel looks around itself
  at::Tensor matched(const at::Tensor& flow, const at::Tensor& fixed, const at::Tensor& moving,
                     const Conv3d& project) const {
    const at::Tensor key = project({warp_padded(moving, flow)}).value();
    const at::Tensor query = project({fixed}).value();
    // Maps are composed, not displacements: places outside are those of the border.
    if (chosen_.int_steps == 0) {
      const at::Tensor local = neighbourhood_match(query, key, beta_, flow.defined());
      return flow.defined() ? compose(flow, local, border()) : local;
    }
    at::Tensor local = neighbourhood_match(query, key, beta_.mul(std::ldexp(1.0, -chosen_.int_steps)), false);
    for (int step = 0; step < chosen_.int_steps; ++step) {
      local = compose(local, brought_inside(local), border());
    }
    return flow.defined() ? compose(flow, brought_inside(local), border()) : local;
  }

  VfaOptions chosen_;
  Encoder encoder_;
  at::Tensor beta_;
  std::vector<Conv3d> project_;
};

}  // namespace

std::unique_ptr<Model> make_vfa(const std::string&, const Json& options, const NetworkContext& context) {
  VfaOptions chosen;
  read_options(options, chosen, "/model/options");
  return std::make_unique<Vfa>(chosen, context);
}

}  // namespace regatta::models
