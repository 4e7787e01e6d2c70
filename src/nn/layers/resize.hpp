// Up- and down-sampling, part of the vocabulary of layers.
#pragma once

#include <array>

#include <ATen/core/Tensor.h>

#include "nn/layers/conv.hpp"

namespace regatta {

/// Sizes of D, H, W.
std::array<std::int64_t, 3> grid_of(const at::Tensor& volume);

/// Nearest-neighbour up-sampling by two along D, H and W.
at::Tensor upsample_nearest(const at::Tensor& input);

struct ResizeOptions {
  bool align_corners =
      false;  ///< true: voxel centres of the corners coincide; false: the outer faces of the volumes do
  Backend backend = Backend::kReference;  ///< of fields; features of the fast backend are known by their type
};

/// Trilinear resampling to another grid; values are not scaled. Deterministic on every device, the backward pass too.
at::Tensor resize(const at::Tensor& input, const std::array<std::int64_t, 3>& size, const ResizeOptions& options = {});

/// `resize` by two along each axis.
at::Tensor upsample_trilinear(const at::Tensor& input, const ResizeOptions& options = {});

/// A displacement or velocity field on another grid, in voxels of that grid: `resize`, each component times the ratio
/// of sizes (align_corners false) or of sizes less one (true).
at::Tensor resize_field(const at::Tensor& field, const std::array<std::int64_t, 3>& size,
                        const ResizeOptions& options = {});

/// Each component of a field [N, 3, D, H, W] times its factor. Nothing waits for the device.
at::Tensor scale_components(const at::Tensor& field, const std::array<double, 3>& factors);

/// Voxels per unit of coordinates that are -1 and 1 at the volume's outer voxels, for D, H, W.
/// @param volume  [N, C, D, H, W]
std::array<double, 3> voxels_per_unit(const at::Tensor& volume);

/// Weights of cubic B-spline control points along one axis: row n holds B(n / spacing + 1 - i), which is the transposed
/// convolution of MIDIR with its crop. @return [size, points], precision and device of `like`
at::Tensor spline_matrix(std::int64_t size, std::int64_t points, std::int64_t spacing, const at::Tensor& like);

/// Mean over `kernel`^3 windows, `kernel` / 2 zeros around the volume counted, for odd kernels; no padding for even
/// ones.
at::Tensor average_pool(const at::Tensor& input, std::int64_t kernel, std::int64_t stride);

/// Largest of 2x2x2 voxels.
at::Tensor max_pool(const Feature& input);

}  // namespace regatta
