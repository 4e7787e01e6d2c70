// How the kernels over fields cut a volume: a block has 32 x 8 threads over W and H, and each marches over some planes.
#pragma once

#include <cstdint>

#include "regatta/kernels/volume_size.hpp"

namespace regatta::kernels {

constexpr int kFieldThreads = 256;
constexpr int kFieldWidth = 32;
constexpr int kFieldHeight = 8;
constexpr int kFieldPlanes = 4;  ///< a thread's
constexpr int kLongMarch = 8;    ///< planes where it pays: the warp with a penalty

struct FieldGrid {
  std::int64_t x, y, z;
};

/// z: volume by volume.
constexpr FieldGrid field_grid(const VolumeSize& size, int planes = kFieldPlanes) {
  return {(size.w + kFieldWidth - 1) / kFieldWidth, (size.h + kFieldHeight - 1) / kFieldHeight,
          size.n * ((size.d + planes - 1) / planes)};
}

}  // namespace regatta::kernels
