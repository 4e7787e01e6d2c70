// What the files of this folder share: checks of the input and the two images as one tensor.
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/ops/cat.h>

#include "nn/shapes.hpp"
#include "regatta/config/options.hpp"
#include "regatta/nn/parameters.hpp"

namespace regatta::models {

/// Options of a network that leaves nothing to choose: every key is refused.
struct NoOptions {
  template <class Self, class V>
  static void visit(Self&, V&&) {}
};

inline NoOptions read_no_options(const Json& options) {
  NoOptions none;
  read_options(options, none, "/model/options");
  return none;
}

/// @throws DataError unless both volumes are [N, 1, D, H, W] of one shape with sizes that are multiples
inline void check_sizes(const char* who, const at::Tensor& moving, const at::Tensor& fixed, int multiple) {
  check_image_pair(who, fixed, moving);
  for (std::int64_t axis = 2; axis < 5; ++axis) {
    REGATTA_REQUIRE(fixed.size(axis) % multiple == 0, DataError, who, ": volume ", shape_text(fixed),
                    ", each size must be a multiple of ", multiple);
  }
}

/// Moving, then fixed: [N, 2, D, H, W], in the layout and type of activations.
inline at::Tensor join_images(const at::Tensor& moving, const at::Tensor& fixed, const NetworkContext& context) {
  const at::Tensor images = at::cat({moving, fixed}, 1);
  if (context.backend == Backend::kFast) {
    return images.to(context.activations(), false, false, at::MemoryFormat::ChannelsLast3d);
  }
  return context.channels_last ? images.contiguous(at::MemoryFormat::ChannelsLast3d) : images;
}

}  // namespace regatta::models
