// Writes what test/interop/check_displacement.py and check_round_trip.py compare with SimpleITK and nibabel; hidden,
// run by those scripts.
#include <cmath>
#include <cstdlib>
#include <map>
#include <tuple>

#include <nlohmann/json.hpp>

#include "regatta/base/files.hpp"
#include "regatta/config/json.hpp"
#include "regatta/volume/archive.hpp"
#include "regatta/volume/dataset.hpp"
#include "regatta/volume/nifti.hpp"
#include "regatta/volume/pack.hpp"
#include "regatta/volume/resample.hpp"
#include "support/catch.hpp"

using namespace regatta;

namespace {

/// A rotation with spacing: what ITK can hold. @param turn  radians about three axes @param middle  of the grid, in mm
Grid oblique(const Shape3& shape, const Point3& turn, const Spacing3& spacing, const Point3& middle, bool mirror) {
  Affine out = {mirror ? -spacing[0] : spacing[0], 0, 0, 0, 0, spacing[1], 0, 0, 0, 0, spacing[2], 0, 0, 0, 0, 1};
  for (std::size_t axis = 0; axis < 3; ++axis) {
    const std::size_t a = (axis + 1) % 3;
    const std::size_t b = (axis + 2) % 3;
    Affine rotation = identity_affine();
    rotation[a * 4 + a] = std::cos(turn[axis]);
    rotation[a * 4 + b] = -std::sin(turn[axis]);
    rotation[b * 4 + a] = std::sin(turn[axis]);
    rotation[b * 4 + b] = std::cos(turn[axis]);
    out = multiply(rotation, out);
  }
  Point3 half{};
  for (std::size_t axis = 0; axis < 3; ++axis) {
    half[axis] = static_cast<double>(shape[axis] - 1) / 2.0;
  }
  const Point3 offset = map_vector(out, half);
  for (std::size_t axis = 0; axis < 3; ++axis) {
    out[axis * 4 + 3] = middle[axis] - offset[axis];
  }
  return {shape, out};
}

/// Smooth blobs in millimetres, so that interpolation errors are small.
std::vector<float> blobs(const Grid& grid) {
  std::vector<float> out;
  for (std::int64_t i = 0; i < voxel_count(grid.shape); ++i) {
    const Point3 voxel = {static_cast<double>(i / (grid.shape[1] * grid.shape[2])),
                          static_cast<double>(i / grid.shape[2] % grid.shape[1]),
                          static_cast<double>(i % grid.shape[2])};
    const Point3 p = map_point(grid.affine, voxel);
    out.push_back(static_cast<float>(0.5 + 0.2 * std::sin(0.23 * p[0]) + 0.15 * std::cos(0.19 * p[1] + 1.0) +
                                     0.15 * std::sin(0.13 * p[2] - 0.1 * p[0])));
  }
  return out;
}

}  // namespace

TEST_CASE("files for the interoperability check are written", "[.interop]") {
  const char* folder_name = std::getenv("REGATTA_INTEROP_FOLDER");
  REQUIRE(folder_name != nullptr);
  const std::filesystem::path folder = folder_name;
  const Grid fixed = oblique({40, 36, 14}, {0.3, -0.2, 0.5}, {0.7, 0.8, 3.0}, {12, -8, 30}, true);
  const Grid moving = oblique({30, 34, 38}, {-0.2, 0.4, 0.1}, {1.2, 1.0, 1.1}, {13, -9, 31}, false);
  const Grid packed = oblique({28, 32, 30}, {0.1, 0.1, 0.3}, {1.1, 1.1, 1.1}, {11, -8, 31}, false);
  const Affine packed_moving = oblique(packed.shape, {0.0, 0.12, 0.28}, {1.1, 1.1, 1.1}, {13, -10, 30}, false).affine;
  std::vector<float> field;
  for (int component = 0; component < 3; ++component) {
    for (std::int64_t i = 0; i < voxel_count(packed.shape); ++i) {
      field.push_back(static_cast<float>(2.0 * std::sin(0.002 * static_cast<double>(i) / 7.0 + component)));
    }
  }
  const std::vector<float> image = blobs(moving);
  const std::vector<float> on_fixed = displacement_on_grid(field, packed, packed_moving, fixed);
  const std::vector<float> warped = warp_with_field(image, moving, on_fixed, fixed, Interpolation::kLinear, -1.0F);
  write_nifti(folder / "fixed.nii.gz", std::span<const float>(blobs(fixed)), fixed);
  write_nifti(folder / "moving.nii", std::span<const float>(image), moving);
  write_nifti(folder / "warped.nii.gz", std::span<const float>(warped), fixed);
  write_displacement(folder / "displacement.nii.gz", on_fixed, fixed);
  std::vector<std::int32_t> labels;
  for (const float value : image) {
    labels.push_back(static_cast<std::int32_t>(std::lround(10.0F * value)) - 2);
  }
  write_nifti(folder / "labels.nii.gz", std::span<const std::int32_t>(labels), moving);
  write_nifti(folder / "warped_labels.nii.gz",
              std::span<const std::int32_t>(warp_labels_with_field(labels, moving, on_fixed, fixed)), fixed);
  Json record;
  record["fixed_affine"] = fixed.affine;
  record["moving_affine"] = moving.affine;
  // Sheared grids, as tilted CTs have them: with the original's qform, with the nearest rotation, with neither.
  FileSpace own;
  own.sform_code = 1;
  own.qform_code = 1;
  own.qform = fixed.affine;
  for (const auto& [name, shear, like] : {std::tuple("kept", 4e-4, own), std::tuple("nearest", 4e-4, FileSpace{}),
                                          std::tuple("alone", 0.1, FileSpace{})}) {
    const Grid grid = {fixed.shape, multiply(fixed.affine, {1, 0, 0, 0, 0, 1, shear, 0, 0, 0, 1, 0, 0, 0, 0, 1})};
    const std::string prefix = str("sheared_", name, "_");
    write_nifti(folder / (prefix + "image.nii.gz"), std::span<const float>(blobs(grid)), grid, like);
    write_displacement(folder / (prefix + "field.nii.gz"), on_fixed, grid, like);
    record[prefix + "affine"] = grid.affine;
  }
  write_file_atomically(folder / "grids.json", dump_pretty(record));
}

