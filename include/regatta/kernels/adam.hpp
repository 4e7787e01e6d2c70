// Adam, AdamW and AMSGrad over flat arrays, one launch for all parameters, as LibTorch's fused optimisers compute them.
#pragma once

#include <cstdint>

#include "regatta/kernels/bf16.hpp"
#include "regatta/kernels/device.hpp"

namespace regatta::kernels {

/// Flat float32 arrays of `count` elements each. They do not overlap. Where all are aligned to 16 bytes (`shadow`: 8),
/// four elements are read at a time; others are correct and slower.
struct AdamArrays {
  float* value = nullptr;
  const float* gradient = nullptr;
  float* m = nullptr;
  float* v = nullptr;
  float* vmax = nullptr;   ///< largest v so far: AMSGrad. nullptr: Adam
  Bf16* shadow = nullptr;  ///< the new values, rounded; written also where the update is skipped. nullptr: none
  std::int64_t count = 0;
};

struct AdamRule {
  double beta1 = 0.9;
  double beta2 = 0.999;
  double eps = 1e-8;
  double weight_decay = 0.0;
  bool decoupled = false;  ///< AdamW: the values shrink by rate x weight_decay; else weight_decay x value is a gradient
};

/// What changes from step to step, in device memory: each replay of a captured launch reads it again.
struct AdamStep {
  double rate = 0.0;
  double update = 1.0;  ///< the update's number, from 1, for the bias corrections
};

/// One update in place.
/// @param step  on the device
/// @param skip  on the device, one float: 1 leaves value, m, v and vmax as they are, whatever the gradient holds; 0
///              updates. nullptr: updates
/// @throws BugError on a missing array or a negative count; DeviceError if the launch fails
/// Arithmetic in float32, corrections in float64. No scratch. Deterministic, element by element.
void adam(const AdamArrays& arrays, const AdamRule& rule, const AdamStep* step, const float* skip,
          const Capability& chip, Stream stream);

/// The same on the CPU, all pointers to host memory; float64 inside.
void adam_reference(const AdamArrays& arrays, const AdamRule& rule, const AdamStep& step, float skip);

}  // namespace regatta::kernels
