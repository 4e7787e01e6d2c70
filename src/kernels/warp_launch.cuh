// From run-time choices of a warp to the kernel's instance.
#pragma once

#include "kernels/trilinear.cuh"

namespace regatta::kernels {

inline void check_warp(const WarpSource& source, const float* flow, const VolumeSize& size, Penalty penalty) {
  check_field_size("warp", size, penalty == Penalty::kNone ? 1 : 2);
  REGATTA_REQUIRE(source.data != nullptr && flow != nullptr, BugError, "warp: the image or the field is missing");
  REGATTA_REQUIRE(source.outside == Outside::kZero || (source.type != SourceType::kQuads && penalty == Penalty::kNone),
                  BugError, "warp: no form with border values for packed images or with a penalty");
}

/// Calls launch.template run<type, outside, penalty>().
template <SourceType kType, class Launch>
void choose_penalty(const WarpSource& source, Penalty penalty, const Launch& launch) {
  if constexpr (kType != SourceType::kQuads) {
    if (source.outside == Outside::kBorder) {
      launch.template run<kType, Outside::kBorder, Penalty::kNone>();
      return;
    }
  }
  switch (penalty) {
    case Penalty::kNone: launch.template run<kType, Outside::kZero, Penalty::kNone>(); break;
    case Penalty::kSquared: launch.template run<kType, Outside::kZero, Penalty::kSquared>(); break;
    case Penalty::kAbsolute: launch.template run<kType, Outside::kZero, Penalty::kAbsolute>(); break;
  }
}

template <class Launch>
void choose_warp(const WarpSource& source, Penalty penalty, const Launch& launch) {
  switch (source.type) {
    case SourceType::kBytes: choose_penalty<SourceType::kBytes>(source, penalty, launch); break;
    case SourceType::kFloats: choose_penalty<SourceType::kFloats>(source, penalty, launch); break;
    case SourceType::kQuads: choose_penalty<SourceType::kQuads>(source, penalty, launch); break;
  }
}

}  // namespace regatta::kernels
