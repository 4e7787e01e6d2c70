#include "nn/layers/affine.hpp"

#include <vector>

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/cos.h>
#include <ATen/ops/diag_embed.h>
#include <ATen/ops/linalg_cross.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/ones_like.h>
#include <ATen/ops/sin.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/tan.h>
#include <ATen/ops/zeros_like.h>

#include "nn/layers/grid.hpp"
#include "nn/shapes.hpp"
#include "regatta/base/error.hpp"

namespace regatta {
namespace {

/// [N, 3, 3] of nine [N], row after row.
at::Tensor matrix_of(const std::vector<at::Tensor>& entries) {
  return at::stack(entries, -1).unflatten(-1, {3, 3});
}

at::Tensor rotation_of(const at::Tensor& angles) {
  const at::Tensor c = angles.cos();  // [N, 3]
  const at::Tensor s = angles.sin();
  const at::Tensor zero = at::zeros_like(c.select(1, 0));
  const at::Tensor one = at::ones_like(zero);
  const auto of = [](const at::Tensor& values, std::int64_t axis) { return values.select(1, axis); };
  const at::Tensor x = matrix_of({one, zero, zero, zero, of(c, 0), of(s, 0), zero, of(s, 0).neg(), of(c, 0)});
  const at::Tensor y = matrix_of({of(c, 1), zero, of(s, 1).neg(), zero, one, zero, of(s, 1), zero, of(c, 1)});
  const at::Tensor z = matrix_of({of(c, 2), of(s, 2), zero, of(s, 2).neg(), of(c, 2), zero, zero, zero, one});
  return at::matmul(z, at::matmul(y, x));
}

at::Tensor shear_of(const at::Tensor& angles) {
  const at::Tensor t = angles.tan();  // [N, 6]: xy, xz, yx, yz, zx, zy; the first letter names the column
  const at::Tensor one = at::ones_like(t.select(1, 0));
  const auto of = [&](std::int64_t i) { return t.select(1, i); };
  return matrix_of({one, of(2), of(4), of(0), one, of(5), of(1), of(3), one});
}

void check_columns(const char* what, const at::Tensor& values, std::int64_t columns) {
  REGATTA_REQUIRE(values.dim() == 2 && values.size(1) == columns, BugError, "affine ", what, " ", shape_text(values),
                  ", expected [N, ", columns, "]");
}

}  // namespace

at::Tensor affine_matrix(const AffineParts& parts) {
  check_columns("rotation", parts.rotation, 3);
  check_columns("scale", parts.scale, 3);
  check_columns("shear", parts.shear, 6);
  check_columns("translation", parts.translation, 3);
  const at::Tensor scaled = at::matmul(at::diag_embed(parts.scale), rotation_of(parts.rotation));
  return at::cat({at::matmul(shear_of(parts.shear), scaled), parts.translation.unsqueeze(2)}, 2);
}

at::Tensor inverse_affine(const at::Tensor& matrix) {
  const at::Tensor a = matrix.narrow(2, 0, 3);
  const auto row = [&](std::int64_t i) { return a.select(1, i); };  // [N, 3]
  const at::Tensor first = at::linalg_cross(row(1), row(2));
  const at::Tensor second = at::linalg_cross(row(2), row(0));
  const at::Tensor third = at::linalg_cross(row(0), row(1));
  const at::Tensor determinant = (row(0) * first).sum(1).view({-1, 1, 1});
  const at::Tensor inverse = at::stack({first, second, third}, 2) / determinant;
  return at::cat({inverse, at::matmul(inverse, matrix.narrow(2, 3, 1)).neg()}, 2);
}

at::Tensor affine_displacement(const at::Tensor& matrix, const std::array<std::int64_t, 3>& grid, bool align_corners) {
  REGATTA_REQUIRE(matrix.dim() == 3 && matrix.size(1) == 3 && matrix.size(2) == 4, BugError, "affine matrix ",
                  shape_text(matrix), ", expected [N, 3, 4]");
  const auto size_of = [&](std::int64_t axis) { return grid[static_cast<std::size_t>(axis)]; };
  // Voxels per unit: -1 .. 1 spans size - 1 voxels, or size.
  const auto voxels_per_unit = [&](std::int64_t axis) {
    return 0.5 * static_cast<double>(size_of(axis) - (align_corners ? 1 : 0));
  };
  const at::Tensor change = matrix.narrow(2, 0, 3) - at::diag_embed(at::ones_like(matrix.select(2, 3)));  // A - I
  std::vector<at::Tensor> components;
  for (std::int64_t axis = 0; axis < 3; ++axis) {
    at::Tensor component = matrix.select(1, 2 - axis).select(1, 3).view({-1, 1, 1, 1});
    for (std::int64_t along = 0; along < 3; ++along) {
      const double centre = 0.5 * static_cast<double>(size_of(along) - 1);
      const at::Tensor unit =
          axis_positions(along, size_of(along), matrix.options()).sub(centre).div(voxels_per_unit(along));
      component = component + change.select(1, 2 - axis).select(1, 2 - along).view({-1, 1, 1, 1}) * unit;
    }
    components.push_back(component * voxels_per_unit(axis));
  }
  return at::stack(components, 1);
}

}  // namespace regatta
