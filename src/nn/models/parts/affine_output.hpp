// What the affine networks do with the transform that their heads give.
#pragma once

#include <algorithm>
#include <array>
#include <vector>

#include "nn/layers/affine.hpp"
#include "nn/layers/resize.hpp"
#include "nn/models/common.hpp"
#include "regatta/base/error.hpp"
#include "regatta/nn/model.hpp"
#include "regatta/nn/warp.hpp"

namespace regatta::models {

/// The displacement of the transform and of its inverse, and both warped volumes. A singular transform (a scale of 0)
/// has an infinite inverse; the forward part stays finite.
inline ModelOutput affine_output(const AffineParts& parts, const at::Tensor& moving, const at::Tensor& fixed,
                                 bool align_corners) {
  const at::Tensor matrix = affine_matrix(parts);
  const at::Tensor flow = affine_displacement(matrix, grid_of(fixed), align_corners);
  const at::Tensor inverse = affine_displacement(inverse_affine(matrix), grid_of(fixed), align_corners);
  return {.warped = warp(moving, flow),
          .flow = flow,
          .regularised = flow,
          .inverse_warped = warp(fixed, inverse),
          .inverse_flow = inverse};
}

/// The size that a network with fully connected heads is made for.
/// @throws ConfigError unless `size` is three multiples
inline std::array<std::int64_t, 3> read_size(const std::vector<int>& size, const std::array<int, 3>& multiples) {
  const auto fits = [&](std::size_t axis) { return size[axis] > 0 && size[axis] % multiples[axis] == 0; };
  REGATTA_REQUIRE(size.size() == 3 && fits(0) && fits(1) && fits(2), ConfigError, "/model/options/size: [",
                  join(size, ", "), "], expected D, H, W, multiples of ", join(multiples, ", "));
  return {size[0], size[1], size[2]};
}

/// @throws DataError unless both volumes are [N, 1, D, H, W] of that size
inline void check_made_for(const char* who, const at::Tensor& moving, const at::Tensor& fixed,
                           const std::array<std::int64_t, 3>& size) {
  check_image_pair(who, fixed, moving);
  REGATTA_REQUIRE(grid_of(fixed) == size, DataError, who, ": volume ", shape_text(fixed), ", the option size says ",
                  join(size, ", "));
}

}  // namespace regatta::models
