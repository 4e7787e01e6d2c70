#include "regatta/kernels/feature_warp.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include "kernels/feature_form.hpp"

namespace regatta::kernels {
namespace {

/// One voxel of the result: where it reads.
struct Sample {
  std::size_t out;                              ///< its first channel
  std::array<std::size_t, 3> flow;              ///< the components that it follows
  std::array<std::size_t, 8> corners;           ///< their first channels
  std::array<double, 8> weights;                ///< order d, h, w
  std::array<std::array<double, 8>, 3> slopes;  ///< of the weights, by component

  Sample(const FeatureWarpShape& shape, const float* displacements, std::int64_t voxel)
      : out(static_cast<std::size_t>(voxel * shape.channels)), flow{}, corners{}, weights{}, slopes{} {
    const VolumeSize to = shape.output_size();
    const std::array<std::int64_t, 3> sizes = {shape.size.d, shape.size.h, shape.size.w};
    std::array<std::int64_t, 3> at = {voxel / to.plane() % to.d, voxel / to.w % to.h, voxel % to.w};
    for (int axis = 0; axis < 3; ++axis) {
      at[axis] = std::clamp<std::int64_t>(at[axis] - (shape.padded ? 1 : 0), 0, sizes[axis] - 1);
    }
    const std::int64_t n = voxel / to.voxels();
    const std::int64_t place = (at[0] * sizes[1] + at[1]) * sizes[2] + at[2];
    std::array<std::int64_t, 3> lower = {};
    std::array<double, 3> fraction = {};
    std::array<double, 3> free = {};
    for (int axis = 0; axis < 3; ++axis) {
      flow[axis] = static_cast<std::size_t>((3 * n + axis) * shape.size.voxels() + place);
      const double point = static_cast<double>(at[axis]) + displacements[flow[axis]];
      const auto last = static_cast<double>(sizes[axis] - 1);
      free[axis] = point > 0.0 && point < last ? 1.0 : 0.0;
      const double held = std::clamp(point, 0.0, last);
      lower[axis] = std::min(static_cast<std::int64_t>(std::floor(held)), sizes[axis] - 2);
      fraction[axis] = held - static_cast<double>(lower[axis]);
    }
    for (int k = 0; k < 8; ++k) {
      const std::array<int, 3> upper = {k >> 2, k >> 1 & 1, k & 1};
      std::array<double, 3> share = {};
      std::int64_t corner = n;
      for (int axis = 0; axis < 3; ++axis) {
        share[axis] = upper[axis] == 1 ? fraction[axis] : 1.0 - fraction[axis];
        corner = corner * sizes[axis] + lower[axis] + upper[axis];
      }
      corners[k] = static_cast<std::size_t>(corner * shape.channels);
      weights[k] = share[0] * share[1] * share[2];
      for (int axis = 0; axis < 3; ++axis) {
        const double others = share[(axis + 1) % 3] * share[(axis + 2) % 3];
        slopes[axis][k] = free[axis] * (upper[axis] == 1 ? others : -others);
      }
    }
  }
};

}  // namespace

bool has_form(const FeatureWarpShape& shape, const Capability& chip) {
  constexpr std::int64_t kMostVoxels = std::int64_t{1} << 31;
  constexpr std::int64_t kMostBlocks = 65535;
  constexpr int kMostChannels = 1024;
  const VolumeSize to = shape.output_size();
  return chip.usable() && is_feature_size(to, shape.channels) && shape.channels <= kMostChannels && shape.size.d > 1 &&
         shape.size.h > 1 && shape.size.w > 1 && to.plane() < kMostVoxels / to.d &&
         3 * to.plane() < kMostVoxels / (shape.channels / 8) && to.n * to.d <= kMostBlocks && to.h <= kMostBlocks;
}

std::size_t feature_warp_scratch_bytes(const FeatureWarpShape& shape) {
  constexpr std::size_t kState = 16;
  const auto voxels = static_cast<std::size_t>(shape.size.all());
  return kState + (voxels * static_cast<std::size_t>(shape.channels) + voxels) * sizeof(std::uint32_t);
}

std::vector<double> feature_warp_reference(const FeatureWarpShape& shape, const Bf16* features, const float* flow) {
  std::vector<double> out(static_cast<std::size_t>(shape.output_size().all() * shape.channels));
  for (std::int64_t i = 0; i < shape.output_size().all(); ++i) {
    const Sample sample(shape, flow, i);
    for (int c = 0; c < shape.channels; ++c) {
      for (int k = 0; k < 8; ++k) {
        out[sample.out + c] += sample.weights[k] * to_float(features[sample.corners[k] + c]);
      }
    }
  }
  return out;
}

FeatureWarpGradients feature_warp_gradient_reference(const FeatureWarpShape& shape, const Bf16* features,
                                                     const float* flow, const Bf16* output_gradient) {
  FeatureWarpGradients result;
  result.to_features.resize(static_cast<std::size_t>(shape.size.all() * shape.channels));
  result.to_flow.resize(static_cast<std::size_t>(3 * shape.size.all()));
  for (std::int64_t i = 0; i < shape.output_size().all(); ++i) {
    const Sample sample(shape, flow, i);
    for (int c = 0; c < shape.channels; ++c) {
      const double arriving = to_float(output_gradient[sample.out + c]);
      for (int k = 0; k < 8; ++k) {
        result.to_features[sample.corners[k] + c] += sample.weights[k] * arriving;
        for (int axis = 0; axis < 3; ++axis) {
          result.to_flow[sample.flow[axis]] +=
              sample.slopes[axis][k] * arriving * to_float(features[sample.corners[k] + c]);
        }
      }
    }
  }
  return result;
}

}  // namespace regatta::kernels
