// Re-sampling of the fast backend: fields on another grid, features at twice the size, pooling.
#pragma once

#include <array>

#include <ATen/core/Tensor.h>

#include "nn/layers/conv.hpp"

namespace regatta::fast {

/// Whether our kernels bring this field to that grid: float32 with three components.
bool has_resize(const at::Tensor& field, const std::array<std::int64_t, 3>& size);

/// Trilinear, each component times its factor. @return [N, 3, size]
at::Tensor resize(const at::Tensor& field, const std::array<std::int64_t, 3>& size, bool align_corners,
                  const std::array<double, 3>& factors);

/// Whether our kernels up-sample these features by two, trilinearly: bf16 with channels in multiples of 8.
bool has_upsample(const at::Tensor& features);

at::Tensor upsample(const at::Tensor& features, bool align_corners);

/// Whether our kernel halves these images: bf16, two channels, without a gradient.
bool has_average_pool(const at::Tensor& images, std::int64_t kernel, std::int64_t stride);

/// Means over 3x3x3 voxels, stride 2.
at::Tensor average_pool(const at::Tensor& images);

/// Whether our kernels take the means of 2x2x2 voxels of these features: bf16 with channels in multiples of 8.
bool has_mean_pool(const at::Tensor& features, std::int64_t kernel, std::int64_t stride);

at::Tensor mean_pool(const at::Tensor& features);

/// Whether our kernels take the largest of 2x2x2 voxels of this feature.
bool has_max_pool(const Feature& feature);

/// What a LeakyReLU left to readers is applied to the gradient here.
at::Tensor max_pool(const Feature& feature);

}  // namespace regatta::fast
