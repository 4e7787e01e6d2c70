// The size of a batch of volumes.
#pragma once

#include <cstdint>

namespace regatta::kernels {

/// [n, channels, d, h, w] or [n, d, h, w, channels]; w is the fastest of the three axes in space.
struct VolumeSize {
  std::int64_t n = 1;
  std::int64_t d = 1;
  std::int64_t h = 1;
  std::int64_t w = 1;

  std::int64_t plane() const { return h * w; }
  std::int64_t voxels() const { return d * h * w; }  ///< of one volume
  std::int64_t all() const { return n * d * h * w; }
};

}  // namespace regatta::kernels
