// Inspection of sets made from real brains, each copy in another pose, size, contrast and noise: what is planted is
// named, and nothing else.
#include <algorithm>
#include <cmath>
#include <set>

#include "made_up_set.hpp"
#include "regatta/base/random.hpp"
#include "regatta/base/text.hpp"
#include "regatta/volume/inspection.hpp"
#include "regatta/volume/preprocess.hpp"
#include "regatta/volume/resample.hpp"
#include "regatta/volume/volume_file.hpp"
#include "support/catch.hpp"
#include "support/temporary_folder.hpp"
#include "volume/grid/box_average.hpp"

using namespace regatta;
using regatta::test::MadeUpScan;

namespace {

constexpr Shape3 kHalf = {80, 96, 112};
constexpr Spacing3 kHalfSpacing = {2.0, 2.0, 2.0};
constexpr const char* kCode = "LIA";
constexpr AxisMap kMirrored = {{0, 1, 2}, {true, false, false}};

/// 0..1 on 160x192x224 voxels of 1 mm, orientation LIA, then every 2x2x2 averaged.
std::vector<float> half_size(const Volume& scan) {
  PreprocessOptions options;
  options.orientation = kCode;
  options.spacing_mm = {1, 1, 1};
  options.shape = {160, 192, 224};
  options.center = "foreground";
  return box_average(prepare_image(scan, options).voxels, {160, 192, 224}, kHalf);
}

/// Up to 10 degrees about each axis, 8 % along each, 8 mm; gamma 0.8..1.25; noise of 2 %.
MadeUpScan perturbed(const std::vector<float>& scan, std::uint64_t number) {
  const CounterRng rng(31, RandomPurpose::kSynthetic);
  const auto draw = [&](std::uint32_t which) { return 2.0 * rng.uniform(number, which) - 1.0; };
  Grid grid{kHalf, {2, 0, 0, -79, 0, 2, 0, -95, 0, 0, 2, -111, 0, 0, 0, 1}};
  Grid moved = grid;
  for (std::size_t axis = 0; axis < 3; ++axis) {
    const double angle = 0.17 * draw(static_cast<std::uint32_t>(axis));
    Affine turn = identity_affine();
    const std::size_t p = (axis + 1) % 3;
    const std::size_t q = (axis + 2) % 3;
    turn[4 * p + p] = turn[4 * q + q] = std::cos(angle);
    turn[4 * p + q] = -std::sin(angle);
    turn[4 * q + p] = std::sin(angle);
    turn[5 * axis] = 1.0 + 0.08 * draw(static_cast<std::uint32_t>(3 + axis));
    turn[4 * axis + 3] = 8.0 * draw(static_cast<std::uint32_t>(6 + axis));
    moved.affine = multiply(turn, moved.affine);
  }
  const double gamma = std::pow(1.25, draw(9));
  MadeUpScan out;
  out.row.id = str("b", number);
  out.row.split = "train";
  out.row.affine = grid.affine;
  out.row.original_affine = grid.affine;
  out.row.original_shape = kHalf;
  std::uint64_t voxel = 0;
  for (const float value : resample_to_grid(scan, moved, grid, Interpolation::kLinear)) {
    const double noise = 0.04 * (rng.uniform(number * 10000000 + voxel++, 20) - 0.5);
    const double v = value > 0.0F ? std::pow(static_cast<double>(value), gamma) + noise : 0.0;
    out.image.push_back(static_cast<std::uint8_t>(std::lround(255.0 * std::clamp(v, 0.0, 1.0))));
  }
  return out;
}

std::set<std::string> found(const std::vector<MadeUpScan>& scans) {
  const test::TemporaryFolder folder;
  test::write_set(folder / "a.h5", scans, kHalf, kHalfSpacing, kCode);
  const Inspection inspection = inspect_archive(Archive::open(folder / "a.h5"));
  std::set<std::string> out;
  std::cout << "common asymmetry " << inspection.common_asymmetry << '\n';
  for (const SubjectInspection& s : inspection.subjects) {
    std::cout << s.id << ": fit " << s.fit_as_is << ", mirrored " << s.fit_mirrored << ", other axes "
              << s.fit_other_axes << " (" << s.other_axes << "), asymmetry " << s.asymmetry << '\n';
    for (const Finding& finding : s.findings) {
      std::cout << s.id << ": " << finding.text << '\n';
      out.insert(str(s.id, ' ', finding.rule));
    }
  }
  return out;
}

void turn(MadeUpScan& scan, const AxisMap& how) {
  scan.image = test::turned(scan.image, kHalf, how);
}

using Names = std::set<std::string>;

}  // namespace

TEST_CASE("a mirrored copy and one upside down among copies of the real OASIS brain are named, and nothing else") {
  const auto path = test::real_data_folder() / "oasis_brain_a.nii.gz";
  if (!std::filesystem::exists(path)) {
    REGATTA_SKIP("oasis_brain_a.nii.gz");
  }
  const std::vector<float> brain = half_size(read_volume(path));
  std::vector<MadeUpScan> scans;
  for (std::uint64_t i = 0; i < 10; ++i) {
    scans.push_back(perturbed(brain, i));
  }
  CHECK(found(scans) == Names{});
  turn(scans[4], kMirrored);
  CHECK(found(scans) == Names{"b4 mirrored"});
  turn(scans[7], {{0, 1, 2}, {false, true, false}});
  const Names names = found(scans);
  CHECK(names.count("b4 mirrored") == 1);
  CHECK(names.count("b7 wrong_axes") == 1);
}

TEST_CASE("copies of three real brains: no false alarm, and one front to back is named") {
  const auto oasis = test::real_data_folder() / "oasis_brain_a.nii.gz";
  const auto other = test::real_data_folder() / "voxelmorph_test_scan.npz";
  const auto colin = test::mricron_folder() / "ch2bet.nii.gz";
  if (!std::filesystem::exists(oasis) || !std::filesystem::exists(other) || !std::filesystem::exists(colin)) {
    REGATTA_SKIP("oasis_brain_a.nii.gz, voxelmorph_test_scan.npz and mricron-data");
  }
  std::vector<MadeUpScan> scans;
  std::uint64_t number = 50;
  for (const Volume& scan : {read_volume(oasis), read_volume(other, kCode), read_volume(colin)}) {
    const std::vector<float> brain = half_size(scan);
    for (int copy = 0; copy < 4; ++copy) {
      scans.push_back(perturbed(brain, number++));
    }
  }
  const Names large = {"b54 cropped"};  // a broad brain, scaled up: it does leave its grid
  CHECK(found(scans) == large);
  turn(scans[6], {{0, 1, 2}, {false, false, true}});
  const Names names = found(scans);
  CHECK(names.count("b56 wrong_axes") == 1);
  CHECK(std::all_of(names.begin(), names.end(),
                    [&](const std::string& name) { return name.rfind("b56 ", 0) == 0 || large.count(name) == 1; }));
}
