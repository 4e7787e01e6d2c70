// Files on sheared grids: which qform they are written with, and what is said of it.
#include <cmath>

#include "files.hpp"
#include "regatta/volume/nifti.hpp"
#include "regatta/volume/volume_file.hpp"
#include "support/catch.hpp"
#include "support/temporary_folder.hpp"

using namespace regatta;
using regatta::test::peek;
using regatta::test::poke;
using regatta::test::TemporaryFolder;

namespace {

/// Spacings 1, 1.5, 2 mm, turned, and the third axis leant over the second.
Grid sheared(double shear, const Shape3& shape = {16, 16, 16}) {
  const Affine turn = {
      std::cos(0.3), -std::sin(0.3), 0, 7, std::sin(0.3), std::cos(0.3), 0, -4, 0, 0, 1, 11, 0, 0, 0, 1};
  return {shape, multiply(turn, {1, 0, 0, 0, 0, 1.5, 2.0 * shear, 0, 0, 0, 2, 0, 0, 0, 0, 1})};
}

std::string written(const TemporaryFolder& folder, const Grid& grid, const FileSpace& like = {}) {
  write_nifti(folder / "w.nii", std::vector<float>(static_cast<std::size_t>(voxel_count(grid.shape)), 1.0F), grid,
              like);
  return test::read_bytes(folder / "w.nii");
}

/// Where the file's qform puts it.
Affine qform_of(const TemporaryFolder& folder, std::string bytes) {
  poke(bytes, 254, std::int16_t{0});
  test::write_bytes(folder / "q.nii", bytes);
  const Volume volume = read_volume(folder / "q.nii");
  CHECK(volume.affine_source == "qform");
  return volume.grid.affine;
}

}  // namespace

TEST_CASE("the closest right-angled affine keeps a right-angled one, and shares a shear between the axes") {
  const Grid plain = sheared(0.0);
  CHECK(largest_shift(plain.affine, nearest_right_angled(plain.affine, plain.shape), plain.shape) < 1e-12);
  const Grid grid = sheared(0.02);
  const Affine nearest = nearest_right_angled(grid.affine, grid.shape);
  for (const auto& [a, b] : {std::pair{0U, 1U}, std::pair{0U, 2U}, std::pair{1U, 2U}}) {
    CHECK(nearest[a] * nearest[b] + nearest[4 + a] * nearest[4 + b] + nearest[8 + a] * nearest[8 + b] ==
          Approx(0.0).margin(1e-12));
  }
  // The corner is 7.5 voxels from the middle; each of two axes takes half of the angle of .02.
  CHECK(largest_shift(grid.affine, nearest, grid.shape) == Approx(7.5 * 0.01 * 2.0 / 1.5).epsilon(0.02));
  const Affine mirrored = multiply(grid.affine, {1, 0, 0, 0, 0, 1, 0, 0, 0, 0, -1, 0, 0, 0, 0, 1});
  CHECK(determinant(nearest_right_angled(mirrored, grid.shape)) < 0.0);
}

TEST_CASE("a sheared scan is written with the nearest rotation as its qform") {
  const TemporaryFolder folder;
  for (const double shear : {1e-6, 1e-5, 2e-4, 4e-4, 5e-3}) {
    INFO(shear);
    const Grid grid = sheared(shear);
    const std::string bytes = written(folder, grid);
    CHECK(peek<std::int16_t>(bytes, 252) == 1);
    CHECK(peek<std::int16_t>(bytes, 254) == 1);
    CHECK(same_grid(read_volume(folder / "w.nii").grid.affine, grid.affine, grid.shape, 1e-5));
    CHECK(same_grid(grid.affine, qform_of(folder, bytes), grid.shape, kQformShift));
    CHECK(space_doubt(grid, written_space(grid, {})).empty());
  }
}

