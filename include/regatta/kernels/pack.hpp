// Between the layouts of the program and those of the convolutions: bfloat16 with the channels last.
#pragma once

#include <cstdint>

#include "regatta/kernels/bf16.hpp"
#include "regatta/kernels/device.hpp"
#include "regatta/kernels/volume_size.hpp"

namespace regatta::kernels {

enum class ImageType { kBytes, kFloats };  ///< uint8, value / 255; float32

/// Two images side by side, rounded to the nearest.
/// @param first, second  [n, 1, d, h, w], both of `type`, on the device
/// @param pair  [n, d, h, w, 2] bfloat16, aligned to 4 bytes (16: faster), overwritten
/// @throws BugError on wrong arguments; DeviceError if the launch fails. One launch. Deterministic
void pack_pair(const void* first, const void* second, ImageType type, const VolumeSize& size, Bf16* pair,
               Stream stream);

/// @param planar  [n, 3, d, h, w] float32
/// @param packed  [n, d, h, w, 4] bfloat16, aligned to 8 bytes; the fourth is written as 0
void pack_field(const float* planar, const VolumeSize& size, Bf16* packed, Stream stream);

/// The way back; the fourth is not read.
void unpack_field(const Bf16* packed, const VolumeSize& size, float* planar, Stream stream);

}  // namespace regatta::kernels
