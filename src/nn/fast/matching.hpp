// Matching of features on the fast backend: features warped with their padding, attention over 3x3x3 neighbours.
#pragma once

#include <ATen/core/Tensor.h>

namespace regatta::fast {

/// bf16 with channels in multiples of 8, and a field of the same grid in float32.
bool has_warp_padded(const at::Tensor& features, const at::Tensor& flow);

/// @param features  [N, C, D, H, W]
/// @return features(p + flow(p)) with one voxel more on each side: [N, C, D + 2, H + 2, W + 2]
at::Tensor warp_padded(const at::Tensor& features, const at::Tensor& flow);

/// bf16 with channels in multiples of 8.
bool has_neighbourhood(const at::Tensor& query, const at::Tensor& key);

/// @param query   [N, C, D, H, W]
/// @param key     [N, C, D + 2, H + 2, W + 2]
/// @param factor  [1] float32, trained
/// @return factor times where each query finds its match, brought back into the volume if `inside`: float32
///         [N, 3, D, H, W]
at::Tensor neighbourhood_match(const at::Tensor& query, const at::Tensor& key, const at::Tensor& factor, bool inside);

}  // namespace regatta::fast
