// Images, label maps and fields like those of a registration, with what makes losses hard: background of zeros, a
// constant plateau, noise, and displacements that leave the volume.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <random>
#include <vector>

#include "regatta/kernels/bf16.hpp"
#include "regatta/kernels/volume_size.hpp"

namespace regatta::kernels {

/// Where a voxel is in the head, an ellipsoid: below 1 inside. Coordinates in -1 .. 1.
inline double head_radius(double z, double y, double x, double phase) {
  return (x * x + y * y + z * z) / 0.7 + 0.1 * std::sin(9.0 * x + phase) * std::sin(7.0 * y);
}

/// Calls set(index, z, y, x) with coordinates in -1 .. 1 for all voxels of the batch.
template <class Set>
void for_each_voxel(const VolumeSize& size, Set set) {
  const auto unit = [](std::int64_t i, std::int64_t length) {
    return (2.0 * static_cast<double>(i) + 1.0) / static_cast<double>(length) - 1.0;
  };
  for (std::int64_t i = 0; i < size.all(); ++i) {
    const std::int64_t p = i % size.voxels();
    set(static_cast<std::size_t>(i), unit(p / size.plane(), size.d), unit(p / size.w % size.h, size.h),
        unit(p % size.w, size.w));
  }
}

inline std::vector<std::uint8_t> head_image(const VolumeSize& size, std::uint64_t seed) {
  std::mt19937_64 engine(seed);
  const double phase = static_cast<double>(seed) * 0.7;
  std::vector<std::uint8_t> image(static_cast<std::size_t>(size.all()));
  for_each_voxel(size, [&](std::size_t i, double z, double y, double x) {
    const double noise = static_cast<double>(engine() % 1024) / 1024.0 - 0.5;
    double value = 0.0;
    if (head_radius(z, y, x, phase) < 1.0) {
      value = 0.45 + 0.25 * std::sin(11.0 * x + phase) * std::cos(8.0 * y) + 0.15 * std::sin(13.0 * z) + 0.05 * noise;
    }
    if ((x - 0.3) * (x - 0.3) + y * y + z * z < 0.04) {
      value = 0.9;
    }
    image[i] = static_cast<std::uint8_t>(std::clamp(255.0 * value, 0.0, 255.0));
  });
  return image;
}

inline std::vector<std::uint8_t> head_labels(const VolumeSize& size, double phase, int labels) {
  std::vector<std::uint8_t> map(static_cast<std::size_t>(size.all()));
  for_each_voxel(size, [&](std::size_t i, double z, double y, double x) {
    if (head_radius(z, y, x, phase) < 1.0) {
      const double part = 0.5 + 0.499 * std::sin(5.0 * x + phase) * std::cos(6.0 * y) * std::sin(4.0 * z + 1.0);
      map[i] = static_cast<std::uint8_t>(1 + static_cast<int>(part * (labels - 1)));
    }
  });
  return map;
}

/// [n, 3, d, h, w], up to `amplitude` voxels and a little noise.
inline std::vector<float> smooth_flow(const VolumeSize& size, std::uint64_t seed, double amplitude) {
  std::mt19937_64 engine(seed);
  const double phase = static_cast<double>(seed);
  const std::int64_t voxels = size.voxels();
  std::vector<float> flow(static_cast<std::size_t>(3 * size.all()));
  for_each_voxel(size, [&](std::size_t i, double z, double y, double x) {
    const auto n = static_cast<std::int64_t>(i) / voxels;
    const auto p = static_cast<std::int64_t>(i) % voxels;
    for (std::int64_t c = 0; c < 3; ++c) {
      const double shift = phase + 2.0 * static_cast<double>(c);
      const double noise = 0.02 * (static_cast<double>(engine() % 1024) / 1024.0 - 0.5);
      flow[static_cast<std::size_t>((3 * n + c) * voxels + p)] = static_cast<float>(
          amplitude * (0.7 * std::sin(4.0 * x + shift) * std::cos(3.0 * y) + 0.3 * std::sin(6.0 * z + x + shift)) +
          noise);
    }
  });
  return flow;
}

inline std::vector<double> as_intensities(const std::vector<std::uint8_t>& bytes) {
  std::vector<double> out(bytes.size());
  std::transform(bytes.begin(), bytes.end(), out.begin(), [](std::uint8_t byte) { return byte / 255.0; });
  return out;
}

inline const std::vector<VolumeSize>& small_sizes() {
  static const std::vector<VolumeSize> sizes = {{1, 13, 17, 19}, {1, 37, 45, 70}, {2, 13, 18, 22}};
  return sizes;
}

inline constexpr VolumeSize kFullSize = {1, 160, 192, 224};

/// A field as kernels pack it, [N, D, H, W, 4], as [N, 3, D, H, W].
inline std::vector<double> from_packed(const std::vector<Bf16>& packed, const VolumeSize& size) {
  const auto voxels = static_cast<std::size_t>(size.voxels());
  std::vector<double> planar(packed.size() / 4 * 3);
  for (std::size_t i = 0; i < packed.size() / 4; ++i) {
    for (std::size_t c = 0; c < 3; ++c) {
      planar[(3 * (i / voxels) + c) * voxels + i % voxels] = to_float(packed[4 * i + c]);
    }
  }
  return planar;
}

}  // namespace regatta::kernels
