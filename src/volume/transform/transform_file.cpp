#include "regatta/volume/transform_file.hpp"

#include <charconv>
#include <fstream>

#include "regatta/base/error.hpp"
#include "regatta/base/files.hpp"
#include "regatta/base/text.hpp"
#include "regatta/volume/displacement.hpp"
#include "volume/transform/itk_files.hpp"

namespace regatta {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kMostText = std::uint64_t{1} << 20;

/// One transform's text of a command line.
struct Request {
  fs::path path;
  bool inverted = false;
  bool fsl = false;
};

Request parse_request(const std::string& text) {
  Request out;
  std::string name = text;
  if (name.starts_with('[')) {
    const std::size_t comma = name.rfind(',');
    const std::string_view flag = comma == std::string::npos || !name.ends_with(']')
                                      ? std::string_view()
                                      : trim(std::string_view(name).substr(comma + 1, name.size() - comma - 2));
    REGATTA_REQUIRE(flag == "0" || flag == "1", ConfigError, "transform '", one_line(text, 200),
                    "': [FILE,0], or [FILE,1] for the inverse, expected");
    out.inverted = flag == "1";
    name = std::string(trim(std::string_view(name).substr(1, comma - 1)));
  } else if (name.ends_with(",-1")) {
    out.inverted = true;
    name.resize(name.size() - 3);
  }
  out.fsl = name.starts_with("fsl:");
  out.path = out.fsl ? name.substr(4) : name;
  return out;
}

bool ends_as_field(const fs::path& path) {
  const std::string name = path.filename().string();
  return name.ends_with(".nii") || name.ends_with(".nii.gz") || name.ends_with(".npz");
}

const Grid& require_grid(const std::optional<Grid>& grid, const fs::path& path, const char* kind, const char* which) {
  REGATTA_REQUIRE(grid.has_value(), DataError, path.string(), ": ", kind, ": needs the grid of the ", which,
                  " scan, which is not known here");
  return *grid;
}

/// Voxel x of the fixed array corresponds to voxel x + u(x) of the moving one.
TransformFile field_between_arrays(const fs::path& path, Displacement&& read, const TransformGrids& grids) {
  const Grid& moving = require_grid(grids.moving, path, "a field of voxels", "moving");
  Grid fixed = read.grid;
  if (read.affine_source == "none") {
    fixed = require_grid(grids.fixed, path, "npz, which has no grid", "fixed");
    REGATTA_REQUIRE(fixed.shape == read.grid.shape, DataError, path.string(), ": field of ",
                    shape_text(read.grid.shape), ", the fixed scan has ", shape_text(fixed.shape));
  }
  TransformFile out;
  out.kind = str("field of voxels ", shape_text(fixed.shape));
  out.transform = Transform::of_field(fixed, std::move(read.field));
  out.transform.append(Transform::of_affine(multiply(moving.affine, invert(fixed.affine))));
  return out;
}

TransformFile read_field(const fs::path& path, const TransformGrids& grids) {
  Displacement read = read_displacement(path);
  if (read.form == FieldForm::kArrays) {
    return field_between_arrays(path, std::move(read), grids);
  }
  TransformFile out;
  out.kind = str("field ", shape_text(read.grid.shape));
  out.transform = Transform::of_field(read.grid, std::move(read.field));
  return out;
}

/// Scaled voxels of FSL: millimetres from the first voxel, x from the last where the axes are right-handed.
Affine fsl_scaled(const Grid& grid) {
  const Spacing3 spacing = spacing_of(grid.affine);
  Affine out = identity_affine();
  for (std::size_t axis = 0; axis < 3; ++axis) {
    out[axis * 5] = spacing[axis];
  }
  if (determinant(grid.affine) > 0.0) {
    out[0] = -spacing[0];
    out[3] = spacing[0] * static_cast<double>(grid.shape[0] - 1);
  }
  return out;
}

Affine matrix_of(const std::string& text, const fs::path& path) {
  Affine out{};
  std::size_t count = 0;
  const char* at = text.data();
  const char* end = at + text.size();
  while (at != end) {
    if (*at == ' ' || *at == '\t' || *at == '\n' || *at == '\r') {
      ++at;
      continue;
    }
    double value = 0.0;
    const auto [stop, error] = std::from_chars(at, end, value);
    REGATTA_REQUIRE(error == std::errc() && count < out.size(), DataError, path.string(),
                    ": no transform that is known: a NIfTI or npz field, ITK's HDF5, text or ANTs' .mat, or text of "
                    "4 x 4 numbers expected");
    out[count++] = value;
    at = stop;
  }
  REGATTA_REQUIRE(count == out.size(), DataError, path.string(), ": ", count, " numbers, 4 x 4 expected");
  REGATTA_REQUIRE(is_usable(out), DataError, path.string(), ": matrix ", join(out, " "),
                  ": singular, not finite or with a last row other than 0 0 0 1");
  return out;
}

TransformFile read_matrix(const fs::path& path, const std::string& text, bool fsl, const TransformGrids& grids) {
  const Affine matrix = matrix_of(text, path);
  if (!fsl) {
    return {Transform::of_affine(matrix), "RAS matrix", std::nullopt};
  }
  const Grid& fixed = require_grid(grids.fixed, path, "FLIRT's matrix", "fixed");
  const Grid& moving = require_grid(grids.moving, path, "FLIRT's matrix", "moving");
  const Affine to_scaled = multiply(fsl_scaled(fixed), invert(fixed.affine));
  const Affine from_scaled = multiply(moving.affine, invert(fsl_scaled(moving)));
  return {Transform::of_affine(multiply(from_scaled, multiply(invert(matrix), to_scaled))), "FLIRT matrix",
          std::nullopt};
}

TransformFile of_itk(std::vector<ItkTransform>&& read, const std::string& source) {
  REGATTA_REQUIRE(!read.empty(), DataError, source, ": no transform in it");
  TransformFile out;
  out.kind = kind_of(read);
  out.transform = meaning_of(std::move(read), source);
  return out;
}

TransformFile read_by_content(const Request& request, const TransformGrids& grids) {
  const fs::path& path = request.path;
  const std::string source = path.string();
  REGATTA_REQUIRE(!fs::is_directory(path), DataError, source, ": a folder, a transform expected");
  REGATTA_REQUIRE(fs::exists(path), DataError, source, ": no such file");
  if (ends_as_field(path)) {
    return read_field(path, grids);
  }
  std::string head(8, '\0');
  std::ifstream(path, std::ios::binary).read(head.data(), static_cast<std::streamsize>(head.size()));
  if (head == "\x89HDF\r\n\x1a\n") {
    return of_itk(read_itk_h5(path), source);
  }
  const std::string content = read_file(path, kMostText);
  if (content.starts_with("#Insight Transform File")) {
    return of_itk(read_itk_text(content, source), source);
  }
  if (is_itk_matlab(content)) {
    TransformFile out = of_itk(read_itk_matlab(content, source), source);
    out.kind = "ANTs " + out.kind.substr(4);
    return out;
  }
  return read_matrix(path, content, request.fsl, grids);
}

}  // namespace

TransformFile read_transform(const std::string& text, const TransformGrids& grids) {
  const Request request = parse_request(text);
  TransformFile out = read_by_content(request, grids);
  if (request.inverted) {
    out.transform = out.transform.inverse();
    out.kind += ", inverted";
  }
  if (const Grid* grid = out.transform.first_grid(); grid != nullptr) {
    out.grid = *grid;
  }
  return out;
}

Transform chain_of(const std::vector<TransformFile>& files) {
  Transform out;
  for (const TransformFile& file : files) {
    out.append(file.transform);
  }
  return out;
}

}  // namespace regatta
