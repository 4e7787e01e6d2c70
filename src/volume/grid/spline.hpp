// Interpolating B-splines on a grid: the coefficients that make the spline pass through the voxels, mirrored at the
// outer voxels' centres, as ITK and SciPy do.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "regatta/volume/geometry.hpp"

namespace regatta {

/// Poles of the recursive filters that invert the sampled B-spline of order 2, (1, 6, 1) / 8, and 3, (1, 4, 1) / 6.
double quadratic_pole();
double cubic_pole();

/// Samples to coefficients in place, mirrored at both ends: forward and backward recursion.
void filter_line(std::vector<double>& line, double pole);

/// Coefficients of the cubic spline through the voxels. @param voxels  [D, H, W]
std::vector<float> cubic_coefficients(std::span<const float> voxels, const Shape3& shape, int threads = 0);

/// The spline's value. @param p  in voxels; beyond the outer voxels' centres it is mirrored
float sample_cubic(const float* coefficients, const Shape3& shape, const Point3& p);

}  // namespace regatta
