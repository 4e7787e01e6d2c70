// What the launches of compositions share: checks, and the parts of the scratch.
#pragma once

#include "kernels/compose_scratch.hpp"
#include "kernels/fixed_gradient.cuh"
#include "kernels/splat_box.cuh"
#include "regatta/kernels/compose.hpp"

namespace regatta::kernels {

inline void check_fields(const char* who, const VolumeSize& size) {
  check_field_size(who, size, 1);
  REGATTA_REQUIRE(size.n * ((size.d + 1) / 2) <= 65535, BugError, who, ": too many volumes or planes, ", size.n, " x ",
                  size.d);
}

/// @param values  of the sums; nullptr: those in the scratch
inline FixedSums sums_in(void* scratch, const VolumeSize& size, int* values) {
  auto* bytes = static_cast<unsigned char*>(scratch);
  static_assert(sizeof(FixedState) <= kStateBytes && sizeof(FixedCarry) == kCarryBytes &&
                sizeof(SplatBox) == kBoxBytes);
  return {values != nullptr ? values : reinterpret_cast<int*>(bytes + sums_offset(size)),
          reinterpret_cast<FixedState*>(bytes), reinterpret_cast<FixedCarry*>(bytes + kStateBytes),
          static_cast<unsigned>(carry_capacity(size))};
}

/// Of the blocks of a splat, one after the other.
inline SplatBox* boxes_in(void* scratch, const VolumeSize& size) {
  return reinterpret_cast<SplatBox*>(static_cast<unsigned char*>(scratch) + boxes_offset(size));
}

}  // namespace regatta::kernels
