// Whether a step's loss and gradients can be used, decided and counted on the device: no step waits for the host.
#pragma once

#include <cstddef>
#include <cstdint>

#include "regatta/kernels/adam.hpp"
#include "regatta/kernels/device.hpp"

namespace regatta::kernels {

/// What is kept from step to step, each on the device.
struct GuardState {
  static constexpr int kRemembered = 64;

  float* bad = nullptr;         ///< 1 if the newest step's loss is not finite, or a gradient is NaN or above 1e19
  float* in_row = nullptr;      ///< bad steps up to the newest one, without a good one between
  double* skipped = nullptr;    ///< bad steps since it was last set to 0, before the halt
  double* halted_at = nullptr;  ///< number of the update that was one too many in a row; 0: none
  double* updates = nullptr;    ///< [kRemembered] numbers of the first skipped updates
  float* skip = nullptr;        ///< result: 1 where the update must not be made, and always after the halt
};

struct GuardStep {
  const float* gradient = nullptr;  ///< [count] of all parameters, on the device
  std::int64_t count = 0;
  const float* loss = nullptr;     ///< one float, on the device
  const AdamStep* step = nullptr;  ///< on the device; its update's number is noted
  double most_in_row = 0.0;        ///< bad steps in a row that halt
};

/// Bytes of `scratch`, on the device, aligned to 4. What it holds before does not matter.
std::size_t gradient_guard_scratch_bytes();

/// Looks at the gradients and brings the state up to date.
/// @throws BugError on a missing array or a negative count; DeviceError if a launch fails
/// Two launches, one reading of the gradient. Deterministic.
void gradient_guard(const GuardStep& now, const GuardState& state, void* scratch, const Capability& chip,
                    Stream stream);

/// The same on the CPU, all pointers to host memory.
void gradient_guard_reference(const GuardStep& now, const GuardState& state);

}  // namespace regatta::kernels
