// The fast way of packing against the plain one: the same scan as codes and as floats.
#include "volume/pack/coded_volume.hpp"

#include <algorithm>
#include <cmath>

#include "files.hpp"
#include "regatta/base/random.hpp"
#include "regatta/volume/nifti.hpp"
#include "regatta/volume/volume_file.hpp"
#include "support/catch.hpp"
#include "support/temporary_folder.hpp"
#include "volume/grid/axis_resample.hpp"

using namespace regatta;
using regatta::test::error_text;
using regatta::test::TemporaryFolder;

namespace {

constexpr Affine kOblique = {0.69, 0.1, -0.4, -12.5, -0.08, 0.7, 0.9, 30.25, 0.15, -0.2, 2.8, 7, 0, 0, 0, 1};

/// A smooth scan with noise, int16 with values from -1000 to some thousands.
std::vector<std::int16_t> scan_of(const Shape3& shape, std::uint32_t seed) {
  const CounterRng rng(seed, RandomPurpose::kSynthetic);
  std::vector<std::int16_t> voxels;
  std::size_t at = 0;
  for (std::int64_t d = 0; d < shape[0]; ++d) {
    for (std::int64_t h = 0; h < shape[1]; ++h) {
      for (std::int64_t w = 0; w < shape[2]; ++w) {
        const double wave = std::sin(0.3 * static_cast<double>(d)) + std::cos(0.2 * static_cast<double>(h + w));
        voxels.push_back(static_cast<std::int16_t>(900.0 * wave + 400.0 * rng.uniform(at++) + 300.0));
      }
    }
  }
  return voxels;
}

struct Both {
  Volume plain;
  CodedVolume coded;
};

Both read_both(const std::filesystem::path& path, int frame = -1) {
  Both both{read_volume(path, "RAS", frame), {}};
  REQUIRE(read_coded_volume(path, frame, both.coded));
  return both;
}

/// Largest difference and the share of bytes that differ.
struct Difference {
  int most = 0;
  double share = 0.0;
};

Difference compare(const PackedVoxels& a, const PackedVoxels& b) {
  REQUIRE(a.bytes.size() == b.bytes.size());
  Difference difference;
  std::size_t differing = 0;
  for (std::size_t i = 0; i < a.bytes.size(); ++i) {
    const int apart = std::abs(std::to_integer<int>(a.bytes[i]) - std::to_integer<int>(b.bytes[i]));
    difference.most = std::max(difference.most, apart);
    differing += apart != 0 ? 1 : 0;
  }
  difference.share = static_cast<double>(differing) / static_cast<double>(a.bytes.size());
  return difference;
}

Difference difference_of(Both& both, const PreprocessOptions& options) {
  const GridMap map = map_to_packed_grid(both.plain, options);
  const GridMap coded_map = map_to_packed_grid(both.coded, options);
  REQUIRE(coded_map.packed.shape == map.packed.shape);
  REQUIRE(coded_map.start == map.start);
  const PackedVoxels plain = prepare_packed(both.plain, map, options, options.intensity);
  const PackedVoxels coded = prepare_packed(both.coded, coded_map, options, options.intensity);
  CHECK(coded.range.low == Approx(plain.range.low).margin(1e-9));
  CHECK(coded.range.high == Approx(plain.range.high).margin(1e-9));
  return compare(plain, coded);
}

constexpr const char* kOrientations[] = {"RAS", "LPS", "LIA", "SPR", "AIR", "PSL", "ILP", "ARS", "SRA", "IAL"};

}  // namespace

TEST_CASE("codes give the same bytes as floats where axes are only turned, whatever is cropped or padded") {
  const TemporaryFolder folder;
  const Shape3 shape = {262, 21, 39};
  write_nifti(folder / "s.nii.gz", std::span<const std::int16_t>(scan_of(shape, 1)), {shape, kOblique});
  Both both = read_both(folder / "s.nii.gz");
  for (const char* orientation : kOrientations) {
    for (const std::vector<int>& packed : {std::vector<int>{}, {40, 40, 40}, {80, 33, 130}}) {
      for (const char* center : {"volume", "foreground"}) {
        PreprocessOptions options;
        options.orientation = orientation;
        options.shape = packed;
        options.center = center;
        options.foreground_above = 1500.0;
        INFO(orientation << " " << center);
        CHECK(difference_of(both, options).most == 0);
      }
    }
  }
}

