// Orientation, spacing, crop and intensity against what they must be, on unequal sizes and an oblique affine.
#include "regatta/volume/preprocess.hpp"

#include <algorithm>
#include <cmath>

#include "files.hpp"
#include "regatta/base/random.hpp"
#include "support/catch.hpp"

using namespace regatta;
using regatta::test::error_text;

namespace {

constexpr Affine kOblique = {0.69, 0.1, -0.4, -12.5, -0.08, 0.7, 0.9, 30.25, 0.15, -0.2, 2.8, 7, 0, 0, 0, 1};

Volume random_volume(const Shape3& shape, const Affine& affine) {
  const CounterRng rng(3, RandomPurpose::kSynthetic);
  Volume volume;
  volume.grid = {shape, affine};
  volume.source = "x.nii";
  volume.voxels.resize(static_cast<std::size_t>(voxel_count(shape)));
  for (std::size_t i = 0; i < volume.voxels.size(); ++i) {
    volume.voxels[i] = static_cast<float>(rng.uniform(i));
  }
  return volume;
}

/// A volume whose value is a linear function of the place in millimetres: any exact resampling keeps it.
Volume ramp(const Shape3& shape, const Affine& affine) {
  Volume volume = random_volume(shape, affine);
  std::size_t at = 0;
  for (std::int64_t d = 0; d < shape[0]; ++d) {
    for (std::int64_t h = 0; h < shape[1]; ++h) {
      for (std::int64_t w = 0; w < shape[2]; ++w) {
        const Point3 mm = map_point(affine, {static_cast<double>(d), static_cast<double>(h), static_cast<double>(w)});
        volume.voxels[at++] = static_cast<float>(0.3 * mm[0] - 0.2 * mm[1] + 0.1 * mm[2]);
      }
    }
  }
  return volume;
}

PreprocessOptions plain() {
  PreprocessOptions options;
  options.intensity.kind = "none";
  options.type = "float32";
  return options;
}

float at(const std::vector<float>& voxels, const Shape3& shape, std::int64_t d, std::int64_t h, std::int64_t w) {
  return voxels[static_cast<std::size_t>((d * shape[1] + h) * shape[2] + w)];
}

}  // namespace

TEST_CASE("all 48 orientations keep every voxel at its place in millimetres") {
  const Volume volume = random_volume({5, 4, 3}, kOblique);
  const Affine back = invert(kOblique);
  int codes = 0;
  std::string letters = "RASLPI";
  for (const char a : letters) {
    for (const char b : letters) {
      for (const char c : letters) {
        const std::string code = {a, b, c};
        if (!is_orientation(code)) {
          continue;
        }
        ++codes;
        PreprocessOptions options = plain();
        options.orientation = code;
        const PreparedImage out = prepare_image(volume, options);
        const Grid& packed = out.packed;
        CHECK(orientation_of(packed.affine) == code);
        bool equal = voxel_count(packed.shape) == 60;
        for (std::int64_t d = 0; d < packed.shape[0]; ++d) {
          for (std::int64_t h = 0; h < packed.shape[1]; ++h) {
            for (std::int64_t w = 0; w < packed.shape[2]; ++w) {
              const Point3 x = map_point(back, map_point(packed.affine, {static_cast<double>(d), static_cast<double>(h),
                                                                         static_cast<double>(w)}));
              equal = equal &&
                      at(out.voxels, packed.shape, d, h, w) ==
                          at(volume.voxels, volume.grid.shape, std::lround(x[0]), std::lround(x[1]), std::lround(x[2]));
            }
          }
        }
        CHECK(equal);
      }
    }
  }
  CHECK(codes == 48);
}

TEST_CASE("resampling keeps a linear function of space, whatever the orientation") {
  const Volume volume = ramp({21, 18, 9}, kOblique);
  PreprocessOptions options = plain();
  options.orientation = GENERATE("RAS", "SPL", "AIR");
  options.spacing_mm = {1.0, 0.9, 1.3};
  const PreparedImage out = prepare_image(volume, options);
  const Spacing3 spacing = spacing_of(out.packed.affine);
  for (std::size_t axis = 0; axis < 3; ++axis) {
    CHECK(spacing[axis] == Approx(options.spacing_mm[axis]));
  }
  const Shape3& shape = out.packed.shape;
  double worst = 0.0;
  for (std::int64_t d = 3; d < shape[0] - 3; ++d) {
    for (std::int64_t h = 3; h < shape[1] - 3; ++h) {
      for (std::int64_t w = 3; w < shape[2] - 3; ++w) {
        const Point3 mm =
            map_point(out.packed.affine, {static_cast<double>(d), static_cast<double>(h), static_cast<double>(w)});
        worst =
            std::max(worst, std::abs(0.3 * mm[0] - 0.2 * mm[1] + 0.1 * mm[2] - double{at(out.voxels, shape, d, h, w)}));
      }
    }
  }
  CHECK(worst < 1e-4);
}

