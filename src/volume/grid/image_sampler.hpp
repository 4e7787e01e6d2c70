// Values of an image or of a label map at any point, by the interpolation asked for.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "regatta/volume/geometry.hpp"
#include "regatta/volume/resample.hpp"
#include "volume/grid/sampling.hpp"
#include "volume/grid/spline.hpp"

namespace regatta {

/// Keeps the voxels' place in memory, which must outlive it.
class ImageSampler {
 public:
  /// @param outside  beyond the field of view
  ImageSampler(std::span<const float> voxels, const Shape3& shape, Interpolation interpolation, float outside,
               int threads)
      : voxels_(voxels.data()), shape_(shape), interpolation_(interpolation), outside_(outside) {
    if (interpolation == Interpolation::kCubic) {
      coefficients_ = cubic_coefficients(voxels, shape, threads);
    }
  }

  float operator()(const Point3& p) const {
    if (!inside_view(shape_, p)) {
      return outside_;
    }
    switch (interpolation_) {
      case Interpolation::kLinear: return sample_linear(voxels_, shape_, p);
      case Interpolation::kNearest: return sample_nearest(voxels_, shape_, p);
      case Interpolation::kCubic: return sample_cubic(coefficients_.data(), shape_, p);
    }
    return outside_;
  }

 private:
  const float* voxels_;
  Shape3 shape_;
  Interpolation interpolation_;
  float outside_;
  std::vector<float> coefficients_;
};

}  // namespace regatta
