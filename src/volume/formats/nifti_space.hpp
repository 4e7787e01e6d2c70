// The rotation of a NIfTI header.
#pragma once

#include <array>

#include "regatta/volume/geometry.hpp"

namespace regatta {

/// A rotation, or one with a reflection, as NIfTI stores it: method 2 of nifti1.h.
struct Quaternion {
  std::array<double, 3> bcd{};
  double qfac = 1.0;  ///< -1: the third axis is reversed
};

/// @param a  axes at right angles
Quaternion quaternion_of(const Affine& a);

}  // namespace regatta
