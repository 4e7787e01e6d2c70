// What the device's and the reference's penalties share.
#pragma once

#include "regatta/kernels/field_penalty.hpp"

namespace regatta::kernels {

constexpr int kPenaltyPlanes = 8;   ///< a thread's
constexpr int kBendingPlanes = 16;  ///< a thread's in the backward pass, which begins with four planes more

/// Voxels over which the mean is taken, of all volumes.
inline double inner_voxels(FieldPenalty penalty, const VolumeSize& size) {
  const std::int64_t border = penalty == FieldPenalty::kFolding ? 1 : 4;
  return static_cast<double>(size.n) * static_cast<double>(size.d - border) * static_cast<double>(size.h - border) *
         static_cast<double>(size.w - border);
}

}  // namespace regatta::kernels
