// Local normalised cross-correlation, negated (lower is better).
#include <string>

#include "nn/fast/fields.hpp"
#include "nn/known_gradient.hpp"
#include "nn/losses/masked_mean.hpp"
#include "nn/ops/local_correlation.hpp"
#include "regatta/base/error.hpp"
#include "regatta/config/options.hpp"
#include "regatta/nn/forms.hpp"
#include "regatta/nn/loss.hpp"

namespace regatta::losses {
namespace {

constexpr const char* kClosedForm = "closed-form";
constexpr const char* kReference = "reference";

/// `kind` chose between two forms once. Recipes that name it still read, and keep their hash; which form is taken is
/// the backend's choice now.
struct NccOptions {
  int window = 9;
  std::string kind = kClosedForm;
  std::string form = "sums";
  MaskedOptions mask;

  template <class Self, class V>
  static void visit(Self& s, V&& v) {
    v("window", s.window, "odd edge length of the window, voxels", between(3, 21));
    v("kind", s.kind,
      "kept for older recipes: it changes the recipe's hash and nothing else; /run/backend chooses the form",
      one_of({kClosedForm, kReference}));
    v("form", s.form,
      "how the terms of a window are combined: sums: cross^2 / (product + 1e-5); means: over at least 1.19e-7, as VFA; "
      "clamped: each at least 1e-5, as VoxelMorph's TensorFlow code",
      one_of({"sums", "means", "clamped"}));
    MaskedOptions::visit(s.mask, v);
  }
};

class Ncc final : public Loss {
 public:
  explicit Ncc(const NccOptions& options)
      : options_(options),
        form_(options.form == "sums"    ? CorrelationForm::kSums
              : options.form == "means" ? CorrelationForm::kMeans
                                        : CorrelationForm::kClamped) {}

  at::Tensor value(const PairState& pair) const override {
    check_image_pair("ncc", pair.fixed, pair.warped);
    const CorrelationOptions options = {options_.window, form_, mask_of("ncc", pair, options_.mask)};
    const bool fast = pair.backend == Backend::kFast && pair.in_unit_range &&
                      fast::has_local_correlation(pair.fixed, pair.warped, options);
    const char* name = options.mask.defined() ? "NCC with masks" : "NCC";
    name_part(fast ? Form::kKernel : Form::kReference, fast ? name : reference_name(pair, name));
    return (fast ? fast::local_correlation : local_correlation)(pair.fixed, pair.warped, options).neg();
  }

  Json options() const override { return write_options(options_); }
  Json options_identity() const override { return identity_of(options_); }
  std::vector<OptionRow> option_table() const override { return option_rows(options_); }
  std::vector<std::string> needs() const override { return masks_if(options_.mask.masked); }

 private:
  /// Where NCC has no fast form, its name says why.
  const char* reference_name(const PairState& pair, const char* name) const {
    if (pair.backend == Backend::kReference) {
      return name;
    }
    if (!pair.in_unit_range) {
      return "NCC of images outside [0, 1]";
    }
    return needs_gradient(pair.fixed) ? "NCC with gradients to both images" : "NCC with this window";
  }

  NccOptions options_;
  CorrelationForm form_;
};

}  // namespace

std::unique_ptr<Loss> make_ncc(const Json& options) {
  NccOptions chosen;
  read_options(options, chosen, "/losses/ncc/options");
  REGATTA_REQUIRE(chosen.window % 2 == 1, ConfigError, "/losses/ncc/options/window: ", chosen.window,
                  " is even, expected an odd number 3..21");
  return std::make_unique<Ncc>(chosen);
}

}  // namespace regatta::losses
