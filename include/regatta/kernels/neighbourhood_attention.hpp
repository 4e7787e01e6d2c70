// Where each voxel's query finds its match among the keys of the 3x3x3 voxels around it, as a displacement.
//
//   w_r = softmax over r in {-1, 0, 1}^3 of q(p) . k(p + r) / sqrt(C),   m(p) = sum of w_r r,   u(p) = factor m(p)
// with one trained factor for all voxels. Queries are bf16 [N, D, H, W, C], keys bf16 [N, D + 2, H + 2, W + 2, C] with
// a voxel of padding on each side, both aligned to 16 bytes; sums are float32. No weight is ever stored: the backward
// pass computes them from queries and keys again, once where a voxel is a query and once where it is a key. So every
// gradient is gathered.
//
// Every function returns after queuing, allocates nothing, reads nothing on the host and may be captured in a graph.
// Deterministic: no atomics, sums in a fixed order. Source: Liu et al., "Vector field attention for deformable image
// registration", JMI 2024.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "regatta/kernels/bf16.hpp"
#include "regatta/kernels/device.hpp"
#include "regatta/kernels/volume_size.hpp"

namespace regatta::kernels {

struct NeighbourhoodShape {
  VolumeSize size;  ///< of the queries
  int channels = 0;
  /// Places beyond the outer voxels' centres are brought back to them: 0 <= p + u(p) <= size - 1 along each axis.
  bool inside = false;

  VolumeSize key_size() const { return {size.n, size.d + 2, size.h + 2, size.w + 2}; }
};

/// Whether there are kernels for both passes: channels in multiples of 8 up to 1024, a volume and its padding below
/// 2^34 values.
bool has_form(const NeighbourhoodShape& shape, const Capability& chip);

struct NeighbourhoodForward {
  const Bf16* query = nullptr;
  const Bf16* key = nullptr;
  const float* factor = nullptr;  ///< one value on the device
  float* field = nullptr;         ///< [N, 3, D, H, W], voxels, components D, H, W
};

/// One launch. @throws BugError without a form, with a missing or unaligned pointer; DeviceError if a launch fails
void neighbourhood_forward(const NeighbourhoodShape& shape, const NeighbourhoodForward& arrays, const Capability& chip,
                           Stream stream);

/// 20 bytes a voxel and 8 for each 128. Nothing in it is kept.
std::size_t neighbourhood_scratch_bytes(const NeighbourhoodShape& shape);

struct NeighbourhoodBackward {
  const Bf16* query = nullptr;
  const Bf16* key = nullptr;
  const float* factor = nullptr;
  const float* to_field = nullptr;  ///< [N, 3, D, H, W]
  Bf16* to_query = nullptr;         ///< as `query`, every element is written
  Bf16* to_key = nullptr;           ///< as `key`, likewise
  float* to_factor = nullptr;       ///< one value, written
  void* scratch = nullptr;          ///< neighbourhood_scratch_bytes, aligned to 16
};

/// Three launches. Where a place was brought back, that component has no derivative. Errors as neighbourhood_forward.
void neighbourhood_backward(const NeighbourhoodShape& shape, const NeighbourhoodBackward& arrays,
                            const Capability& chip, Stream stream);

// The same on the CPU, float64 inside, host pointers.

std::vector<double> neighbourhood_reference(const NeighbourhoodShape& shape, const Bf16* query, const Bf16* key,
                                            double factor);

struct NeighbourhoodGradients {
  std::vector<double> to_query;
  std::vector<double> to_key;
  double to_factor = 0.0;
};

NeighbourhoodGradients neighbourhood_gradient_reference(const NeighbourhoodShape& shape, const Bf16* query,
                                                        const Bf16* key, double factor, const float* to_field);

}  // namespace regatta::kernels
