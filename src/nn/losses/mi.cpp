// Mutual information of all voxels, negated (lower is better); mean over the pairs of a batch.
// Source: "MutualInformation" of the TransMorph repository. VFA's windows have the sigma_ratio 1 / 2.355.
#include <ATen/TensorOperators.h>
#include <ATen/ops/split.h>
#include <ATen/ops/stack.h>

#include "nn/fast/image_losses.hpp"
#include "nn/known_gradient.hpp"
#include "nn/layers/recompute.hpp"
#include "nn/ops/parzen.hpp"
#include "nn/shapes.hpp"
#include "regatta/config/options.hpp"
#include "regatta/nn/forms.hpp"
#include "regatta/nn/loss.hpp"

namespace regatta::losses {
namespace {

struct MiOptions {
  ParzenOptions parzen;

  template <class Self, class V>
  static void visit(Self& s, V&& v) {
    v("bins", s.parzen.bins, "number of bins for intensities 0 to 1", between(2, 256));
    v("sigma_ratio", s.parzen.sigma_ratio, "width of the Parzen windows over the distance of two bins",
      between(0.01, 100.0));
  }
};

class Mi final : public Loss {
 public:
  explicit Mi(const MiOptions& options) : options_(options) {}

  /// Memberships of bins would take 32 volumes an image: they are made in chunks, and again for the backward pass.
  /// Keeps two volumes; transient memory: about 150 MB, with the fast form 1 MB.
  at::Tensor value(const PairState& pair) const override {
    check_image_pair("mi", pair.fixed, pair.warped);
    const bool is_fast =
        pair.backend == Backend::kFast && fast::has_mutual_information(pair.fixed, pair.warped, options_.parzen);
    name_part(is_fast ? Form::kKernel : Form::kReference, is_fast || pair.backend == Backend::kReference
                                                              ? "mutual information"
                                                              : "mutual information of more than 32 bins");
    if (is_fast) {
      return fast::mutual_information(pair.fixed, pair.warped, options_.parzen);
    }
    const at::Tensor samples = at::stack({pair.fixed.flatten(1), pair.warped.flatten(1)});  // [2, N, voxels]
    const bool wanted = needs_gradient(samples);
    at::Tensor joint;
    for (const at::Tensor& chunk : at::split(samples, kParzenSamples, 2)) {
      const auto part = [parzen = options_.parzen](const at::Tensor& some) { return joint_histogram(some, parzen); };
      const at::Tensor counts = recomputed(wanted, chunk, part);
      joint = joint.defined() ? joint + counts : counts;
    }
    return mutual_information(joint, samples.size(2)).mean().neg();
  }

  Json options() const override { return write_options(options_); }
  Json options_identity() const override { return identity_of(options_); }
  std::vector<OptionRow> option_table() const override { return option_rows(options_); }

 private:
  MiOptions options_;
};

}  // namespace

std::unique_ptr<Loss> make_mi(const Json& options) {
  MiOptions chosen;
  read_options(options, chosen, "/losses/mi/options");
  return std::make_unique<Mi>(chosen);
}

}  // namespace regatta::losses
