// What the device's and the reference's structural similarity share: the window, and how kernels cut a volume.
#pragma once

#include <array>
#include <cmath>
#include <cstdint>

#include "regatta/kernels/volume_size.hpp"

namespace regatta::kernels {

constexpr int kSsimReach = 5;
constexpr int kSsimWindow = 2 * kSsimReach + 1;
constexpr double kSsimC1 = 0.01 * 0.01;
constexpr double kSsimC2 = 0.03 * 0.03;

inline std::array<double, kSsimWindow> ssim_weights() {
  std::array<double, kSsimWindow> weights{};
  double sum = 0.0;
  for (int i = 0; i < kSsimWindow; ++i) {
    const double distance = i - kSsimReach;
    weights[static_cast<std::size_t>(i)] = std::exp(-distance * distance / (2.0 * 1.5 * 1.5));
    sum += weights[static_cast<std::size_t>(i)];
  }
  for (double& weight : weights) {
    weight /= sum;
  }
  return weights;
}

// A block has a column of tiles along D.
constexpr int kSsimThreads = 512;
constexpr int kSsimColumns = 32;
constexpr int kSsimRows = 16;
constexpr int kSsimPlanes = 54;

struct SsimGrid {
  std::int64_t x, y, z;
};

/// z: volume by volume.
constexpr SsimGrid ssim_grid(const VolumeSize& size) {
  return {(size.w + kSsimColumns - 1) / kSsimColumns, (size.h + kSsimRows - 1) / kSsimRows,
          size.n * ((size.d + kSsimPlanes - 1) / kSsimPlanes)};
}

}  // namespace regatta::kernels
