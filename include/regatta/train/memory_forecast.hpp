// How much device memory a training will take, before it runs there.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "regatta/train/resolve.hpp"

namespace regatta {

/// Counts on the CPU, on one small grid, what a forward pass keeps for its backward pass; that grows with the voxels.
/// To it come parameters, gradients and moments, the volumes that stay on the device, and in the backward pass the
/// gradients of the largest activation, in and out. Workspaces of convolutions are not foreseen.
/// Remembers what it measured: the trials of a sweep share networks.
class MemoryForecast {
 public:
  /// Peak bytes of a training step on a device.
  std::int64_t bytes(const ResolvedRecipe& resolved);

 private:
  struct PerVoxel {
    double kept = 0.0;     ///< bytes kept by a forward pass
    double largest = 0.0;  ///< bytes of its largest tensor
  };

  std::map<std::string, PerVoxel> measured_;
};

}  // namespace regatta
