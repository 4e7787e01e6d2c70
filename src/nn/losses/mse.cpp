// Mean squared difference of the fixed and the warped volume.
#include <ATen/TensorOperators.h>
#include <ATen/ops/mse_loss.h>

#include "nn/fast/image_losses.hpp"
#include "nn/losses/masked_mean.hpp"
#include "nn/shapes.hpp"
#include "regatta/nn/forms.hpp"
#include "regatta/nn/loss.hpp"

namespace regatta::losses {
namespace {

class Mse final : public Loss {
 public:
  explicit Mse(const MaskedOptions& options) : options_(options) {}

  at::Tensor value(const PairState& pair) const override {
    check_image_pair("mse", pair.fixed, pair.warped);
    const at::Tensor mask = mask_of("mse", pair, options_);
    const bool is_fast = pair.backend == Backend::kFast && fast::has_image_difference(pair.fixed, pair.warped, mask);
    name_part(is_fast ? Form::kKernel : Form::kReference, mask.defined() ? "MSE with masks" : "MSE");
    if (is_fast) {
      return fast::image_difference(pair.fixed, pair.warped, mask, /*squared=*/true);
    }
    return mask.defined() ? masked_mean((pair.warped - pair.fixed).square(), mask)
                          : at::mse_loss(pair.warped, pair.fixed);
  }

  Json options() const override { return write_options(options_); }
  Json options_identity() const override { return identity_of(options_); }
  std::vector<OptionRow> option_table() const override { return option_rows(options_); }
  std::vector<std::string> needs() const override { return masks_if(options_.masked); }

 private:
  MaskedOptions options_;
};

}  // namespace

std::unique_ptr<Loss> make_mse(const Json& options) {
  MaskedOptions chosen;
  read_options(options, chosen, "/losses/mse/options");
  return std::make_unique<Mse>(chosen);
}

}  // namespace regatta::losses
