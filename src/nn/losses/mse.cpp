// Mean squared difference of the fixed and the warped volume.
#include <ATen/ops/mse_loss.h>

#include "nn/shapes.hpp"
#include "regatta/config/options.hpp"
#include "regatta/nn/loss.hpp"

namespace regatta::losses {
namespace {

struct MseOptions {
  template <class Self, class V>
  static void visit(Self&, V&&) {}
};

class Mse final : public Loss {
 public:
  at::Tensor value(const PairState& pair) const override {
    check_image_pair("mse", pair.fixed, pair.warped);
    return at::mse_loss(pair.warped, pair.fixed);
  }

  Json options() const override { return write_options(MseOptions{}); }
  Json options_identity() const override { return identity_of(MseOptions{}); }
};

}  // namespace

std::unique_ptr<Loss> make_mse(const Json& options) {
  MseOptions none;
  read_options(options, none, "/losses/mse/options");
  return std::make_unique<Mse>();
}

}  // namespace regatta::losses