namespace {

LabelVolume labels_of_blobs(const Grid& grid) {
  LabelVolume out;
  out.grid = grid;
  for (const float value : blobs(grid)) {
    out.labels.push_back(static_cast<std::int32_t>(std::lround(40.0F * value)) * 25);  // up to 1000
  }
  return out;
}

/// Packs the one scan of the folder and brings image and labels back onto its own grid; all of it as NIfTI.
void write_round_trip(const std::filesystem::path& folder, const std::string& name, const Grid& grid, Json preprocess) {
  Json dataset;
  dataset["schema"] = 1;
  dataset["subjects"] = Json::array();
  for (const char* id : {"a", "b"}) {  // a split needs a pair
    dataset["subjects"].push_back({{"id", id}, {"image", "scan.nii.gz"}, {"labels", "labels.nii.gz"}});
  }
  preprocess["type"] = "float32";
  preprocess["intensity"]["kind"] = "none";
  dataset["preprocess"] = preprocess;
  std::filesystem::create_directories(folder);
  write_file_atomically(folder / (name + ".json"), dump_pretty(dataset));
  PackOptions options;
  options.output = folder / (name + ".h5");
  pack_dataset(read_dataset(folder / (name + ".json")), options);

  const Archive archive = Archive::open(options.output);
  const ArchiveSubject& subject = archive.subjects().front();
  const Grid packed = {archive.shape(), subject.affine};
  std::vector<float> image(static_cast<std::size_t>(voxel_count(packed.shape)));
  archive.read_image(0, std::as_writable_bytes(std::span(image)));
  std::vector<std::uint8_t> indices(image.size());
  archive.read_labels(0, indices);
  std::vector<std::int32_t> labels;
  for (const std::uint8_t index : indices) {
    labels.push_back(static_cast<std::int32_t>(archive.label_ids()[index]));
  }
  write_nifti(folder / (name + "_packed.nii.gz"), std::span<const float>(image), packed);
  write_nifti(folder / (name + "_packed_labels.nii.gz"), std::span<const std::int32_t>(labels), packed);
  const Grid own = {subject.original_shape, subject.original_affine};
  REQUIRE(own.shape == grid.shape);
  const auto back = resample_to_grid(image, packed, own, Interpolation::kLinear, -1.0F);
  write_nifti(folder / (name + "_back.nii.gz"), std::span<const float>(back), own);
  const auto back_labels = resample_labels_to_grid(labels, packed, own);
  write_nifti(folder / (name + "_back_labels.nii.gz"), std::span<const std::int32_t>(back_labels), own);
}

}  // namespace

TEST_CASE("scans are packed and brought back for the round-trip check", "[.round_trip]") {
  const char* folder_name = std::getenv("REGATTA_INTEROP_FOLDER");
  REQUIRE(folder_name != nullptr);
  const std::filesystem::path root = folder_name;
  const std::map<std::string, Grid> grids = {
      {"oblique", oblique({40, 36, 30}, {0.3, -0.2, 0.5}, {1.0, 1.1, 1.2}, {12, -8, 30}, false)},
      {"anisotropic", oblique({44, 40, 14}, {0.1, 0.0, -0.15}, {0.8, 0.75, 3.0}, {3, 4, -9}, true)},
      {"flipped", {{31, 36, 27}, {0, 0, -1.1, 14, -1.2, 0, 0, 21, 0, 0.9, 0, -17, 0, 0, 0, 1}}},
      {"turned", oblique({33, 28, 37}, {1.45, 0.2, 1.7}, {1.1, 0.9, 1.3}, {-20, 11, 2}, true)},
  };
  for (const auto& [name, grid] : grids) {
    const std::filesystem::path folder = root / name;
    std::filesystem::create_directories(folder);
    write_nifti(folder / "scan.nii.gz", std::span<const float>(blobs(grid)), grid);
    write_nifti(folder / "labels.nii.gz", std::span<const std::int32_t>(labels_of_blobs(grid).labels), grid);
    write_round_trip(folder, "kept", grid, {{"orientation", "LIA"}});
    write_round_trip(folder, "resampled", grid,
                     {{"orientation", "RAS"}, {"spacing_mm", {1.0, 1.0, 1.0}}, {"shape", {64, 64, 64}}});
  }
}