TEST_CASE("up-sampling equals a naive trilinear loop") {
  const Volume volume = random_volume({7, 6, 5}, {2, 0, 0, 0, 0, 2, 0, 0, 0, 0, 2, 0, 0, 0, 0, 1});
  PreprocessOptions options = plain();
  options.spacing_mm = {1.4, 1.7, 2.0};
  const PreparedImage out = prepare_image(volume, options);
  REQUIRE(out.packed.shape == Shape3{10, 7, 5});
  double worst = 0.0;
  const Shape3& shape = out.packed.shape;
  for (std::int64_t d = 0; d < shape[0]; ++d) {
    for (std::int64_t h = 0; h < shape[1]; ++h) {
      for (std::int64_t w = 0; w < shape[2]; ++w) {
        const auto source = [](std::int64_t i, double step, std::int64_t n, std::int64_t m) {
          const double middle = (static_cast<double>(n - 1) - step * static_cast<double>(m - 1)) / 2.0;
          return std::clamp(middle + step * static_cast<double>(i), 0.0, static_cast<double>(n - 1));
        };
        const double x = source(d, 0.7, 7, 10);
        const double y = source(h, 0.85, 6, 7);
        double value = 0.0;
        for (std::int64_t i = 0; i < 7; ++i) {
          for (std::int64_t j = 0; j < 6; ++j) {
            const double weight = std::max(0.0, 1.0 - std::abs(x - static_cast<double>(i))) *
                                  std::max(0.0, 1.0 - std::abs(y - static_cast<double>(j)));
            value += weight * double{at(volume.voxels, volume.grid.shape, i, j, w)};
          }
        }
        worst = std::max(worst, std::abs(value - double{at(out.voxels, shape, d, h, w)}));
      }
    }
  }
  CHECK(worst < 1e-6);
}

TEST_CASE("down-sampling by three averages with a triangle, so that a checkerboard becomes grey") {
  Volume volume = random_volume({30, 30, 30}, identity_affine());
  for (std::int64_t i = 0; i < 27000; ++i) {
    volume.voxels[static_cast<std::size_t>(i)] = static_cast<float>((i / 900 + i / 30 + i) % 2);
  }
  PreprocessOptions options = plain();
  options.spacing_mm = {3, 3, 3};
  volume.voxels[0] += 0.01F;
  const PreparedImage out = prepare_image(volume, options);
  REQUIRE(out.packed.shape == Shape3{10, 10, 10});
  for (std::int64_t i = 1; i < 9; ++i) {
    CHECK(at(out.voxels, out.packed.shape, i, i, 4) == Approx(0.5).margin(0.03));
  }
}

TEST_CASE("through space onto the packed grid is the same as through its map, coarser grids included") {
  const Volume volume = random_volume({12, 10, 9}, kOblique);
  PreprocessOptions options = plain();
  const double coarser = GENERATE(1.0, 2.5);
  Spacing3 spacing = spacing_of(kOblique);
  for (double& mm : spacing) {
    options.spacing_mm.push_back(mm * coarser);
  }
  options.orientation = orientation_of(kOblique);
  const PreparedImage mapped = prepare_image(volume, options);
  const PreparedImage placed = prepare_image_on(mapped.packed, volume, options, options.intensity);
  REQUIRE(placed.voxels.size() == mapped.voxels.size());
  for (std::size_t i = 0; i < mapped.voxels.size(); ++i) {
    CHECK(placed.voxels[i] == Approx(mapped.voxels[i]).margin(1e-5));
  }
}

TEST_CASE("cropping and padding keep the middle, and what is padded is 0") {
  const Volume volume = random_volume({6, 5, 4}, kOblique);
  PreprocessOptions options = plain();
  options.shape = {4, 9, 4};
  const PreparedImage out = prepare_image(volume, options);
  REQUIRE(out.packed.shape == Shape3{4, 9, 4});
  for (std::int64_t h = 0; h < 9; ++h) {
    const float expected = h < 2 || h > 6 ? 0.0F : at(volume.voxels, volume.grid.shape, 2, h - 2, 3);
    CHECK(at(out.voxels, out.packed.shape, 1, h, 3) == expected);
  }
  LabelVolume labels;
  labels.grid = volume.grid;
  for (const float voxel : volume.voxels) {
    labels.labels.push_back(static_cast<std::int32_t>(1000.0F * voxel) + 1);
  }
  const auto packed = prepare_labels(labels, map_to_packed_grid(volume, options));
  for (std::size_t i = 0; i < packed.size(); ++i) {
    CHECK(packed[i] == (out.voxels[i] == 0.0F ? 0 : static_cast<std::int32_t>(1000.0F * out.voxels[i]) + 1));
  }
}