TEST_CASE("a scan whose axes are far from right angles is written with the sform alone, and a line says so") {
  const TemporaryFolder folder;
  const Grid grid = sheared(0.05);
  const std::string bytes = written(folder, grid);
  CHECK(peek<std::int16_t>(bytes, 252) == 0);
  CHECK(peek<std::int16_t>(bytes, 254) == 1);
  CHECK(peek<float>(bytes, 80) == Approx(1.0));
  CHECK(peek<float>(bytes, 84) == Approx(1.5));
  const std::string doubt = space_doubt(grid, written_space(grid, {}));
  INFO(doubt);
  CHECK(doubt.find("by up to 0.26 voxels at the corners") != std::string::npos);
  CHECK(doubt.find("ITK, ANTs and Slicer refuse such files") != std::string::npos);
  CHECK(doubt.find('\n') == std::string::npos);
  // The same shear over fewer voxels is nearer than a tenth of one.
  CHECK(written_space(sheared(0.05, {6, 6, 6}), {}).qform_code == 1);
}

TEST_CASE("the qform and the codes of the fixed scan are kept in every file on its grid") {
  const TemporaryFolder folder;
  const Grid grid = sheared(4e-4);
  const Grid own = sheared(0.0);
  write_nifti(folder / "fixed.nii", std::vector<float>(4096, 1.0F), own);
  std::string bytes = test::read_bytes(folder / "fixed.nii");
  poke(bytes, 252, std::int16_t{2});
  poke(bytes, 254, std::int16_t{4});
  for (std::size_t i = 0; i < 12; ++i) {
    poke(bytes, 280 + 4 * i, static_cast<float>(grid.affine[i]));
  }
  test::write_bytes(folder / "fixed.nii", bytes);
  const Volume fixed = read_volume(folder / "fixed.nii");
  CHECK(fixed.space.sform_code == 4);
  CHECK(fixed.space.qform_code == 2);
  REQUIRE(fixed.space.qform);
  CHECK(same_grid(*fixed.space.qform, own.affine, own.shape, 1e-4));
  const std::string written_bytes = GENERATE(0, 1, 2) == 0 ? written(folder, fixed.grid, fixed.space) : [&] {
    write_displacement(folder / "d.nii", std::vector<float>(3 * 4096, 0.0F), fixed.grid, fixed.space);
    return test::read_bytes(folder / "d.nii");
  }();
  // Codes, quaternion, offsets, sform and pixdim, byte for byte but for rounding.
  CHECK(written_bytes.substr(252, 4) == bytes.substr(252, 4));
  for (std::size_t at = 256; at < 328; at += 4) {
    CHECK(peek<float>(written_bytes, at) == Approx(peek<float>(bytes, at)).margin(1e-6));
  }
  for (std::size_t at = 76; at < 92; at += 4) {
    CHECK(peek<float>(written_bytes, at) == Approx(peek<float>(bytes, at)).margin(1e-6));
  }
}

TEST_CASE("a qform that lies elsewhere than the sform is kept, and a line says what to do") {
  const Grid grid = sheared(0.0);
  FileSpace space;
  space.sform_code = 4;
  space.qform_code = 1;
  Affine moved = grid.affine;
  moved[3] += 30.0;
  space.qform = moved;
  const FileSpace out = written_space(grid, space);
  CHECK(out.qform == space.qform);
  const std::string doubt = space_doubt(grid, out);
  INFO(doubt);
  CHECK(doubt.find("sform and qform differ by up to 29 voxels") != std::string::npos);
}

TEST_CASE("an unusable qform is no qform") {
  const TemporaryFolder folder;
  test::NiftiMaker maker;
  maker.qform_code = 1;
  maker.pixdim[2] = 0;
  test::write_bytes(folder / "v.nii", maker.bytes());
  const Volume volume = read_volume(folder / "v.nii");
  CHECK(volume.affine_source == "sform");
  CHECK(volume.space.qform_code == 0);
  CHECK_FALSE(volume.space.qform);
}
