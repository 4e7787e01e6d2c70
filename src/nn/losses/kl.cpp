// Kullback-Leibler divergence of the predicted distribution of velocities from a smooth prior, for networks that give a
// mean and a log variance: 3/2 (mean(lambda deg exp(log variance) - log variance) + lambda_mean precision), deg being
// the number of neighbours within the grid. The precision is half the mean squared forward difference of the velocity's
// mean, averaged over the axes. Source: the KL term of VoxelMorph (Dalca et al. 2019).
// The diff networks of the TransMorph repository differ, replicated by `reference`: their precision term is half the
// mean over voxels of the squared derivatives of each component along its own axis only, by central differences, and of
// the integrated field on the velocity's grid, which such a network gives as `regularised`.
#include <array>

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/full.h>

#include "nn/shapes.hpp"
#include "regatta/config/options.hpp"
#include "regatta/nn/forms.hpp"
#include "regatta/nn/loss.hpp"

namespace regatta::losses {
namespace {

struct KlOptions {
  double lambda = 10.0;
  double lambda_mean = 10.0;
  bool reference = false;

  template <class Self, class V>
  static void visit(Self& s, V&& v) {
    v("lambda", s.lambda, "strength of the prior, in the term of the variance", between(0.0, 1e6));
    v("lambda_mean", s.lambda_mean, "strength of the prior, in the term of the precision", between(0.0, 1e6));
    v("reference", s.reference,
      "true: the precision of TransMorph-diff and its VoxelMorph-diff: central differences of the integrated field, "
      "each component along its own axis only");
  }
};

/// Neighbours within the grid: 3 at corners, 6 inside. @return [D, H, W]
at::Tensor degrees(const at::Tensor& field) {
  at::Tensor degree = at::full(field.sizes().slice(2), 6.0, field.options());
  for (std::int64_t axis = 0; axis < 3; ++axis) {
    degree.narrow(axis, 0, 1).sub_(1.0);
    degree.narrow(axis, degree.size(axis) - 1, 1).sub_(1.0);
  }
  return degree;
}

at::Tensor precision(const at::Tensor& mean) {
  at::Tensor sum;
  for (std::int64_t axis = 2; axis < 5; ++axis) {
    const std::int64_t steps = mean.size(axis) - 1;
    const at::Tensor squared = (mean.narrow(axis, 1, steps) - mean.narrow(axis, 0, steps)).square().mean();
    sum = sum.defined() ? sum + squared : squared;
  }
  return sum * (0.5 / 3.0);
}

/// Central differences inside, one-sided at the borders (linear extrapolation).
at::Tensor slope(const at::Tensor& component, std::int64_t axis) {
  const std::int64_t size = component.size(axis);
  const auto step = [&](std::int64_t from, std::int64_t to, std::int64_t length) {
    return component.narrow(axis, to, length) - component.narrow(axis, from, length);
  };
  return at::cat({step(0, 1, 1), step(0, 2, size - 2) * 0.5, step(size - 2, size - 1, 1)}, axis);
}

at::Tensor reference_precision(const at::Tensor& integrated) {
  at::Tensor sum;
  for (std::int64_t c = 0; c < 3; ++c) {
    const at::Tensor squared = slope(integrated.select(1, c), 1 + c).square().mean();
    sum = sum.defined() ? sum + squared : squared;
  }
  return sum * 0.5;
}

class Kl final : public Loss {
 public:
  explicit Kl(const KlOptions& options) : options_(options) {}

  at::Tensor value(const PairState& pair) const override {
    const at::Tensor& mean = pair.velocity_mean;
    const at::Tensor& log_variance = pair.velocity_log_variance;
    REGATTA_REQUIRE(mean.defined() && log_variance.defined(), ConfigError,
                    "/losses/kl: this network predicts no distribution of velocities; it takes one that does");
    check_field("kl", mean, 2);
    name_part(Form::kReference, "KL divergence");
    REGATTA_REQUIRE(log_variance.sizes() == mean.sizes(), DataError, "kl: log variance ", shape_text(log_variance),
                    ", expected the shape of the mean, ", shape_text(mean));
    const at::Tensor spread = (log_variance.exp() * (degrees(mean) * options_.lambda) - log_variance).mean();
    return (spread + precision_of(pair) * options_.lambda_mean) * 1.5;
  }

  Json options() const override { return write_options(options_); }
  Json options_identity() const override { return identity_of(options_); }
  std::vector<OptionRow> option_table() const override { return option_rows(options_); }

 private:
  at::Tensor precision_of(const PairState& pair) const {
    if (!options_.reference) {
      return precision(pair.velocity_mean);
    }
    const bool fits = pair.regularised.defined() && pair.regularised.sizes() == pair.velocity_mean.sizes();
    REGATTA_REQUIRE(fits, DataError, "kl: with `reference`, the integrated field is ", shape_text(pair.regularised),
                    ", expected it on the grid of the mean, ", shape_text(pair.velocity_mean));
    return reference_precision(pair.regularised);
  }

  KlOptions options_;
};

}  // namespace

std::unique_ptr<Loss> make_kl(const Json& options) {
  KlOptions chosen;
  read_options(options, chosen, "/losses/kl/options");
  return std::make_unique<Kl>(chosen);
}

}  // namespace regatta::losses