TEST_CASE("the crop follows the foreground, also on a reversed axis") {
  Volume volume = random_volume({20, 10, 10}, identity_affine());
  std::fill(volume.voxels.begin(), volume.voxels.end(), 0.0F);
  for (const std::int64_t d : {14, 18}) {
    volume.voxels[static_cast<std::size_t>((d * 10 + 5) * 10 + 5)] = 0.5F + 0.01F * static_cast<float>(d);
  }
  PreprocessOptions options = plain();
  options.center = "foreground";
  options.shape = {5, 3, 3};
  options.orientation = GENERATE("RAS", "LAS");
  const PreparedImage out = prepare_image(volume, options);
  const bool flipped = options.orientation == "LAS";
  CHECK(at(out.voxels, out.packed.shape, flipped ? 4 : 0, 1, 1) == 0.5F + 0.14F);
  CHECK(at(out.voxels, out.packed.shape, flipped ? 0 : 4, 1, 1) == 0.5F + 0.18F);
  options.foreground_above = 5.0;
  CHECK(error_text([&] { prepare_image(volume, options); }).find("no voxel is above 5") != std::string::npos);
}

TEST_CASE("percentiles are numpy's, and uint8 voxels are multiples of 1/255") {
  Volume volume = random_volume({1, 1, 11}, identity_affine());
  for (std::size_t i = 0; i < 11; ++i) {
    volume.voxels[i] = static_cast<float>((7 * i) % 11) * 10.0F;  // 0, 10 .. 100 in another order
  }
  PreprocessOptions options;
  options.intensity.low = 5;
  options.intensity.high = 92.5;
  const PreparedImage out = prepare_image(volume, options);
  CHECK(out.low == Approx(5.0));
  CHECK(out.high == Approx(92.5));
  const auto bytes = to_uint8(out.voxels);
  for (std::size_t i = 0; i < 11; ++i) {
    const double expected = std::clamp((double{volume.voxels[i]} - 5.0) / 87.5, 0.0, 1.0);
    CHECK(std::abs(static_cast<double>(bytes[i]) - 255.0 * expected) <= 0.5 + 1e-3);
    CHECK(out.voxels[i] == static_cast<float>(bytes[i]) / 255.0F);
  }
}

TEST_CASE("z-scores and percentiles of the foreground leave the background out") {
  Volume volume = random_volume({1, 1, 6}, identity_affine());
  volume.voxels = {-5, 0, 0, 2, 4, 6};
  PreprocessOptions options;
  options.intensity = {"zscore", -1, 2, "foreground"};
  const PreparedImage scored = prepare_image(volume, options);
  const double deviation = std::sqrt(8.0 / 3.0);  // of 2, 4, 6
  CHECK(scored.low == Approx(4.0 - deviation));
  CHECK(scored.high == Approx(4.0 + 2.0 * deviation));
  CHECK(scored.voxels[0] == 0.0F);
  CHECK(std::abs(double{scored.voxels[4]} - 1.0 / 3.0) <= 0.5 / 255.0 + 1e-6);
  options.intensity = {"percentile", 0, 100, "foreground"};
  const PreparedImage ranged = prepare_image(volume, options);
  CHECK(ranged.low == 2.0);
  CHECK(ranged.high == 6.0);
}

TEST_CASE("volumes that cannot be scaled are refused by name") {
  Volume volume = random_volume({4, 4, 4}, identity_affine());
  PreprocessOptions options;
  const auto text = [&] { return error_text([&] { prepare_image(volume, options); }); };
  options.intensity.kind = "none";
  volume.voxels[5] = 1.5F;
  CHECK(text() == "x.nii: voxel value 1.5, 0..1 allowed for uint8 without scaling (preprocess.intensity.kind none)");
  options.intensity.kind = "percentile";
  options.intensity.high = 50;
  std::fill(volume.voxels.begin(), volume.voxels.end(), 2.0F);
  volume.voxels[5] = 3.0F;
  CHECK(text() == "x.nii: intensity: percentiles 0 and 50 are both 2: nothing to scale");
  volume.voxels[5] = 2.0F;
  CHECK(text() == "x.nii: constant: every voxel is 2");
}

TEST_CASE("options that contradict themselves are refused") {
  PreprocessOptions options;
  const auto text = [&] { return error_text([&] { validate(options); }); };
  CHECK(text().empty());
  options.orientation = "RRS";
  CHECK(text().find("/preprocess/orientation: 'RRS'") != std::string::npos);
  options = {};
  options.shape = {10, 10};
  CHECK(text().find("/preprocess/shape: 2 numbers, 0 or 3 expected") != std::string::npos);
  options = {};
  options.intensity.low = 100;
  CHECK(text().find("low 100 is not below high 99.9") != std::string::npos);
  options = {};
  options.intensity.kind = "zscore";
  CHECK(text().find("zscore from 0 to 99.9 standard deviations, -20..20 allowed") != std::string::npos);
  options = {};
  options.modalities = {{"ct", {{"kind", "window"}, {"low", 4}, {"high", 3}}}};
  CHECK(text().find("/preprocess/modalities/ct: low 4 is not below high 3") != std::string::npos);
}
