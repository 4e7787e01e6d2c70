// How far the field carries key-points of the fixed volume from the same points of the moving one, in millimetres of
// the moving scan, where the error lies. Of one pair; a pair without key-points has the value 0 and no gradient, so
// that sets where only some pairs have them can be trained on. Lists may be padded: `keypoint_count` says on the device
// how many points are real, and a captured step reads it again each time. Source: VFA's recipe for NLST (distance in
// mm); `squared` is the loss of the Learn2Reg baseline.
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/stack.h>

#include "nn/fast/keypoint.hpp"
#include "nn/known_gradient.hpp"
#include "nn/losses/absent.hpp"
#include "nn/ops/splat.hpp"
#include "nn/shapes.hpp"
#include "regatta/config/options.hpp"
#include "regatta/nn/forms.hpp"
#include "regatta/nn/loss.hpp"

namespace regatta::losses {
namespace {

struct KeypointOptions {
  bool squared = false;

  template <class Self, class V>
  static void visit(Self& s, V&& v) {
    v("squared", s.squared,
      "false: mean distance, mm; true: mean squared component, in units of half the volume's size along its axis");
  }
};

void check_points(const PairState& pair) {
  const at::Tensor& fixed = pair.fixed_keypoints;
  const at::Tensor& moving = pair.moving_keypoints;
  const bool fits = moving.defined() && fixed.dim() == 2 && fixed.size(1) == 3 && fixed.sizes() == moving.sizes();
  REGATTA_REQUIRE(fits, DataError, "keypoint: fixed points ", shape_text(fixed), ", moving points ", shape_text(moving),
                  ", expected both [K, 3]");
  REGATTA_REQUIRE(pair.flow.size(0) == 1, DataError, "keypoint: field ", shape_text(pair.flow),
                  ", expected one pair, [1, 3, D, H, W]");
}

/// What is averaged over: all points, or as many as the device says.
class RealPoints {
 public:
  explicit RealPoints(const PairState& pair) {
    if (pair.keypoint_count.defined()) {
      const at::Tensor number = at::arange(pair.fixed_keypoints.size(0), pair.keypoint_count.options());  // [K]
      padding_ = number.ge(pair.keypoint_count);
      count_ = pair.keypoint_count.clamp_min(1.0);
    }
  }

  /// @param rows  [3, K]; 0 where there is no real point
  void clear_padding_(at::Tensor& rows) const {
    if (padding_.defined()) {
      rows.masked_fill_(padding_, 0.0);
    }
  }

  /// @param values  [K] or [3, K], 0 where there is no real point
  at::Tensor mean(const at::Tensor& values) const {
    return count_.defined() ? divided_(values.sum(), values.numel() / values.size(-1)) : values.mean();
  }

  /// By the number of real points times `rows`.
  at::Tensor divided_(at::Tensor values, std::int64_t rows) const {
    return values.div_(count_).div_(static_cast<double>(rows));
  }

  bool are_counted() const { return count_.defined(); }

 private:
  at::Tensor padding_;  ///< [K] bool
  at::Tensor count_;    ///< scalar
};

class Keypoint final : public Loss {
 public:
  explicit Keypoint(const KeypointOptions& options) : options_(options) {}

  /// The derivative is written to the field by integer sums: LibTorch's sampler would use atomic additions of floats.
  at::Tensor value(const PairState& pair) const override {
    check_field("keypoint", pair.flow, 2);
    if (!pair.fixed_keypoints.defined() || pair.fixed_keypoints.size(0) == 0) {
      return nothing_to_compare(pair.flow);
    }
    check_points(pair);
    const bool is_fast = pair.backend == Backend::kFast && fast::has_keypoints(pair);
    name_part(is_fast ? Form::kKernel : Form::kReference, "key-points");
    if (is_fast) {
      return fast::keypoints(pair, options_.squared);
    }
    const at::Tensor& flow = pair.flow;
    const bool wanted = needs_gradient(flow);
    at::Tensor value;
    at::Tensor gradient;
    {
      const at::NoGradGuard no_grad;
      const std::array<std::int64_t, 3> sizes = {flow.size(2), flow.size(3), flow.size(4)};
      const std::int64_t voxels = sizes[0] * sizes[1] * sizes[2];
      const at::Tensor points = pair.fixed_keypoints.to(flow.scalar_type()).t();  // [3, K]
      const Corners corners = corners_of(points, sizes);
      const at::Tensor flat = flow.select(0, 0).reshape({3, voxels});
      at::Tensor error = points - pair.moving_keypoints.to(flow.scalar_type()).t();
      for (std::int64_t corner = 0; corner < 8; ++corner) {
        error.addcmul_(flat.index_select(1, corners.index.select(0, corner)), corners.weight.select(0, corner));
      }
      const RealPoints real(pair);
      real.clear_padding_(error);
      error = in_unit(error, pair, /*transposed=*/false);
      at::Tensor slope;  // d value / d error, [3, K]
      if (options_.squared) {
        value = real.mean(error.square());
        slope =
            real.are_counted() ? real.divided_(error.mul(2.0), 3) : error.mul(2.0 / static_cast<double>(error.numel()));
      } else {
        const at::Tensor distance = error.square().sum(0).sqrt_();
        value = real.mean(distance);
        slope = error.div(distance.clamp_min(1e-12));
        slope = real.are_counted() ? real.divided_(slope, 1) : slope.div_(static_cast<double>(error.size(1)));
      }
      if (wanted) {
        slope = in_unit(slope, pair, /*transposed=*/true);
        gradient = splat(slope, points, sizes).view(flow.sizes());
      }
    }
    return wanted ? with_gradient(value, flow, gradient) : value;
  }

  Json options() const override { return write_options(options_); }
  Json options_identity() const override { return identity_of(options_); }
  std::vector<OptionRow> option_table() const override { return option_rows(options_); }
  std::vector<std::string> needs() const override { return {"key-points"}; }

  bool takes_one_pair() const override { return true; }

 private:
  /// From voxels to the unit of the result: rows times the matrix of the moving grid's axes, or for the derivative
  /// times its transpose. Row by row, since a matrix product may be rounded to TF32.
  at::Tensor in_unit(const at::Tensor& rows, const PairState& pair, bool transposed) const {
    if (pair.moving_axes.defined() && !options_.squared) {
      const at::Tensor axes = (transposed ? pair.moving_axes.t() : pair.moving_axes).to(rows.scalar_type());
      return axes.unsqueeze(2).mul(rows.unsqueeze(0)).sum(1);
    }
    const auto part = [&](std::size_t row, std::size_t column) {
      if (options_.squared) {
        return row == column ? 2.0 / static_cast<double>(pair.flow.size(2 + static_cast<std::int64_t>(row))) : 0.0;
      }
      return pair.moving_axes_mm[transposed ? column * 3 + row : row * 3 + column];
    };
    std::vector<at::Tensor> out;
    for (std::size_t row = 0; row < 3; ++row) {
      at::Tensor sum = rows.select(0, static_cast<std::int64_t>(row)).mul(part(row, row));
      for (std::size_t column = 0; column < 3; ++column) {
        if (column != row && part(row, column) != 0.0) {
          sum.add_(rows.select(0, static_cast<std::int64_t>(column)), part(row, column));
        }
      }
      out.push_back(sum);
    }
    return at::stack(out, 0);
  }

  KeypointOptions options_;
};

}  // namespace

std::unique_ptr<Loss> make_keypoint(const Json& options) {
  KeypointOptions chosen;
  read_options(options, chosen, "/losses/keypoint/options");
  return std::make_unique<Keypoint>(chosen);
}

}  // namespace regatta::losses
