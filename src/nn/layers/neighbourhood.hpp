// Matching of each voxel with the 27 around it, part of the vocabulary of layers.
#pragma once

#include <ATen/core/Tensor.h>

namespace regatta {

/// The volume with one more voxel on each side of D, H and W, equal to its neighbour inside.
/// @param volume  [N, C, D, H, W]
/// @return [N, C, D + 2, H + 2, W + 2]; its backward pass sums in a fixed order on every device
at::Tensor pad_replicate(const at::Tensor& volume);

/// Where each voxel's query finds its match among the keys of the 3x3x3 voxels around it: the mean of the offsets
/// (-1, 0, 1 along D, H, W), weighted by the softmax over query . key / sqrt(C).
/// @param query  [N, C, D, H, W]
/// @param key    [N, C, D + 2, H + 2, W + 2]: one voxel of padding on each side
/// @return [N, 3, D, H, W] voxels, each in [-1, 1], differentiable in both
/// Keeps query and key for the backward pass, no weight; works on slabs along D, so that the 27 weights of all voxels
/// never exist together.
/// @param most_values  of one temporary: bounds the slabs, not the result
/// Source: the attention of Liu et al., "Vector field attention for deformable image
/// registration", JMI 2024.
at::Tensor neighbourhood_attention(const at::Tensor& query, const at::Tensor& key,
                                   std::int64_t most_values = std::int64_t{1} << 24);

/// The same by LibTorch's own derivative, all voxels at once: the reference of `neighbourhood_attention`.
at::Tensor neighbourhood_attention_plain(const at::Tensor& query, const at::Tensor& key);

/// Where each voxel's match is, as a displacement: factor times `neighbourhood_attention`.
/// @param factor  [1], trained
/// @param inside  places beyond the centres of the outer voxels are brought back to them
/// @return [N, 3, D, H, W] voxels, float32 of bf16
at::Tensor neighbourhood_match(const at::Tensor& query, const at::Tensor& key, const at::Tensor& factor, bool inside);

/// Features where a displacement points, the border continuing outside, with `pad_replicate`.
/// @param features  [N, C, D, H, W]
/// @param flow      [N, 3, D, H, W] voxels; undefined: none
/// @return [N, C, D + 2, H + 2, W + 2], differentiable in both
at::Tensor warp_padded(const at::Tensor& features, const at::Tensor& flow);

/// A displacement whose places, p + field(p), are inside the volume: those beyond the centres of the outer voxels are
/// brought back to them.
/// @param field  [N, 3, D, H, W] voxels
at::Tensor brought_inside(const at::Tensor& field);

}  // namespace regatta
