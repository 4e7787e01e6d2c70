// Voxel grids in space: shapes, affines, orientations. Pure arithmetic; no files, no voxels.
#pragma once

#include <array>
#include <cstdint>
#include <string>

namespace regatta {

using Shape3 = std::array<std::int64_t, 3>;  ///< D, H, W
using Spacing3 = std::array<double, 3>;      ///< mm along D, H, W
using Point3 = std::array<double, 3>;        ///< d, h, w or millimetres
using Affine = std::array<double, 16>;       ///< row-major 4x4, voxel index (d, h, w) to RAS millimetres

/// A voxel grid in space.
struct Grid {
  Shape3 shape{};
  Affine affine{};
};

std::int64_t voxel_count(const Shape3& shape);

/// "160x192x224"
std::string shape_text(const Shape3& shape);

/// "1x1x1.2", six significant digits.
std::string spacing_text(const Spacing3& spacing);

Affine identity_affine();
Affine multiply(const Affine& a, const Affine& b);
Point3 map_point(const Affine& a, const Point3& p);

/// The 3x3 part alone: for displacements.
Point3 map_vector(const Affine& a, const Point3& v);

/// @throws DataError if it is singular or not finite
Affine invert(const Affine& a);

/// Of the three axes: how many times larger a volume gets; negative for a reflection.
double determinant(const Affine& a);

/// True for a finite affine with last row 0 0 0 1 whose three axes are not (nearly) in one plane: the volume of the
/// box of unit axes is at least 1e-4 (a sheared affine of 45 degrees has 0.7).
bool is_usable(const Affine& a);

/// Lengths of the columns, in mm.
Spacing3 spacing_of(const Affine& a);

/// The rotation with spacing that is closest to an affine: the axes of its polar decomposition, their lengths kept, and
/// the middle of a grid of this shape at the same place. An affine whose axes are at right angles comes back as it is,
/// but for rounding.
Affine nearest_right_angled(const Affine& a, const Shape3& shape);

/// How far apart the two put a corner of a grid of this shape: the largest difference along any axis, in voxels of `a`.
double largest_shift(const Affine& a, const Affine& b, const Shape3& shape);

/// True if both map every corner of a grid of this shape to the same place within `tolerance` voxels of `a`.
bool same_grid(const Affine& a, const Affine& b, const Shape3& shape, double tolerance = 1e-2);

/// How the axes of one grid are found in another by permutation and reversal alone:
/// axis `a` of the new grid runs along axis `source[a]` of the old one, backwards if `flip[a]`.
struct AxisMap {
  std::array<int, 3> source = {0, 1, 2};
  std::array<bool, 3> flip = {false, false, false};

  bool operator==(const AxisMap&) const = default;
};

/// Three letters, one an axis, for the direction in which its index grows: "RAS", "LIA". Of the 48 codes, the one
/// whose axes are closest to those of the affine (largest sum of direction cosines).
std::string orientation_of(const Affine& a);

/// True for one of the 48 codes.
bool is_orientation(const std::string& code);

/// The axes of an unrotated grid of 1 mm with this orientation, voxel 0 at the origin.
/// @throws ConfigError for anything but one of the 48 codes
Affine affine_of_orientation(const std::string& code);

/// The permutation and reversal that bring a grid with affine `a` to the orientation `code`.
/// @throws ConfigError for anything but one of the 48 codes
AxisMap axes_to(const Affine& a, const std::string& code);

}  // namespace regatta
