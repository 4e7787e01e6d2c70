// Two halves of a way should be equally long: | sum |flow| - sum |inverse flow| | per component and voxel. For networks
// that meet in the middle, with the side "halfway". Source: SYMNet ("magnitude loss"), there in units of the volume.
#include <ATen/TensorOperators.h>
#include <ATen/ops/abs.h>

#include "nn/losses/two_fields.hpp"
#include "regatta/base/error.hpp"
#include "regatta/config/options.hpp"
#include "regatta/nn/batch_part.hpp"
#include "regatta/nn/loss.hpp"

namespace regatta::losses {
namespace {

struct MagnitudeOptions {
  template <class Self, class V>
  static void visit(Self&, V&&) {}
};

class Magnitude final : public Loss {
 public:
  /// Sums in double precision: the value is a small difference of large ones.
  at::Tensor value(const PairState& pair) const override {
    check_two_fields("magnitude", pair);
    REGATTA_REQUIRE(part_of_batch(pair.flow.size(0)).samples == pair.flow.size(0), ConfigError,
                    "/losses/magnitude: is taken of a whole batch at once, which no member of a group has");
    const at::Tensor forth = pair.flow.abs().sum(at::kDouble);
    const at::Tensor back = pair.inverse_flow.abs().sum(at::kDouble);
    return (forth - back).abs().div(static_cast<double>(pair.flow.numel())).to(pair.flow.scalar_type());
  }

  Json options() const override { return write_options(MagnitudeOptions{}); }
  Json options_identity() const override { return identity_of(MagnitudeOptions{}); }
  std::vector<OptionRow> option_table() const override { return option_rows(MagnitudeOptions{}); }
};

}  // namespace

std::unique_ptr<Loss> make_magnitude(const Json& options) {
  MagnitudeOptions none;
  read_options(options, none, "/losses/magnitude/options");
  return std::make_unique<Magnitude>();
}

}  // namespace regatta::losses
