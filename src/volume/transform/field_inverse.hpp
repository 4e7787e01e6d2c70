// The point that a displacement field takes to a given one.
#pragma once

#include "regatta/volume/transform.hpp"

namespace regatta {

/// The x with x + d(x) = y. Newton's iteration on the field's trilinear pieces, the step halved until the distance
/// falls; within the field of view first, then, where y lies beyond it, y itself.
MappedPoint inverse_displaced(const SpaceField& field, const Point3& y);

}  // namespace regatta
