// How written NIfTI files say where they lie, and what other programs make of it.
#include "volume/formats/nifti_space.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "regatta/base/error.hpp"
#include "regatta/volume/nifti.hpp"

namespace regatta {
namespace {

std::string voxels_text(double voxels) {
  char text[32];
  std::snprintf(text, sizeof text, "%.2g", voxels);
  return text;
}

}  // namespace

Quaternion quaternion_of(const Affine& a) {
  const Spacing3 length = spacing_of(a);
  const double qfac = determinant(a) < 0.0 ? -1.0 : 1.0;
  double r[3][3];
  for (std::size_t row = 0; row < 3; ++row) {
    for (std::size_t column = 0; column < 3; ++column) {
      r[row][column] = a[row * 4 + column] / length[column] * (column == 2 ? qfac : 1.0);
    }
  }
  // Squares of 2a, 2b, 2c, 2d; the largest is divided by, so that no small root is taken.
  const std::array<double, 4> square = {1 + r[0][0] + r[1][1] + r[2][2], 1 + r[0][0] - r[1][1] - r[2][2],
                                        1 - r[0][0] + r[1][1] - r[2][2], 1 - r[0][0] - r[1][1] + r[2][2]};
  const auto largest = std::max_element(square.begin(), square.end()) - square.begin();
  const double root = std::sqrt(square[static_cast<std::size_t>(largest)]);
  std::array<double, 4> q{};
  const double ab = r[2][1] - r[1][2];
  const double ac = r[0][2] - r[2][0];
  const double ad = r[1][0] - r[0][1];
  const double bc = r[0][1] + r[1][0];
  const double bd = r[0][2] + r[2][0];
  const double cd = r[1][2] + r[2][1];
  switch (largest) {
    case 0: q = {root * root, ab, ac, ad}; break;
    case 1: q = {ab, root * root, bc, bd}; break;
    case 2: q = {ac, bc, root * root, cd}; break;
    default: q = {ad, bd, cd, root * root}; break;
  }
  const double sign = q[0] < 0.0 ? -0.5 : 0.5;
  return {{sign * q[1] / root, sign * q[2] / root, sign * q[3] / root}, qfac};
}

FileSpace written_space(const Grid& grid, const FileSpace& like) {
  FileSpace out = like;
  if (out.sform_code <= 0) {
    out.sform_code = std::max(1, out.qform_code);
  }
  if (out.qform && out.qform_code > 0) {
    return out;
  }
  const Affine nearest = nearest_right_angled(grid.affine, grid.shape);
  const bool close = largest_shift(grid.affine, nearest, grid.shape) <= kQformShift;
  out.qform_code = close ? out.sform_code : 0;
  out.qform = close ? std::optional(nearest) : std::nullopt;
  return out;
}

std::string space_doubt(const Grid& grid, const FileSpace& space) {
  if (!space.qform) {
    const Affine nearest = nearest_right_angled(grid.affine, grid.shape);
    return str("the axes are not at right angles, by up to ",
               voxels_text(largest_shift(grid.affine, nearest, grid.shape)),
               " voxels at the corners, and a qform cannot "
               "say so: ITK, ANTs and Slicer refuse such files; resample the fixed scan onto a grid with right angles "
               "for them");
  }
  const double shift = largest_shift(grid.affine, *space.qform, grid.shape);
  return shift <= kQformShift
             ? ""
             : str("sform and qform differ by up to ", voxels_text(shift),
                   " voxels: we go by the sform, ITK, ANTs and Slicer may go by the qform, and fields then mislead "
                   "them; copy the one that is right over the other (nifti_tool, fslorient) first");
}

}  // namespace regatta
