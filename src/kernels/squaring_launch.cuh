// What the two passes of scaling and squaring share.
#pragma once

#include <cmath>

#include "kernels/compose_launch.cuh"

namespace regatta::kernels {

constexpr int kMostSquarings = 24;

inline void check_squaring(const SquaringForward& work) {
  check_fields("squaring", work.size);
  REGATTA_REQUIRE(work.steps >= 1 && work.steps <= kMostSquarings, BugError, "squaring: ", work.steps, " steps, 1 to ",
                  kMostSquarings);
  REGATTA_REQUIRE(work.velocity != nullptr && (work.fields != nullptr || work.steps == 1), BugError,
                  "squaring: the velocity or the fields between the steps are missing");
  REGATTA_REQUIRE(is_aligned(work.fields, 16), BugError, "squaring: the fields are not aligned to 16 bytes");
}

inline float velocity_factor(const SquaringForward& work) {
  return work.scale ? std::ldexp(1.0F, -work.steps) : 1.0F;
}

inline ScaledField scaled_velocity(const SquaringForward& work) {
  return {work.velocity, velocity_factor(work)};
}

/// The field after `step` squarings, 1 to steps - 1. Without `keep` two take turns.
template <class Stored>
Stored stored_field(const SquaringForward& work, int step) {
  const std::size_t slot = static_cast<std::size_t>(work.keep ? step - 1 : (step - 1) % 2);
  auto* at = static_cast<unsigned char*>(work.fields) + slot * stored_bytes(work.size, work.store);
  return {reinterpret_cast<decltype(Stored::data)>(at)};
}

}  // namespace regatta::kernels
