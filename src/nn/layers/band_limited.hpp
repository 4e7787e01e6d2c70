// Resampling of a periodic volume by its low frequencies, part of the vocabulary of layers.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <tuple>

#include <ATen/core/Tensor.h>

namespace regatta {

/// The volume on another grid, with the frequencies that both grids have: its discrete Fourier transform, centred,
/// cropped or padded with zeros to the new sizes, transformed back, real part. Values are not rescaled: they are
/// the interpolated ones times the ratio of voxel counts, old to new.
/// Computed as matrix products along W, H, D, exactly what the transforms amount to. One real matrix is not enough: of
/// an even size the highest frequency is kept on one side only, and its imaginary part along two axes is real again.
/// Deterministic, differentiable, nothing kept for the backward pass. Matrices are made once a size and device.
class BandLimitedResize {
 public:
  /// @param input  [N, C, d, h, w], even sizes
  /// @param size   even sizes
  at::Tensor operator()(const at::Tensor& input, const std::array<std::int64_t, 3>& size) const;

 private:
  struct Matrices {
    at::Tensor real;       ///< [in, out]
    at::Tensor imaginary;  ///< [in, out]
  };

  const Matrices& matrices(std::int64_t in, std::int64_t out, const at::Tensor& like) const;

  mutable std::map<std::tuple<std::int64_t, std::int64_t, std::string, int>, Matrices> made_;
};

}  // namespace regatta
