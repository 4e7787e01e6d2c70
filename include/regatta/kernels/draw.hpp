// Random numbers as base's `CounterRng` gives them: pure functions of seed, purpose, step and place. The step is read
// in the device's memory, so that each replay of a captured launch draws other numbers.
#pragma once

#include <cstdint>
#include <vector>

#include "regatta/base/random.hpp"
#include "regatta/kernels/device.hpp"

namespace regatta::kernels {

/// Number i of a draw is CounterRng(seed, purpose) at (step + (stream << 48), first + i).
struct DrawKey {
  std::uint64_t seed = 0;
  RandomPurpose purpose = RandomPurpose::kDropout;
  std::uint16_t stream = 0;  ///< keeps draws of one step apart, where `first` does not
  std::uint32_t first = 0;
};

/// Uniform in [0, 1), all 53 bits: the same bits as `CounterRng::uniform`.
/// @param step   one number on the device: a whole one, 0 to 2^48 - 1
/// @param out    [count] on the device, overwritten
/// @throws BugError on a missing array, a negative count or more than 2^32 places; DeviceError if the launch fails
/// One launch, no scratch. Deterministic, element by element.
void draw_uniform(const DrawKey& key, const double* step, double* out, std::int64_t count, Stream stream);

/// Standard normal numbers: `CounterRng::normal` rounded to float32, whose last bit may differ where the device's
/// logarithm or cosine does. Arithmetic in float64. The rest is as `draw_uniform`.
void draw_normal(const DrawKey& key, const double* step, float* out, std::int64_t count, Stream stream);

/// The same on the CPU.
std::vector<double> draw_uniform_reference(const DrawKey& key, std::int64_t step, std::int64_t count);
std::vector<float> draw_normal_reference(const DrawKey& key, std::int64_t step, std::int64_t count);

}  // namespace regatta::kernels
