// Scans are put through known affines, with another contrast, noise, a bias field and a part of the field of view cut
// off, and must be found again. REGATTA_AFFINE_CASES sets the number of cases on real scans (100 by command).
#include "regatta/volume/affine_registration.hpp"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <numbers>

#include "regatta/base/error.hpp"
#include "regatta/base/random.hpp"
#include "regatta/base/text.hpp"
#include "regatta/volume/resample.hpp"
#include "regatta/volume/volume_file.hpp"
#include "support/catch.hpp"
#include "support/temporary_folder.hpp"

namespace regatta {
namespace {

/// A head made of ellipsoids: no two axes alike, no mirror symmetry.
Volume phantom(const Shape3& shape, double spacing) {
  Volume volume;
  volume.source = "phantom";
  volume.grid.shape = shape;
  volume.grid.affine = {spacing, 0, 0, -40, 0, spacing, 0, -50, 0, 0, spacing, -30, 0, 0, 0, 1};
  struct Blob {
    Point3 at, radius;
    double value;
  };
  const std::vector<Blob> blobs = {
      {{0.50, 0.50, 0.50}, {0.38, 0.44, 0.40}, 0.5}, {{0.45, 0.62, 0.55}, {0.12, 0.10, 0.2}, 0.4},
      {{0.62, 0.40, 0.42}, {0.10, 0.16, 0.08}, 0.3}, {{0.35, 0.38, 0.60}, {0.08, 0.07, 0.09}, -0.3},
      {{0.55, 0.75, 0.40}, {0.06, 0.08, 0.07}, 0.5}, {{0.60, 0.55, 0.70}, {0.09, 0.05, 0.06}, -0.2}};
  volume.voxels.resize(static_cast<std::size_t>(voxel_count(shape)));
  std::size_t index = 0;
  for (std::int64_t d = 0; d < shape[0]; ++d) {
    for (std::int64_t h = 0; h < shape[1]; ++h) {
      for (std::int64_t w = 0; w < shape[2]; ++w, ++index) {
        const Point3 p = {(static_cast<double>(d) + 0.5) / static_cast<double>(shape[0]),
                          (static_cast<double>(h) + 0.5) / static_cast<double>(shape[1]),
                          (static_cast<double>(w) + 0.5) / static_cast<double>(shape[2])};
        double value = 0.0;
        for (const Blob& blob : blobs) {
          double r = 0.0;
          for (std::size_t i = 0; i < 3; ++i) {
            const double x = (p[i] - blob.at[i]) / blob.radius[i];
            r += x * x;
          }
          value += r < 1.0 ? blob.value : 0.0;
        }
        volume.voxels[index] = static_cast<float>(std::max(value, 0.0));
      }
    }
  }
  return volume;
}

/// Up to 20 degrees about any axis, 15 % along each, 20 mm, about the middle of the grid.
Affine random_affine(const Grid& grid, const CounterRng& rng, std::uint64_t number) {
  const auto draw = [&](std::uint32_t which) { return 2.0 * rng.uniform(number, which) - 1.0; };
  Point3 axis = {draw(0), draw(1), draw(2)};
  const double length = std::hypot(axis[0], axis[1], axis[2]) + 1e-9;
  const double angle = 20.0 * draw(3) * std::numbers::pi / 180.0;
  const double c = std::cos(angle);
  const double s = std::sin(angle);
  const double x = axis[0] / length;
  const double y = axis[1] / length;
  const double z = axis[2] / length;
  const Affine turn = {c + x * x * (1 - c),
                       x * y * (1 - c) - z * s,
                       x * z * (1 - c) + y * s,
                       0,
                       y * x * (1 - c) + z * s,
                       c + y * y * (1 - c),
                       y * z * (1 - c) - x * s,
                       0,
                       z * x * (1 - c) - y * s,
                       z * y * (1 - c) + x * s,
                       c + z * z * (1 - c),
                       0,
                       0,
                       0,
                       0,
                       1};
  const Affine scale = {
      1 + 0.15 * draw(4), 0, 0, 0, 0, 1 + 0.15 * draw(5), 0, 0, 0, 0, 1 + 0.15 * draw(6), 0, 0, 0, 0, 1};
  Affine all = multiply(turn, scale);
  const Point3 middle = map_point(
      grid.affine, {0.5 * static_cast<double>(grid.shape[0] - 1), 0.5 * static_cast<double>(grid.shape[1] - 1),
                    0.5 * static_cast<double>(grid.shape[2] - 1)});
  const Point3 shifted = map_vector(all, middle);
  for (std::size_t i = 0; i < 3; ++i) {
    all[4 * i + 3] = middle[i] - shifted[i] + 20.0 * draw(static_cast<std::uint32_t>(7 + i));
  }
  return all;
}

/// The scan as another scanner would have seen it after the patient moved: true map fixed_to_moving.
Volume distort(const Volume& fixed, const Affine& fixed_to_moving, const CounterRng& rng, std::uint64_t number) {
  const auto draw = [&](std::uint32_t which) { return rng.uniform(number, which); };
  // The moving grid is the fixed one with up to 15 % cut off on one side of one axis.
  Volume moving;
  moving.source = "moving";
  moving.grid = fixed.grid;
  const auto cut_axis = static_cast<std::size_t>(3.0 * draw(20));
  const auto cut = static_cast<std::int64_t>(0.15 * draw(21) * static_cast<double>(fixed.grid.shape[cut_axis]));
  moving.grid.shape[cut_axis] -= cut;
  if (draw(22) < 0.5) {
    Point3 first{};
    first[cut_axis] = static_cast<double>(cut);
    const Point3 origin = map_point(fixed.grid.affine, first);
    for (std::size_t i = 0; i < 3; ++i) {
      moving.grid.affine[4 * i + 3] = origin[i];
    }
  }
  Grid source = fixed.grid;  // where the fixed voxels lie after the movement
  source.affine = multiply(fixed_to_moving, fixed.grid.affine);
  moving.voxels = resample_to_grid(fixed.voxels, source, moving.grid, Interpolation::kLinear);
  const float top = *std::max_element(fixed.voxels.begin(), fixed.voxels.end());
  const double gamma = 0.7 + 0.8 * draw(23);
  const Point3 slope = {0.6 * (draw(24) - 0.5), 0.6 * (draw(25) - 0.5), 0.6 * (draw(26) - 0.5)};
  const double noise = 0.03 + 0.03 * draw(27);
  std::size_t index = 0;
  const Shape3& shape = moving.grid.shape;
  for (std::int64_t d = 0; d < shape[0]; ++d) {
    for (std::int64_t h = 0; h < shape[1]; ++h) {
      for (std::int64_t w = 0; w < shape[2]; ++w, ++index) {
        const Point3 p = {static_cast<double>(d) / static_cast<double>(shape[0]) - 0.5,
                          static_cast<double>(h) / static_cast<double>(shape[1]) - 0.5,
                          static_cast<double>(w) / static_cast<double>(shape[2]) - 0.5};
        const double bias =
            std::exp(slope[0] * p[0] + slope[1] * p[1] + slope[2] * p[2] - 1.2 * slope[0] * p[1] * p[1]);
        const double clean = std::max(0.0, static_cast<double>(moving.voxels[index]) / top);
        const double grain = rng.uniform(number * 100000000 + index, 30) - 0.5;
        moving.voxels[index] = static_cast<float>(1000.0 * (std::pow(clean, gamma) * bias + 3.5 * noise * grain));
      }
    }
  }
  return moving;
}

/// Mean distance over the foreground of the fixed scan, in voxels of the moving one.
double mean_error(const Volume& fixed, const Affine& found, const Affine& truth, const Grid& moving) {
  const Affine to_voxels = invert(moving.affine);
  double sum = 0.0;
  double count = 0.0;
  std::size_t index = 0;
  for (std::int64_t d = 0; d < fixed.grid.shape[0]; ++d) {
    for (std::int64_t h = 0; h < fixed.grid.shape[1]; ++h) {
      for (std::int64_t w = 0; w < fixed.grid.shape[2]; ++w, ++index) {
        if (fixed.voxels[index] <= 0.0F) {
          continue;
        }
        const Point3 x =
            map_point(fixed.grid.affine, {static_cast<double>(d), static_cast<double>(h), static_cast<double>(w)});
        const Point3 a = map_point(to_voxels, map_point(found, x));
        const Point3 b = map_point(to_voxels, map_point(truth, x));
        sum += std::hypot(a[0] - b[0], a[1] - b[1], a[2] - b[2]);
        ++count;
      }
    }
  }
  return sum / count;
}

/// @return cases found again to below one voxel
int recovered(const Volume& fixed, int cases, std::uint64_t seed) {
  const CounterRng rng(seed, RandomPurpose::kSynthetic);
  int good = 0;
  std::vector<double> errors;
  for (int i = 0; i < cases; ++i) {
    const Affine truth = random_affine(fixed.grid, rng, static_cast<std::uint64_t>(i));
    const Volume moving = distort(fixed, truth, rng, static_cast<std::uint64_t>(i));
    const AffineRegistration found = register_affine(fixed, moving);
    const double error = mean_error(fixed, found.fixed_to_moving, truth, moving.grid);
    std::cout << fixed.source << " case " << i << ": mean error " << error << " voxels, ncc " << found.ncc_before
              << " -> " << found.ncc_after << ", overlap " << found.overlap << ", " << found.iterations
              << " iterations\n";
    errors.push_back(error);
    good += error < 1.0 ? 1 : 0;
    CHECK((error >= 1.0 || alignment_doubt(found.ncc_after, found.fixed_to_moving).empty()));
  }
  std::sort(errors.begin(), errors.end());
  std::cout << fixed.source << ": " << good << " of " << cases << " below one voxel, median "
            << errors[errors.size() / 2] << ", worst " << errors.back() << " voxels\n";
  return good;
}

TEST_CASE("known affines of a phantom are found again") {
  CHECK(recovered(phantom({56, 64, 48}, 2.0), 2, 5) == 2);
}

TEST_CASE("known affines of a real scan are found again, under gamma, noise, a bias field and a cropped view") {
  const auto path = test::real_data_folder() / "oasis_brain_a.nii.gz";
  if (!std::filesystem::exists(path)) {
    REGATTA_SKIP("oasis_brain_a.nii.gz");
  }
  Volume scan = read_volume(path);
  scan.source = path.filename().string();
  const char* text = std::getenv("REGATTA_AFFINE_CASES");
  const int cases = text == nullptr ? 3 : std::stoi(text);
  CHECK(recovered(scan, cases, 11) >= cases - cases / 20);
}

TEST_CASE("a head turned by half a circle is not found, and is named doubtful, though the outlines agree") {
  const auto path = test::real_data_folder() / "oasis_brain_a.nii.gz";
  if (!std::filesystem::exists(path)) {
    REGATTA_SKIP("oasis_brain_a.nii.gz");
  }
  const Volume fixed = read_volume(path);
  const Affine turn = {-1, 0, 0, 0, 0, -1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1};
  Volume moving = fixed;
  moving.grid.affine = multiply(turn, fixed.grid.affine);
  const AffineRegistration found = register_affine(fixed, moving);
  CHECK(mean_error(fixed, found.fixed_to_moving, turn, moving.grid) > 20.0);
  CHECK_THAT(alignment_doubt(found.ncc_after, found.fixed_to_moving), Catch::Contains("local correlation"));
}

TEST_CASE("alignments that mirror or swell are doubtful whatever they correlate") {
  const Affine mirrored = {-1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1};
  const Affine swollen = {3, 0, 0, 0, 0, 2, 0, 0, 0, 0, 2, 0, 0, 0, 0, 1};
  CHECK(alignment_doubt(0.9, identity_affine()).empty());
  CHECK_THAT(alignment_doubt(0.9, mirrored), Catch::Contains("it is a reflection"));
  CHECK(alignment_doubt(0.9, swollen) == "volumes times 12.000, expected 0.125..8");
  CHECK(alignment_doubt(0.4, identity_affine()) == "local correlation 0.400, expected above 0.5");
}

TEST_CASE("the number of threads does not change a bit") {
  const Volume fixed = phantom({40, 48, 36}, 3.0);
  const CounterRng rng(3, RandomPurpose::kSynthetic);
  const Volume moving = distort(fixed, random_affine(fixed.grid, rng, 0), rng, 0);
  CHECK(register_affine(fixed, moving, 1).fixed_to_moving == register_affine(fixed, moving, 3).fixed_to_moving);
}

TEST_CASE("a constant scan has no foreground") {
  Volume flat = phantom({20, 20, 20}, 4.0);
  const Volume fixed = flat;
  std::fill(flat.voxels.begin(), flat.voxels.end(), 1.0F);
  flat.source = "flat.nii.gz";
  CHECK_THROWS_WITH(register_affine(fixed, flat), Catch::Contains("flat.nii.gz: no foreground"));
}

}  // namespace
}  // namespace regatta
