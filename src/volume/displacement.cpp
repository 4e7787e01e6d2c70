// Reading of displacement fields; they are written by nifti_write.cpp.
#include <algorithm>
#include <cmath>

#include "nifti_file.hpp"
#include "regatta/base/error.hpp"
#include "regatta/volume/nifti.hpp"
#include "voxel_decode.hpp"

namespace regatta {
namespace {

/// The file's values as they are: [3, D, H, W].
std::vector<float> read_components(ByteReader& in, const NiftiHeader& header, const std::string& source) {
  const auto [d, h, w] = header.shape;
  const auto plane = static_cast<std::size_t>(d * h);
  std::vector<float> field(static_cast<std::size_t>(3 * d * h * w));
  std::vector<std::byte> raw(plane * raw_bytes(header.format.type));
  std::vector<double> values(plane);
  for (std::int64_t c = 0; c < 3; ++c) {
    for (std::int64_t k = 0; k < w; ++k) {
      in.read(raw.data(), raw.size(), "displacements");
      decode_values(raw.data(), header.format, values);
      for (std::int64_t j = 0; j < h; ++j) {
        for (std::int64_t i = 0; i < d; ++i) {
          const double value = values[static_cast<std::size_t>(j * d + i)];
          REGATTA_REQUIRE(std::isfinite(value), DataError, source, ": displacement at voxel (", i, ", ", j, ", ", k,
                          "), component ", c, " is ", value);
          field[static_cast<std::size_t>(((c * d + i) * h + j) * w + k)] = static_cast<float>(value);
        }
      }
    }
  }
  in.require_end();
  return field;
}

/// LPS millimetres to voxels, in place: M^-1 (F x + d) - x.
void to_voxels(std::vector<float>& field, const Grid& grid, const Affine& moving) {
  const Affine to_moving = invert(moving);
  const Affine across = multiply(to_moving, grid.affine);  // the fixed array's voxel to the moving array's
  const bool same = same_grid(grid.affine, moving, grid.shape, 1e-4);
  const std::int64_t voxels = voxel_count(grid.shape);
  std::int64_t at = 0;
  for (std::int64_t i = 0; i < grid.shape[0]; ++i) {
    for (std::int64_t j = 0; j < grid.shape[1]; ++j) {
      for (std::int64_t k = 0; k < grid.shape[2]; ++k, ++at) {
        const auto value = [&](std::int64_t c) -> float& { return field[static_cast<std::size_t>(c * voxels + at)]; };
        Point3 out = map_vector(to_moving, {-double{value(0)}, -double{value(1)}, double{value(2)}});
        if (!same) {
          const Point3 x = {static_cast<double>(i), static_cast<double>(j), static_cast<double>(k)};
          const Point3 there = map_point(across, x);
          for (std::size_t axis = 0; axis < 3; ++axis) {
            out[axis] += there[axis] - x[axis];
          }
        }
        for (std::int64_t c = 0; c < 3; ++c) {
          value(c) = static_cast<float>(out[static_cast<std::size_t>(c)]);
        }
      }
    }
  }
}

}  // namespace

Displacement read_displacement(const std::filesystem::path& path, const std::optional<Affine>& moving) {
  const std::string source = path.string();
  const std::string name = path.filename().string();
  REGATTA_REQUIRE(name.ends_with(".nii") || name.ends_with(".nii.gz"), DataError, source,
                  ": unknown kind of displacement field, .nii or .nii.gz expected");
  const NiftiFile file = open_nifti(path, NiftiContent::kField);
  file.require_whole();
  const NiftiHeader& header = file.header;
  Displacement out;
  out.grid = {header.shape, header.affine};
  out.field = read_components(*file.voxels, header, source);
  if (header.is_itk_field) {
    to_voxels(out.field, out.grid, moving.value_or(header.affine));
  }
  return out;
}

}  // namespace regatta
