// Real scans, where they are at hand: what is known of each is what we read.
#include <algorithm>
#include <set>

#include "regatta/volume/placement.hpp"
#include "regatta/volume/volume_file.hpp"
#include "support/catch.hpp"
#include "support/temporary_folder.hpp"

using namespace regatta;

TEST_CASE("the real OASIS brain has its known size, orientation and range") {
  const auto path = test::real_data_folder() / "oasis_brain_a.nii.gz";
  if (!std::filesystem::exists(path)) {
    REGATTA_SKIP("oasis_brain_a.nii.gz");
  }
  const Volume volume = read_volume(path);
  CHECK(volume.grid.shape == Shape3{160, 192, 224});
  CHECK(orientation_of(volume.grid.affine) == "LIA");
  CHECK(*std::max_element(volume.voxels.begin(), volume.voxels.end()) == Approx(0.882).margin(0.001));
}

TEST_CASE("the VoxelMorph scan has its known size, range and 46 label values") {
  const auto path = test::real_data_folder() / "voxelmorph_test_scan.npz";
  if (!std::filesystem::exists(path)) {
    REGATTA_SKIP("voxelmorph_test_scan.npz");
  }
  const Volume volume = read_volume(path, "LIA");
  CHECK(volume.grid.shape == Shape3{160, 192, 224});
  CHECK(*std::max_element(volume.voxels.begin(), volume.voxels.end()) == Approx(0.976).margin(0.001));
  const LabelVolume labels = read_label_volume(path, "LIA");
  CHECK(std::set<std::int32_t>(labels.labels.begin(), labels.labels.end()).size() == 46);
}

TEST_CASE("Colin-27 and its AAL labels share a grid and come to 160x192x224") {
  const auto image = test::mricron_folder() / "ch2bet.nii.gz";
  const auto labels = test::mricron_folder() / "aal.nii.gz";
  if (!std::filesystem::exists(image) || !std::filesystem::exists(labels)) {
    REGATTA_SKIP("mricron-data");
  }
  const Volume volume = read_volume(image);
  const LabelVolume map = read_label_volume(labels);
  CHECK(volume.grid.shape == map.grid.shape);
  CHECK(same_grid(volume.grid.affine, map.grid.affine, volume.grid.shape));
  CHECK(*std::max_element(map.labels.begin(), map.labels.end()) == 116);
  PreprocessOptions options;
  options.orientation = "LIA";
  options.spacing_mm = {1, 1, 1};
  options.shape = {160, 192, 224};
  options.center = "foreground";
  const PreparedImage packed = prepare_image(volume, options);
  CHECK(packed.packed.shape == Shape3{160, 192, 224});
  const auto packed_labels = prepare_labels(map, map_to_packed_grid(volume, options));
  CHECK(std::set<std::int32_t>(packed_labels.begin(), packed_labels.end()).size() == 117);
}

TEST_CASE("two real brains: headers are believed until they are a centimetre and a half off, 100 mm is poor") {
  const auto brain = test::real_data_folder() / "oasis_brain_a.nii.gz";
  const auto scan = test::real_data_folder() / "voxelmorph_test_scan.npz";
  if (!std::filesystem::exists(brain) || !std::filesystem::exists(scan)) {
    REGATTA_SKIP("oasis_brain_a.nii.gz, voxelmorph_test_scan.npz");
  }
  const Volume fixed = read_volume(brain);
  Volume moving = read_volume(scan, "LIA");
  moving.grid = fixed.grid;  // both were aligned to one template
  const Foreground a = foreground_of(fixed);
  const Foreground b = foreground_of(moving);
  CHECK(overlap_of(a, a, identity_affine()) == 1.0);
  const double aligned = overlap_of(a, b, identity_affine());
  CHECK(aligned > 0.8);
  const auto moved = [&](std::size_t axis, double mm) {
    Affine shift = identity_affine();
    shift[4 * axis + 3] = mm;
    return overlap_of(a, b, shift);
  };
  for (std::size_t axis = 0; axis < 3; ++axis) {
    CAPTURE(axis, aligned, moved(axis, 8.0), moved(axis, 16.0), moved(axis, 100.0));
    CHECK(moved(axis, 8.0) > kAsGoodAsCentred * aligned);
    CHECK(moved(axis, 16.0) < kAsGoodAsCentred * aligned);
    CHECK(moved(axis, 100.0) < kPoorOverlap);
  }
}
