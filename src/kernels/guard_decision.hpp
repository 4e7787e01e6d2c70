// What follows from the largest gradient and the loss of a step. Shared by the device and its reference.
#pragma once

#include "regatta/kernels/gradient_guard.hpp"

#if defined(__CUDACC__)
#define REGATTA_HOST_DEVICE __host__ __device__
#else
#define REGATTA_HOST_DEVICE
#endif

namespace regatta::kernels {

constexpr int kGuardBlocks = 1024;         ///< at most, of the launch that looks at the gradient
constexpr float kLargestGradient = 1e19F;  ///< the second moments are squares in float32

/// @param good  whether the step's numbers can be used
REGATTA_HOST_DEVICE inline void decide_step(bool good, double update, double most_in_row, const GuardState& state) {
  const bool going = *state.halted_at < 0.5;
  *state.bad = good ? 0.0F : 1.0F;
  if (!good && going) {
    if (*state.skipped < GuardState::kRemembered) {
      state.updates[static_cast<int>(*state.skipped)] = update;
    }
    *state.skipped += 1.0;
  }
  *state.in_row = good ? 0.0F : *state.in_row + 1.0F;
  if (going && *state.in_row >= most_in_row) {
    *state.halted_at = update;
  }
  *state.skip = good && going ? 0.0F : 1.0F;
}

}  // namespace regatta::kernels
