// Smoothing, resampling, foreground, local normalisation.
#include "volume/affine/affine_level.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include "regatta/base/error.hpp"
#include "regatta/volume/resample.hpp"
#include "volume/grid/otsu.hpp"
#include "volume/grid/parallel.hpp"

namespace regatta {
namespace {

constexpr double kMargin_mm = 8.0;       ///< around the foreground: its outline is the best landmark
constexpr double kLocal_mm = 10.0;       ///< sigma of local mean and contrast
constexpr double kLeastContrast = 0.15;  ///< of the foreground's standard deviation: flat regions stay flat
constexpr double kReach = 2.5;           ///< of a smoothing kernel, in sigmas

std::vector<float> gaussian_kernel(double sigma) {
  const auto radius = static_cast<std::int64_t>(std::ceil(kReach * sigma));
  std::vector<float> kernel;
  double sum = 0.0;
  for (std::int64_t i = -radius; i <= radius; ++i) {
    const double value = std::exp(-0.5 * static_cast<double>(i * i) / (sigma * sigma));
    kernel.push_back(static_cast<float>(value));
    sum += value;
  }
  for (float& value : kernel) {
    value = static_cast<float>(value / sum);
  }
  return kernel;
}

/// Along one axis; the outer voxels are repeated beyond the edge.
std::vector<float> smooth_along(const std::vector<float>& in, const Shape3& shape, std::size_t axis, double sigma,
                                int threads) {
  if (sigma < 0.2) {
    return in;
  }
  const std::vector<float> kernel = gaussian_kernel(sigma);
  const auto radius = static_cast<std::int64_t>(kernel.size() / 2);
  const std::array<std::int64_t, 3> strides = {shape[1] * shape[2], shape[2], 1};
  const std::int64_t length = shape[axis];
  const std::int64_t stride = strides[axis];
  std::vector<float> out(in.size());
  const std::int64_t lines = voxel_count(shape) / length;
  parallel_for(lines, threads, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t line = begin; line < end; ++line) {
      const std::int64_t first = line / stride * stride * length + line % stride;
      for (std::int64_t i = 0; i < length; ++i) {
        float sum = 0.0F;
        for (std::int64_t k = -radius; k <= radius; ++k) {
          const std::int64_t at = std::clamp<std::int64_t>(i + k, 0, length - 1);
          sum += kernel[static_cast<std::size_t>(k + radius)] * in[static_cast<std::size_t>(first + at * stride)];
        }
        out[static_cast<std::size_t>(first + i * stride)] = sum;
      }
    }
  });
  return out;
}

std::vector<float> smooth(std::vector<float> values, const Grid& grid, const Spacing3& sigma_mm, int threads) {
  const Spacing3 spacing = spacing_of(grid.affine);
  for (std::size_t axis = 0; axis < 3; ++axis) {
    values = smooth_along(values, grid.shape, axis, sigma_mm[axis] / spacing[axis], threads);
  }
  return values;
}

/// The grid of the level: same axes and field of view, coarser voxels.
Grid coarse_grid(const Grid& grid, double spacing_mm) {
  const Spacing3 spacing = spacing_of(grid.affine);
  Grid coarse = grid;
  Point3 first{};  // index of the first coarse voxel's centre
  for (std::size_t axis = 0; axis < 3; ++axis) {
    const double step = std::max(1.0, spacing_mm / spacing[axis]);
    const auto count = std::max<std::int64_t>(
        1, static_cast<std::int64_t>(std::floor(static_cast<double>(grid.shape[axis]) / step + 1e-6)));
    coarse.shape[axis] = count;
    first[axis] = 0.5 * (static_cast<double>(grid.shape[axis] - 1) - step * static_cast<double>(count - 1));
    for (std::size_t row = 0; row < 3; ++row) {
      coarse.affine[row * 4 + axis] *= step;
    }
  }
  const Point3 origin = map_point(grid.affine, first);
  for (std::size_t row = 0; row < 3; ++row) {
    coarse.affine[row * 4 + 3] = origin[row];
  }
  return coarse;
}

/// Local mean and contrast taken out; where there is no contrast the values tend to 0.
void normalise_locally(Level& level, int threads) {
  const Spacing3 sigma = {kLocal_mm, kLocal_mm, kLocal_mm};
  const std::vector<float> mean = smooth(level.values, level.grid, sigma, threads);
  std::vector<float> square(mean.size());
  double sum = 0.0;
  double count = 0.0;
  for (std::size_t i = 0; i < mean.size(); ++i) {
    level.values[i] -= mean[i];
    square[i] = level.values[i] * level.values[i];
    if (level.mask[i] != 0) {
      sum += square[i];
      ++count;
    }
  }
  const double floor = kLeastContrast * kLeastContrast * (count > 0 ? sum / count : 1.0) + 1e-30;
  const std::vector<float> variance = smooth(square, level.grid, sigma, threads);
  for (std::size_t i = 0; i < mean.size(); ++i) {
    level.values[i] = static_cast<float>(level.values[i] / std::sqrt(static_cast<double>(variance[i]) + floor));
  }
}

}  // namespace

Level make_level(const Volume& volume, double spacing_mm, bool normalise, int threads) {
  const Spacing3 spacing = spacing_of(volume.grid.affine);
  Spacing3 sigma{};
  for (std::size_t axis = 0; axis < 3; ++axis) {
    sigma[axis] = spacing_mm > spacing[axis] ? 0.5 * spacing_mm : 0.0;
  }
  Level level;
  level.grid = coarse_grid(volume.grid, spacing_mm);
  level.values = resample_to_grid(smooth(volume.voxels, volume.grid, sigma, threads), volume.grid, level.grid,
                                  Interpolation::kLinear, 0.0F, threads);
  const float threshold = otsu_threshold(level.values);
  std::vector<float> foreground(level.values.size());
  std::transform(level.values.begin(), level.values.end(), foreground.begin(),
                 [threshold](float value) { return value > threshold ? 1.0F : 0.0F; });
  level.foreground.assign(foreground.begin(), foreground.end());
  constexpr float kTouched = 0.02F;
  const Spacing3 margin = {0.5 * kMargin_mm, 0.5 * kMargin_mm, 0.5 * kMargin_mm};
  const std::vector<float> spread = smooth(std::move(foreground), level.grid, margin, threads);
  level.mask.resize(spread.size());
  std::transform(spread.begin(), spread.end(), level.mask.begin(),
                 [](float value) { return static_cast<std::uint8_t>(value > kTouched); });
  if (normalise) {
    normalise_locally(level, threads);
  }
  return level;
}

Point3 centre_of_mass(const Level& level, const std::string& source) {
  double count = 0.0;
  Point3 sum{};
  std::size_t index = 0;
  for (std::int64_t d = 0; d < level.grid.shape[0]; ++d) {
    for (std::int64_t h = 0; h < level.grid.shape[1]; ++h) {
      for (std::int64_t w = 0; w < level.grid.shape[2]; ++w, ++index) {
        if (level.mask[index] != 0) {
          ++count;
          sum = {sum[0] + static_cast<double>(d), sum[1] + static_cast<double>(h), sum[2] + static_cast<double>(w)};
        }
      }
    }
  }
  REGATTA_REQUIRE(count > 0, DataError, source, ": no foreground, all voxels are equal: cannot be registered");
  return map_point(level.grid.affine, {sum[0] / count, sum[1] / count, sum[2] / count});
}

}  // namespace regatta