TEST_CASE("codes give the same bytes as floats but for rounding where voxels are interpolated") {
  const TemporaryFolder folder;
  const Shape3 shape = {41, 37, 30};
  write_nifti(folder / "s.nii.gz", std::span<const std::int16_t>(scan_of(shape, 2)), {shape, kOblique});
  Both both = read_both(folder / "s.nii.gz");
  for (const char* orientation : kOrientations) {
    for (const std::vector<double>& spacing : {std::vector<double>{1.0, 1.0, 1.0}, {0.4, 2.0, 5.0}, {4.0, 0.9, 3.1}}) {
      for (const std::vector<int>& packed : {std::vector<int>{}, {24, 24, 24}, {60, 70, 90}}) {
        PreprocessOptions options;
        options.orientation = orientation;
        options.spacing_mm = spacing;
        options.shape = packed;
        INFO(orientation << " " << spacing[0]);
        const Difference difference = difference_of(both, options);
        CHECK(difference.most <= 1);
        CHECK(difference.share < 2e-3);
      }
    }
  }
}

TEST_CASE("every kind of intensity has the same range by counts as by voxels") {
  const TemporaryFolder folder;
  const Shape3 shape = {20, 21, 22};
  write_nifti(folder / "s.nii", std::span<const std::int16_t>(scan_of(shape, 3)), {shape, kOblique});
  Both both = read_both(folder / "s.nii");
  const auto kind = [](const char* name, double low, double high, const char* within = "volume") {
    PreprocessOptions options;
    options.intensity = {name, low, high, within};
    options.foreground_above = 250.0;
    return options;
  };
  for (const PreprocessOptions& options :
       {kind("percentile", 0.5, 99.5), kind("percentile", 1, 99, "foreground"), kind("minmax", 0, 1),
        kind("window", -300, 700), kind("zscore", -2, 3), kind("zscore", -1, 4, "foreground")}) {
    INFO(options.intensity.kind << " " << options.intensity.within);
    CHECK(difference_of(both, options).share < 1e-3);
  }
  const PreprocessOptions nothing = kind("window", 30000, 32000);
  const GridMap map = map_to_packed_grid(both.coded, nothing);
  CHECK(error_text([&] { prepare_packed(both.coded, map, nothing, nothing.intensity); }) ==
        error_text([&] { prepare_packed(both.plain, map, nothing, nothing.intensity); }));
  PreprocessOptions far = kind("percentile", 1, 99, "foreground");
  far.foreground_above = 1e6;
  CHECK(error_text([&] { prepare_packed(both.coded, map, far, far.intensity); }) ==
        error_text([&] { prepare_packed(both.plain, map, far, far.intensity); }));
}

TEST_CASE("codes of every type, byte order, slope and frame are the values that the plain reader gives") {
  const TemporaryFolder folder;
  for (const int type : {2, 256, 4, 512}) {
    for (const bool swap : {false, true}) {
      for (const double slope : {0.0, 1.0, 0.0371, -2.5}) {
        test::NiftiMaker file;
        file.swap = swap;
        file.datatype = type;
        file.shape = {5, 4, 3};
        file.frames = 2;
        file.slope = slope;
        file.inter = 7.25;
        for (int i = 0; i < 120; ++i) {
          file.values.push_back(i * 37 % 120 - (type == 256 || type == 4 ? 60 : 0));
        }
        test::write_bytes(folder / "s.nii", file.bytes());
        for (const int frame : {0, 1}) {
          Both both = read_both(folder / "s.nii", frame);
          const Volume floats = to_volume(both.coded);
          CHECK(floats.voxels == both.plain.voxels);
          CHECK(floats.affine_source == both.plain.affine_source);
          std::vector<float> sorted = both.plain.voxels;
          std::sort(sorted.begin(), sorted.end());
          std::vector<float> counted;
          for (const ValueCount& each : both.coded.values()) {
            counted.insert(counted.end(), each.count, each.value);
          }
          CHECK(counted == sorted);
        }
      }
    }
  }
}

TEST_CASE("other kinds of files are left to the plain reader") {
  const TemporaryFolder folder;
  const Shape3 shape = {5, 4, 3};
  CodedVolume coded;
  write_nifti(folder / "f.nii", std::span<const float>(std::vector<float>(60, 0.5F)), {shape, kOblique});
  CHECK_FALSE(read_coded_volume(folder / "f.nii", -1, coded));
  CHECK_FALSE(read_coded_volume(folder / "x.npz", -1, coded));
}
