// How much device memory a training will take, before it runs there.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "regatta/train/resolve.hpp"

namespace regatta {

/// Counts what two steps on two small grids allocate on the CPU and extends the line through them to the archive's
/// shape: parameters, gradients and moments are the constant part, activations the part that grows with the voxels.
/// Workspaces of a GPU's convolutions are not in it. Remembers what it measured: trials of a sweep share networks.
class MemoryForecast {
 public:
  /// Peak bytes of a training step plus the volumes that stay on the device.
  std::int64_t bytes(const ResolvedRecipe& resolved);

 private:
  struct Line {
    double constant = 0.0;
    double per_voxel = 0.0;
  };

  std::map<std::string, Line> measured_;
};

}  // namespace regatta
