#include "regatta/nn/published.hpp"

#include <algorithm>
#include <array>
#include <map>

namespace regatta {
namespace {

constexpr const char* kWithoutScales =
    "squares the network's output without dividing it by 2^7 first, and up-samples the field without doubling its "
    "values";
constexpr const char* kShifted = "samples half a voxel off towards the borders";

constexpr std::array<PublishedForm, 6> kForms = {
    {{"voxelmorph-diff", "reference", kWithoutScales},
     {"transmorph-diff", "reference", kWithoutScales},
     {"transmorph-bspl", "reference", kShifted},
     {"transmorph-oasis", "shifted_grid", kShifted},
     {"transmorph-large-oasis", "shifted_grid", kShifted},
     {"lkunet-affine", "reference", "takes scale factors without adding the 1 of an identity"}}};

}  // namespace

const PublishedForm* published_form(const std::string& model) {
  const auto* const found =
      std::find_if(kForms.begin(), kForms.end(), [&](const PublishedForm& form) { return model == form.model; });
  return found == kForms.end() ? nullptr : found;
}

std::vector<std::string> untold_options(const std::string& model) {
  static const std::map<std::string, std::vector<std::string>> kOptions = {
      {"lkunet", {"diffeomorphic", "head"}},   {"unet", {"diffeomorphic"}},   {"fourier-net", {"diffeomorphic"}},
      {"fourier-net-plus", {"diffeomorphic"}}, {"voxelmorph", {"int_steps"}}, {"voxelmorph-pairwise", {"int_steps"}}};
  const auto found = kOptions.find(model);
  return found == kOptions.end() ? std::vector<std::string>() : found->second;
}

}  // namespace regatta
