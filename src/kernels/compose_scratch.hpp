// How the scratch of compose.hpp is cut: the state, the carries, the blocks' boxes, then integers of fields.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/field_form.hpp"
#include "regatta/kernels/compose.hpp"

namespace regatta::kernels {

constexpr std::size_t kStateBytes = 256;
constexpr std::size_t kCarryBytes = 16;
constexpr std::size_t kBoxBytes = 48;

/// A carry stands for 2^32 units in one sum. Each of the 3 n voxels numbers of a step adds at most 2^24 units in all,
/// so sums that only grow carry 3 n voxels / 256 times; four times that is kept. More of them: the result is NaN.
inline std::int64_t carry_capacity(const VolumeSize& size) {
  return 4096 + 3 * size.all() / 64;
}

inline std::size_t fixed_bytes(const VolumeSize& size) {
  return (static_cast<std::size_t>(size.all()) * 3 * sizeof(std::int32_t) + 15) / 16 * 16;
}

constexpr int kSplatPlanes = 8;  ///< of a block, whose other axes are a field's blocks'

inline std::size_t boxes_offset(const VolumeSize& size) {
  return kStateBytes + static_cast<std::size_t>(carry_capacity(size)) * kCarryBytes;
}

inline std::size_t sums_offset(const VolumeSize& size) {
  const FieldGrid blocks = field_grid(size, kSplatPlanes);
  return boxes_offset(size) + static_cast<std::size_t>(blocks.x * blocks.y * blocks.z) * kBoxBytes;
}

/// A field between two steps.
inline std::size_t stored_bytes(const VolumeSize& size, FieldStore store) {
  return (static_cast<std::size_t>(size.all()) * (store == FieldStore::kHalf ? 8 : 16) + 15) / 16 * 16;
}

}  // namespace regatta::kernels
