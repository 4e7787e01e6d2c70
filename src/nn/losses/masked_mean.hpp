// What the image losses share that can leave voxels outside a mask out of their mean.
#pragma once

#include <string>
#include <vector>

#include <ATen/TensorOperators.h>
#include <ATen/core/Tensor.h>

#include "nn/shapes.hpp"
#include "regatta/config/options.hpp"
#include "regatta/nn/loss.hpp"

namespace regatta::losses {

struct MaskedOptions {
  bool masked = false;

  template <class Self, class V>
  static void visit(Self& s, V&& v) {
    v("masked", s.masked, "mean over the voxels of the fixed mask; over all voxels if a pair has no mask");
  }
};

/// See Loss::needs.
inline std::vector<std::string> masks_if(bool masked) {
  return masked ? std::vector<std::string>{"masks"} : std::vector<std::string>{};
}

/// The fixed mask if it is to be used and there, else undefined.
/// @return [N, 1, D, H, W] uint8
/// @throws DataError unless the mask has the fixed volume's shape
inline at::Tensor mask_of(const char* who, const PairState& pair, const MaskedOptions& options) {
  if (!options.masked || !pair.fixed_mask.defined()) {
    return {};
  }
  REGATTA_REQUIRE(pair.fixed_mask.sizes() == pair.fixed.sizes(), DataError, who, ": fixed mask ",
                  shape_text(pair.fixed_mask), ", expected the shape of the fixed volume, ", shape_text(pair.fixed));
  return pair.fixed_mask;
}

/// Mean of `values` over the voxels of the whole batch where the mask is not 0; 0 for an empty mask.
inline at::Tensor masked_mean(const at::Tensor& values, const at::Tensor& mask) {
  const at::Tensor inside = mask.ne(0).to(values.scalar_type());
  return values.mul(inside).sum().div(inside.sum().clamp_min(1.0));
}

}  // namespace regatta::losses
