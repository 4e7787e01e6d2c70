// bfloat16 as this layer hands it over: the upper half of a float32's bits.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>

namespace regatta::kernels {

struct Bf16 {
  std::uint16_t bits;
};

inline float to_float(Bf16 value) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(value.bits) << 16);
}

/// To the nearest, ties to even, as the device rounds. NaN stays NaN.
inline Bf16 to_bf16(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  if (std::isnan(value)) {
    return {0x7fff};
  }
  return {static_cast<std::uint16_t>((bits + 0x7fffU + ((bits >> 16) & 1U)) >> 16)};
}

}  // namespace regatta::kernels
