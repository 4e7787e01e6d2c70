// What the benchmarks share: made-up volumes and timing.
#pragma once

#include <vector>

#include <ATen/TensorOperators.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/arange.h>

#include "regatta/base/clock.hpp"
#include "regatta/nn/device.hpp"
#include "regatta/nn/loss.hpp"
#include "regatta/nn/model.hpp"
#include "regatta/volume/archive.hpp"

namespace regatta {

/// [1, 1, D, H, W]: 0.5 + 0.5 sin(0.05 (d + 2 h + 3 w) + phase), smooth, with flat stretches nowhere.
inline at::Tensor wave(const Shape3& shape, double phase, const at::TensorOptions& options) {
  const at::Tensor d = at::arange(shape[0], options).view({-1, 1, 1});
  const at::Tensor h = at::arange(shape[1], options).view({1, -1, 1});
  const at::Tensor w = at::arange(shape[2], options).view({1, 1, -1});
  return ((d + h * 2 + w * 3) * 0.05 + phase).sin_().mul_(0.5).add_(0.5).view({1, 1, shape[0], shape[1], shape[2]});
}

/// A pair like packed brain scans: an ellipsoid with texture on a background of zeros, values in steps of 1/255; the
/// moving one is displaced by up to about 4 voxels. [N, 1, D, H, W] float32 each.
PairState head_pair(const Shape3& shape, int batch, const at::Device& device);

/// Gives the pair labels: boxes of the volume, the moving ones some voxels off. [N, 1, D, H, W] uint8
/// @param labels  2 to 255, the background included
void add_labels_(PairState& pair, int labels);

/// Labels for validation, like the structures of a brain: each in one place, the moving ones some voxels off.
/// [N, 1, D, H, W] uint8
/// @param labels  2 to 255, the background included
void add_structures_(PairState& pair, int labels);

inline constexpr double kGrownField = 2.0;  ///< mean |u|, voxels

/// Makes the fields of a network that starts at zero as large as trained ones, so that warps read scattered memory: the
/// weights of its last layers are scaled. @return mean |u| in voxels
double grow_field_(Model& model, const PairState& pair, double mean_voxels);

/// Milliseconds of `work`, the device idle before and after.
template <class Work>
double timed_ms(const at::Device& device, Work&& work) {
  synchronize(device);
  const double start = system_clock().monotonic_s();
  work();
  synchronize(device);
  return 1e3 * (system_clock().monotonic_s() - start);
}

template <class Work>
std::vector<double> repeat_ms(const at::Device& device, int times, Work&& work) {
  std::vector<double> all;
  for (int i = 0; i < times; ++i) {
    all.push_back(timed_ms(device, work));
  }
  return all;
}

}  // namespace regatta
