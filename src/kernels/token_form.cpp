// For which tokens there are kernels, and what scratch they need.
#include "kernels/token_form.hpp"

#include "regatta/base/error.hpp"
#include "regatta/kernels/gelu.hpp"
#include "regatta/kernels/layer_norm.hpp"

namespace regatta::kernels {

bool has_form(const LayerNormShape& shape, const Capability& chip) {
  const VolumeSize& size = shape.size;
  const bool even = size.d % 2 == 0 && size.h % 2 == 0 && size.w % 2 == 0;
  return chip.usable() && size.all() > 0 && shape.channels > 0 && shape.channels % 8 == 0 &&
         shape.row_channels() <= tokens::kMostRowChannels && (even || !shape.merge);
}

std::size_t layer_norm_scratch_bytes(const LayerNormShape& shape, const Capability& chip) {
  REGATTA_REQUIRE(has_form(shape, chip), BugError, "LayerNorm of ", shape.row_channels(), " channels: no kernel");
  const int channels = shape.row_channels();
  const int parts = channels <= tokens::kMostHeldChannels
                        ? tokens::backward_blocks(shape.rows(), chip)
                        : tokens::column_parts(shape.rows(), channels, tokens::kChunk, chip);
  return static_cast<std::size_t>(parts) * static_cast<std::size_t>(tokens::kSums * channels) * sizeof(float);
}

bool has_form(const GeluShape& shape, const Capability& chip) {
  constexpr int kMostChannels = 65536;
  return chip.usable() && shape.rows > 0 && shape.channels > 0 && shape.channels % 8 == 0 &&
         shape.channels <= kMostChannels;
}

std::size_t gelu_scratch_bytes(const GeluShape& shape, const Capability& chip) {
  REGATTA_REQUIRE(has_form(shape, chip), BugError, "GELU of ", shape.channels, " channels: no kernel");
  const int parts = tokens::column_parts(shape.rows, shape.channels, 2 * tokens::kChunk, chip);
  return static_cast<std::size_t>(parts) * static_cast<std::size_t>(shape.channels) * sizeof(float);
}

}  // namespace regatta::kernels
