// Mean squared difference of the self-similarity descriptors (MIND-SSC) of both volumes: for images of different kinds.
// A descriptor has 12 channels, one for each pair of neighbours of the voxel that are no opposites: the squared
// difference of the volume seen from the two neighbours, averaged over a cube, less the smallest of the 12, over their
// mean, as exp(-x). Source: Heinrich et al. 2013, as in the TransMorph repository; the bounds of the mean are taken of
// each pair, there of the whole batch.
#include <algorithm>
#include <array>
#include <vector>

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/maximum.h>
#include <ATen/ops/minimum.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>

#include "nn/fast/image_losses.hpp"
#include "nn/known_gradient.hpp"
#include "nn/ops/box_sum.hpp"
#include "nn/shapes.hpp"
#include "regatta/config/options.hpp"
#include "regatta/nn/forms.hpp"
#include "regatta/nn/loss.hpp"

namespace regatta::losses {
namespace {

constexpr std::size_t kChannels = 12;
constexpr double kLowest = 0.001;  // bounds of the mean of 12, over its own mean in the volume
constexpr double kHighest = 1000.0;
constexpr double kFlat = 1e-12;  // in a volume without any texture: no division by 0

struct MindOptions {
  int radius = 2;
  int dilation = 2;

  template <class Self, class V>
  static void visit(Self& s, V&& v) {
    v("radius", s.radius, "radius of the averaged cubes, voxels", between(1, 8));
    v("dilation", s.dilation, "distance of the neighbours, voxels", between(1, 8));
  }
};

/// The volume between copies of its border voxels. @param volume  [N, D, H, W]
at::Tensor replicate_pad(const at::Tensor& volume, std::int64_t border) {
  std::vector<std::int64_t> sizes = volume.sizes().vec();
  for (std::size_t axis = 1; axis < 4; ++axis) {
    sizes[axis] += 2 * border;
  }
  const at::Tensor padded = at::empty(sizes, volume.options());
  at::Tensor inside = padded;
  for (std::int64_t axis = 1; axis < 4; ++axis) {
    inside = inside.narrow(axis, border, volume.size(axis));
  }
  inside.copy_(volume);
  for (std::int64_t axis = 1; axis < 4; ++axis) {
    const std::int64_t last = border + volume.size(axis) - 1;
    padded.narrow(axis, 0, border).copy_(padded.narrow(axis, border, 1).expand_as(padded.narrow(axis, 0, border)));
    padded.narrow(axis, last + 1, border).copy_(padded.narrow(axis, last, 1).expand_as(padded.narrow(axis, 0, border)));
  }
  return padded;
}

/// The adjoint of `replicate_pad`. Overwrites its argument.
at::Tensor replicate_fold_(const at::Tensor& padded, std::int64_t border) {
  at::Tensor out = padded;
  for (std::int64_t axis = 1; axis < 4; ++axis) {
    const std::int64_t size = out.size(axis) - 2 * border;
    out.narrow(axis, border, 1).add_(out.narrow(axis, 0, border).sum(axis, true));
    out.narrow(axis, border + size - 1, 1).add_(out.narrow(axis, border + size, border).sum(axis, true));
    out = out.narrow(axis, border, size);
  }
  return out;
}

/// Axis and direction of the two neighbours of a channel.
struct Neighbours {
  std::int64_t first_axis;
  std::int64_t second_axis;
  bool first_up;
  bool second_up;
};

std::array<Neighbours, kChannels> all_neighbours() {
  std::array<Neighbours, kChannels> out{};
  std::size_t next = 0;
  for (std::int64_t a = 0; a < 3; ++a) {
    for (std::int64_t b = a + 1; b < 3; ++b) {
      for (const bool a_up : {false, true}) {
        for (const bool b_up : {false, true}) {
          out[next++] = {a, b, a_up, b_up};
        }
      }
    }
  }
  return out;
}

/// One channel of a descriptor, all [N, D, H, W].
struct Channel {
  at::Tensor distance;
  at::Tensor descriptor;
  at::Tensor to_descriptor;  ///< d value / d descriptor
};

/// A volume, and what its descriptor and the derivative need; channels are made again whenever they are needed.
class SelfSimilarity {
 public:
  /// @param volume  [N, 1, D, H, W]
  SelfSimilarity(const at::Tensor& volume, const MindOptions& options)
      : dilation_(options.dilation), radius_(options.radius), padded_(replicate_pad(volume.select(1, 0), dilation_)) {
    at::Tensor sum;
    for (const Neighbours& pair : all_neighbours()) {
      const at::Tensor distance = this->distance(pair);
      least_ = least_.defined() ? at::minimum(least_, distance) : distance;
      sum = sum.defined() ? sum.add_(distance) : distance.clone();
    }
    const at::Tensor mean = sum.div_(static_cast<double>(kChannels)).sub_(least_);
    const at::Tensor average = mean.mean({1, 2, 3}, true);
    scale_ = at::minimum(at::maximum(mean, average.mul(kLowest)), average.mul(kHighest)).clamp_min_(kFlat);
    free_ = scale_.eq(mean);
  }

