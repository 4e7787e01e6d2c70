// Mutual information of the voxels of small cubes that tile the volume, negated; mean over the cubes. Volumes are
// extended by zeros to a multiple of the cube's edge, half of them (rounded down) in front.
// Source: "localMutualInformation" of the TransMorph repository.
#include <algorithm>
#include <vector>

#include <ATen/TensorOperators.h>
#include <ATen/ops/constant_pad_nd.h>
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

struct LmiOptions {
  int patch = 5;
  ParzenOptions parzen;

  template <class Self, class V>
  static void visit(Self& s, V&& v) {
    v("patch", s.patch, "edge length of the cubes, voxels", between(2, 64));
    v("bins", s.parzen.bins, "number of bins for intensities 0 to 1", between(2, 256));
    v("sigma_ratio", s.parzen.sigma_ratio, "width of the Parzen windows over the distance of two bins",
      between(0.01, 100.0));
  }
};

/// @param images  [2, N, D, H, W]
/// @return [2, N cubes, voxels of a cube]
at::Tensor cut_to_cubes(const at::Tensor& images, std::int64_t edge) {
  std::vector<std::int64_t> padding;  // W first, as LibTorch wants it
  std::vector<std::int64_t> split = {2, images.size(1)};
  for (std::int64_t axis = 4; axis >= 2; --axis) {
    const std::int64_t missing = (edge - images.size(axis) % edge) % edge;
    padding.push_back(missing / 2);
    padding.push_back(missing - missing / 2);
  }
  const at::Tensor padded = at::constant_pad_nd(images, padding);
  for (std::int64_t axis = 2; axis < 5; ++axis) {
    split.push_back(padded.size(axis) / edge);
    split.push_back(edge);
  }
  return padded.view(split).permute({0, 1, 2, 4, 6, 3, 5, 7}).reshape({2, -1, edge * edge * edge});
}

class Lmi final : public Loss {
 public:
  explicit Lmi(const LmiOptions& options) : options_(options) {}

  /// As "mi", in chunks of cubes. Keeps two volumes; transient memory: about 150 MB.
  at::Tensor value(const PairState& pair) const override {
    check_image_pair("lmi", pair.fixed, pair.warped);
    const bool is_fast = pair.backend == Backend::kFast &&
                         fast::has_local_mutual_information(pair.fixed, pair.warped, options_.patch, options_.parzen);
    name_part(is_fast ? Form::kKernel : Form::kReference, is_fast ? "local mutual information" : reference_name(pair));
    if (is_fast) {
      return fast::local_mutual_information(pair.fixed, pair.warped, options_.patch, options_.parzen);
    }
    const at::Tensor images = at::stack({pair.fixed.select(1, 0), pair.warped.select(1, 0)});
    const at::Tensor cubes = cut_to_cubes(images, options_.patch);
    const std::int64_t voxels = cubes.size(2);
    const bool wanted = needs_gradient(cubes);
    at::Tensor sum;
    for (const at::Tensor& chunk : at::split(cubes, std::max<std::int64_t>(1, kParzenSamples / voxels), 1)) {
      const auto part = [parzen = options_.parzen, voxels](const at::Tensor& some) {
        return mutual_information(joint_histogram(some, parzen), voxels).sum();
      };
      const at::Tensor information = recomputed(wanted, chunk, part);
      sum = sum.defined() ? sum + information : information;
    }
    return sum / -static_cast<double>(cubes.size(1));
  }

  Json options() const override { return write_options(options_); }
  Json options_identity() const override { return identity_of(options_); }
  std::vector<OptionRow> option_table() const override { return option_rows(options_); }

 private:
  /// Where there is no fast form, the name says why.
  const char* reference_name(const PairState& pair) const {
    if (pair.backend == Backend::kReference) {
      return "local mutual information";
    }
    return needs_gradient(pair.fixed) ? "local mutual information with gradients to both images"
                                      : "local mutual information with these bins or cubes";
  }

  LmiOptions options_;
};

}  // namespace

std::unique_ptr<Loss> make_lmi(const Json& options) {
  LmiOptions chosen;
  read_options(options, chosen, "/losses/lmi/options");
  return std::make_unique<Lmi>(chosen);
}

}  // namespace regatta::losses
