// Mean absolute difference of the fixed and the warped volume (L1, sum of absolute differences over the voxels).
#include <ATen/TensorOperators.h>
#include <ATen/ops/l1_loss.h>

#include "nn/fast/image_losses.hpp"
#include "nn/losses/masked_mean.hpp"
#include "nn/shapes.hpp"
#include "regatta/nn/forms.hpp"
#include "regatta/nn/loss.hpp"

namespace regatta::losses {
namespace {

class Mae final : public Loss {
 public:
  explicit Mae(const MaskedOptions& options) : options_(options) {}

  at::Tensor value(const PairState& pair) const override {
    check_image_pair("mae", pair.fixed, pair.warped);
    const at::Tensor mask = mask_of("mae", pair, options_);
    const bool is_fast = pair.backend == Backend::kFast && fast::has_image_difference(pair.fixed, pair.warped, mask);
    name_part(is_fast ? Form::kKernel : Form::kReference, mask.defined() ? "MAE with masks" : "MAE");
    if (is_fast) {
      return fast::image_difference(pair.fixed, pair.warped, mask, /*squared=*/false);
    }
    return mask.defined() ? masked_mean((pair.warped - pair.fixed).abs(), mask) : at::l1_loss(pair.warped, pair.fixed);
  }

  Json options() const override { return write_options(options_); }
  Json options_identity() const override { return identity_of(options_); }
  std::vector<OptionRow> option_table() const override { return option_rows(options_); }
  std::vector<std::string> needs() const override { return masks_if(options_.masked); }

 private:
  MaskedOptions options_;
};

}  // namespace

std::unique_ptr<Loss> make_mae(const Json& options) {
  MaskedOptions chosen;
  read_options(options, chosen, "/losses/mae/options");
  return std::make_unique<Mae>(chosen);
}

}  // namespace regatta::losses