  /// Averaged squared difference between what the two neighbours see. @return [N, D, H, W]
  at::Tensor distance(const Neighbours& pair) const {
    const std::int64_t window = 2 * radius_ + 1;
    return box_sum(replicate_pad(difference(pair).square_(), radius_), window).div_(window * window * window);
  }

  at::Tensor descriptor(const at::Tensor& distance) const { return distance.sub(least_).div_(scale_).neg_().exp_(); }

  /// To be called for every channel in two passes, 0 and 1, with `finish_collecting` between them.
  void take(int pass, const Neighbours& pair, const Channel& channel) {
    if (pass == 0) {
      collect(channel);
    } else {
      spread(pair, channel);
    }
  }

  /// Between the passes.
  void finish_collecting() {
    to_scale_.mul_(free_);
    to_least_.sub_(to_scale_).div_(ties_);  // a channel that is the smallest gets its share
    to_scale_.div_(static_cast<double>(kChannels));
    to_padded_ = at::zeros_like(padded_);
  }

  /// d value / d volume: [N, 1, D, H, W]
  at::Tensor gradient() const { return replicate_fold_(to_padded_, dilation_).unsqueeze(1); }

 private:
  void collect(const Channel& c) {
    if (!to_least_.defined()) {
      to_least_ = at::zeros_like(least_);
      to_scale_ = at::zeros_like(least_);
      ties_ = at::zeros_like(least_);
    }
    const at::Tensor direct = to_distance(c);
    to_least_.sub_(direct);
    to_scale_.sub_(c.distance.sub(least_).div_(scale_).mul_(direct));
    ties_.add_(c.distance.eq(least_));
  }

  void spread(const Neighbours& pair, const Channel& c) {
    const at::Tensor slope = to_distance(c).add_(to_scale_);
    slope.addcmul_(to_least_, c.distance.eq(least_).to(slope.scalar_type()));
    const std::int64_t window = 2 * radius_ + 1;
    const std::vector<std::int64_t> border(6, window - 1);
    const at::Tensor averaged = box_sum(at::constant_pad_nd(slope, border), window);
    const double share = 2.0 / static_cast<double>(window * window * window);
    const at::Tensor to_difference = replicate_fold_(averaged, radius_).mul_(difference(pair)).mul_(share);
    seen_from(to_padded_, pair.first_axis, pair.first_up).add_(to_difference);
    seen_from(to_padded_, pair.second_axis, pair.second_up).sub_(to_difference);
  }

  /// The grid moved by the dilation along an axis; a view of a padded volume.
  at::Tensor seen_from(const at::Tensor& padded, std::int64_t neighbour_axis, bool up) const {
    at::Tensor out = padded;
    for (std::int64_t axis = 0; axis < 3; ++axis) {
      const std::int64_t first = axis != neighbour_axis ? dilation_ : up ? 2 * dilation_ : 0;
      out = out.narrow(1 + axis, first, padded.size(1 + axis) - 2 * dilation_);
    }
    return out;
  }

  at::Tensor difference(const Neighbours& pair) const {
    return seen_from(padded_, pair.first_axis, pair.first_up) - seen_from(padded_, pair.second_axis, pair.second_up);
  }

