#include "regatta/kernels/neighbourhood_attention.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include "kernels/feature_form.hpp"
#include "regatta/base/error.hpp"

namespace regatta::kernels {
namespace {

constexpr int kNeighbours = 27;

std::array<int, 3> offset_of(int k) {
  return {k / 9 - 1, k / 3 % 3 - 1, k % 3 - 1};
}

/// One query voxel: its place, what it reads and finds.
struct Match {
  std::array<std::int64_t, 4> at;  ///< n, d, h, w
  std::size_t query;               ///< its first channel
  std::array<std::size_t, kNeighbours> keys;
  std::array<double, kNeighbours> weights;
  std::array<double, 3> mean;

  Match(const NeighbourhoodShape& shape, const Bf16* queries, const Bf16* of_keys, std::int64_t voxel)
      : at{voxel / shape.size.voxels(), voxel / shape.size.plane() % shape.size.d, voxel / shape.size.w % shape.size.h,
           voxel % shape.size.w},
        query(static_cast<std::size_t>(voxel * shape.channels)),
        keys{},
        weights{},
        mean{} {
    const VolumeSize padded = shape.key_size();
    double largest = -HUGE_VAL;
    for (int k = 0; k < kNeighbours; ++k) {
      const auto offset = offset_of(k);
      const std::int64_t place =
          ((at[0] * padded.d + at[1] + 1 + offset[0]) * padded.h + at[2] + 1 + offset[1]) * padded.w + at[3] + 1 +
          offset[2];
      keys[k] = static_cast<std::size_t>(place * shape.channels);
      double logit = 0.0;
      for (int c = 0; c < shape.channels; ++c) {
        logit += static_cast<double>(to_float(queries[query + c])) * to_float(of_keys[keys[k] + c]);
      }
      weights[k] = logit / std::sqrt(static_cast<double>(shape.channels));
      largest = std::max(largest, weights[k]);
    }
    double sum = 0.0;
    for (double& weight : weights) {
      weight = std::exp(weight - largest);
      sum += weight;
    }
    for (int k = 0; k < kNeighbours; ++k) {
      weights[k] /= sum;
      for (int axis = 0; axis < 3; ++axis) {
        mean[axis] += weights[k] * offset_of(k)[axis];
      }
    }
  }

  /// Component `axis` of the displacement, and whether its place was brought back.
  double displacement(const NeighbourhoodShape& shape, int axis, double factor, bool* brought_back) const {
    const std::array<std::int64_t, 3> sizes = {shape.size.d, shape.size.h, shape.size.w};
    const auto here = static_cast<double>(at[axis + 1]);
    const double place = here + factor * mean[axis];
    const double inside = std::clamp(place, 0.0, static_cast<double>(sizes[axis] - 1));
    *brought_back = shape.inside && inside != place;
    return *brought_back ? inside - here : factor * mean[axis];
  }
};

}  // namespace

bool has_form(const NeighbourhoodShape& shape, const Capability& chip) {
  constexpr std::int64_t kMostVoxels = std::int64_t{1} << 31;
  constexpr std::int64_t kMostBlocks = 65535;
  constexpr int kMostChannels = 1024;
  const VolumeSize padded = shape.key_size();
  return chip.usable() && is_feature_size(padded, shape.channels) && shape.channels <= kMostChannels &&
         shape.size.d > 0 && shape.size.h > 0 && shape.size.w > 0 &&
         padded.plane() < kMostVoxels / padded.d / (shape.channels / 8) && padded.n * padded.d <= kMostBlocks &&
         padded.h <= kMostBlocks;
}

std::vector<double> neighbourhood_reference(const NeighbourhoodShape& shape, const Bf16* query, const Bf16* key,
                                            double factor) {
  const std::int64_t voxels = shape.size.voxels();
  std::vector<double> field(static_cast<std::size_t>(3 * shape.size.all()));
  for (std::int64_t i = 0; i < shape.size.all(); ++i) {
    const Match match(shape, query, key, i);
    for (int axis = 0; axis < 3; ++axis) {
      bool brought_back = false;
      field[static_cast<std::size_t>((3 * match.at[0] + axis) * voxels + i % voxels)] =
          match.displacement(shape, axis, factor, &brought_back);
    }
  }
  return field;
}

NeighbourhoodGradients neighbourhood_gradient_reference(const NeighbourhoodShape& shape, const Bf16* query,
                                                        const Bf16* key, double factor, const float* to_field) {
  const std::int64_t voxels = shape.size.voxels();
  const double scale = 1.0 / std::sqrt(static_cast<double>(shape.channels));
  NeighbourhoodGradients result;
  result.to_query.resize(static_cast<std::size_t>(shape.size.all() * shape.channels));
  result.to_key.resize(static_cast<std::size_t>(shape.key_size().all() * shape.channels));
  for (std::int64_t i = 0; i < shape.size.all(); ++i) {
    const Match match(shape, query, key, i);
    std::array<double, 3> to_mean = {};
    double along_mean = 0.0;
    for (int axis = 0; axis < 3; ++axis) {
      bool brought_back = false;
      match.displacement(shape, axis, factor, &brought_back);
      const double arriving = to_field[(3 * match.at[0] + axis) * voxels + i % voxels];
      to_mean[axis] = brought_back ? 0.0 : factor * arriving;
      result.to_factor += brought_back ? 0.0 : match.mean[axis] * arriving;
      along_mean += to_mean[axis] * match.mean[axis];
    }
    for (int k = 0; k < kNeighbours; ++k) {
      const auto offset = offset_of(k);
      const double along = to_mean[0] * offset[0] + to_mean[1] * offset[1] + to_mean[2] * offset[2];
      const double to_logit = match.weights[k] * (along - along_mean) * scale;
      for (int c = 0; c < shape.channels; ++c) {
        result.to_query[match.query + c] += to_logit * to_float(key[match.keys[k] + c]);
        result.to_key[match.keys[k] + c] += to_logit * to_float(query[match.query + c]);
      }
    }
  }
  return result;
}

std::size_t neighbourhood_scratch_bytes(const NeighbourhoodShape& shape) {
  const VolumeSize& size = shape.size;
  const std::int64_t blocks = size.n * size.d * ((size.h + 3) / 4) * ((size.w + 31) / 32);
  return static_cast<std::size_t>(size.all()) * (4 + 1) * sizeof(float) +
         static_cast<std::size_t>(blocks) * sizeof(double);
}

}  // namespace regatta::kernels
