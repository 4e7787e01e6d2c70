// For which features there are kernels, and what scratch they need.
#include "kernels/feature_form.hpp"

#include "regatta/base/error.hpp"
#include "regatta/kernels/max_pool.hpp"
#include "regatta/kernels/mean_pool.hpp"
#include "regatta/kernels/upsample.hpp"

namespace regatta::kernels {

bool has_form(const InstanceNormShape& shape, const Capability& chip) {
  return chip.usable() && is_feature_size(shape.size, shape.channels) &&
         shape.channels <= instance_norm::kMostChannels && (shape.affine ? shape.slope >= 0.0F : shape.slope > 0.0F) &&
         (!shape.affine || shape.channels_of_voxel() == shape.channels) &&
         shape.channels_of_voxel() >= shape.channels && is_feature_size(shape.size, shape.channels_of_voxel());
}

std::size_t instance_norm_scratch_bytes(const InstanceNormShape& shape, const Capability& chip) {
  REGATTA_REQUIRE(has_form(shape, chip), BugError, "InstanceNorm of ", shape.channels, " channels: no kernel");
  const auto vectors = static_cast<std::size_t>(shape.size.n) * static_cast<std::size_t>(shape.channels / 8);
  const auto parts = static_cast<std::size_t>(instance_norm::blocks(shape, chip)) + 1;  // and the means of gradients
  return vectors * parts * instance_norm::kValues * sizeof(float);
}

bool has_form(const UpsampleShape& shape, const Capability& chip) {
  return chip.usable() && is_feature_size(shape.size, shape.channels) && shape.channels_of_voxel() >= shape.channels &&
         is_feature_size(shape.output_size(), shape.channels_of_voxel());
}

bool has_form(const MaxPoolShape& shape, const Capability& chip) {
  const VolumeSize& size = shape.size;
  return chip.usable() && is_feature_size(size, shape.channels) && size.d > 1 && size.h > 1 && size.w > 1;
}

bool has_form(const MeanPoolShape& shape, const Capability& chip) {
  constexpr std::int64_t kMostBlocks = 65535;
  const VolumeSize& size = shape.size;
  return chip.usable() && is_feature_size(size, shape.channels) && size.d > 1 && size.h > 1 && size.w > 1 &&
         size.n * size.d <= kMostBlocks && size.h <= kMostBlocks;
}

}  // namespace regatta::kernels