  /// The part of the derivative with respect to a channel's distance that does not pass through least and scale.
  at::Tensor to_distance(const Channel& c) const { return c.descriptor.mul(c.to_descriptor).div_(scale_).neg_(); }

  std::int64_t dilation_;
  std::int64_t radius_;
  at::Tensor padded_;
  at::Tensor least_;  ///< of the 12 distances
  at::Tensor scale_;  ///< their mean less the least, between its bounds
  at::Tensor free_;   ///< where no bound acts, bool
  at::Tensor to_least_;
  at::Tensor to_scale_;
  at::Tensor ties_;  ///< how many of the 12 are the least
  at::Tensor to_padded_;
};

class Mind final : public Loss {
 public:
  explicit Mind(const MindOptions& options) : options_(options) {}

  /// Closed-form derivative, the 12 channels one by one, three times. Keeps a volume per image; transient memory: about
  /// 20 volumes, where LibTorch's graph of the 24 channels keeps more than 200. The fast form takes 24 volumes.
  at::Tensor value(const PairState& pair) const override {
    check_image_pair("mind", pair.fixed, pair.warped);
    const bool is_fast =
        pair.backend == Backend::kFast && fast::has_mind(pair.fixed, pair.warped, options_.radius, options_.dilation);
    name_part(is_fast ? Form::kKernel : Form::kReference, is_fast ? "MIND" : reference_name(pair));
    if (is_fast) {
      return fast::mind(pair.fixed, pair.warped, options_.radius, options_.dilation);
    }
    const bool fixed_asks = needs_gradient(pair.fixed);
    const bool warped_asks = needs_gradient(pair.warped);
    at::Tensor value;
    at::Tensor to_fixed;
    at::Tensor to_warped;
    {
      const at::NoGradGuard no_grad;
      SelfSimilarity fixed(pair.fixed, options_);
      SelfSimilarity warped(pair.warped, options_);
      const double count = static_cast<double>(kChannels) * static_cast<double>(pair.fixed.numel());
      at::Tensor sum = at::zeros({}, pair.fixed.options());
      for (int pass = 0; pass < (fixed_asks || warped_asks ? 2 : 1); ++pass) {
        for (const Neighbours& channel : all_neighbours()) {
          const at::Tensor i = fixed.distance(channel);
          const at::Tensor j = warped.distance(channel);
          const at::Tensor fixed_descriptor = fixed.descriptor(i);
          const at::Tensor warped_descriptor = warped.descriptor(j);
          at::Tensor slope = warped_descriptor - fixed_descriptor;
          if (pass == 0) {
            sum.add_(slope.square().sum());
          }
          slope.mul_(2.0 / count);
          if (warped_asks) {
            warped.take(pass, channel, {j, warped_descriptor, slope});
          }
          if (fixed_asks) {
            fixed.take(pass, channel, {i, fixed_descriptor, slope.neg_()});
          }
        }
        if (pass == 0 && warped_asks) {
          warped.finish_collecting();
        }
        if (pass == 0 && fixed_asks) {
          fixed.finish_collecting();
        }
      }
      value = sum.div_(count);
      to_fixed = fixed_asks ? fixed.gradient() : at::Tensor();
      to_warped = warped_asks ? warped.gradient() : at::Tensor();
    }
    if (fixed_asks) {
      value = with_gradient(value, pair.fixed, to_fixed);
    }
    return warped_asks ? with_gradient(value, pair.warped, to_warped) : value;
  }

  Json options() const override { return write_options(options_); }
  Json options_identity() const override { return identity_of(options_); }
  std::vector<OptionRow> option_table() const override { return option_rows(options_); }

 private:
  /// Where there is no fast form, the name says why.
  static const char* reference_name(const PairState& pair) {
    if (pair.backend == Backend::kReference) {
      return "MIND";
    }
    return needs_gradient(pair.fixed) ? "MIND with gradients to both images" : "MIND with this radius";
  }

  MindOptions options_;
};

}  // namespace

std::unique_ptr<Loss> make_mind(const Json& options) {
  MindOptions chosen;
  read_options(options, chosen, "/losses/mind/options");
  return std::make_unique<Mind>(chosen);
}

}  // namespace regatta::losses
