// Where the moving scan lies before it is registered: where the headers say, else about the middles or foregrounds.
#include "regatta/volume/placement.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "regatta/base/error.hpp"
#include "regatta/volume/resample.hpp"
#include "support/catch.hpp"
#include "support/head.hpp"

using namespace regatta;
using regatta::test::cut;
using regatta::test::head;
using regatta::test::turned_grid;

namespace {

PreprocessOptions options_for(const Shape3& shape) {
  PreprocessOptions options;
  options.spacing_mm = {2, 2, 2};
  options.shape = {static_cast<int>(shape[0]), static_cast<int>(shape[1]), static_cast<int>(shape[2])};
  options.type = "float32";
  return options;
}

double overlap(const Placement& placement, const std::string& rule) {
  for (const auto& [name, value] : placement.overlaps) {
    if (name == rule) {
      return value;
    }
  }
  return -1.0;
}

/// Largest difference of the packed images where both scans have voxels.
double difference(const Volume& fixed, const Volume& moving, const PreprocessOptions& options,
                  const Placement& placement) {
  const PreparedImage a = prepare_image(fixed, options);
  const PreparedImage b = prepare_moving(moving, a.packed, placement, options, options.intensity);
  const std::vector<float> ones(moving.voxels.size(), 1.0F);
  const Grid at = {a.packed.shape, multiply(placement.fixed_to_moving, a.packed.affine)};
  const auto seen = resample_to_grid(ones, moving.grid, at, Interpolation::kNearest);
  const std::vector<float> all(fixed.voxels.size(), 1.0F);
  const auto seen_fixed = resample_to_grid(all, fixed.grid, a.packed, Interpolation::kNearest);
  double most = 0.0;
  for (std::size_t i = 0; i < a.voxels.size(); ++i) {
    if (seen[i] > 0.0F && seen_fixed[i] > 0.0F) {
      most = std::max(most, std::abs(double{a.voxels[i]} - double{b.voxels[i]}));
    }
  }
  return most;
}

}  // namespace

TEST_CASE("one head cut at two places lies where its headers say: no voxel differs") {
  const Volume whole = head({80, 96, 70}, 2.0);
  const Volume fixed = cut(whole, 0, 0, 70);
  const Volume moving = cut(whole, 0, 10, 80);
  const PreprocessOptions options = options_for({80, 96, 80});
  const Placement found = place_moving(fixed, moving, options);
  CHECK(found.rule == "physical");
  CHECK(found.common_space);
  CHECK(found.fixed_to_moving == identity_affine());
  CHECK(found.overlap > 0.99);
  CHECK(overlap(found, "centre") < 0.9);  // 20 mm off
  CHECK(placement_doubt(found).empty());
  CHECK(difference(fixed, moving, options, found) == 0.0);
  const Placement centred = place_moving(fixed, moving, options, "centre");
  CHECK(centred.rule == "centre");
  CHECK(centred.fixed_to_moving[3] == Approx(20.0));
  CHECK(difference(fixed, moving, options, centred) > 0.4);
}

TEST_CASE("an oblique scan is turned to the fixed one's axes, as its header says") {
  const Volume fixed = head({80, 96, 70}, 2.0);
  Volume moving = fixed;
  moving.grid = turned_grid(fixed.grid, 20.0, {6.0, -9.0, 4.0});
  moving.voxels = resample_to_grid(fixed.voxels, fixed.grid, moving.grid, Interpolation::kLinear);
  const PreprocessOptions options = options_for({80, 96, 80});
  const Placement found = place_moving(fixed, moving, options);
  CHECK(found.rule == "physical");
  CHECK(found.overlap > 0.97);
  CHECK(overlap(found, "centre") < found.overlap);
  const PreparedImage a = prepare_image(fixed, options);
  const auto mean_difference = [&](const Placement& placement) {
    const PreparedImage b = prepare_moving(moving, a.packed, placement, options, options.intensity);
    double sum = 0.0;
    for (std::size_t i = 0; i < a.voxels.size(); ++i) {
      sum += std::abs(double{a.voxels[i]} - double{b.voxels[i]});
    }
    return sum / static_cast<double>(a.voxels.size());
  };
  CHECK(mean_difference(found) < 0.25 * mean_difference(place_moving(fixed, moving, options, "centre")));
}

TEST_CASE("scans of two persons in scanner coordinates far apart are put by their foregrounds, which is said") {
  const Volume fixed = head({80, 96, 70}, 2.0);
  Volume moving = head({80, 96, 70}, 2.0, 1.1);
  for (const double shift : {60.0, 600.0}) {
    moving.grid.affine[3] = fixed.grid.affine[3] + shift;
    const Placement found = place_moving(fixed, moving, options_for({80, 96, 80}));
    CHECK(found.rule == "foreground");
    CHECK(found.overlap > 0.85);
    CHECK(found.fixed_to_moving[3] == Approx(shift).margin(4.0));
    const Placement asked = place_moving(fixed, moving, options_for({80, 96, 80}), "physical");
    CHECK(asked.rule == "physical");
    CAPTURE(asked.overlap, found.overlap);
    if (shift > 100.0) {
      CHECK(asked.overlap == 0.0);
      CHECK_THAT(placement_doubt(asked),
                 Catch::Contains("foregrounds overlap 0.00, expected at least 0.5; --initial "));
    }
  }
  moving.grid.affine[3] = fixed.grid.affine[3] + 6.0;  // near enough: the headers are believed
  CHECK(place_moving(fixed, moving, options_for({80, 96, 80})).rule == "physical");
}

TEST_CASE("scans without a common space lie about their middles, in the fixed scan's space") {
  const Volume fixed = head({80, 96, 70}, 2.0);
  Volume moving = head({80, 96, 70}, 2.0);
  moving.affine_source = "none";
  moving.grid.affine = {0, 0, 2, 0, 0, 2, 0, 0, 2, 0, 0, 0, 0, 0, 0, 1};  // other axes, no place
  moving.grid.shape = {70, 96, 80};
  for (std::int64_t d = 0; d < 70; ++d) {
    for (std::int64_t h = 0; h < 96; ++h) {
      for (std::int64_t w = 0; w < 80; ++w) {
        moving.voxels[static_cast<std::size_t>((d * 96 + h) * 80 + w)] =
            fixed.voxels[static_cast<std::size_t>((w * 96 + h) * 70 + d)];
      }
    }
  }
  const PreprocessOptions options = options_for({80, 96, 80});
  moving.grid.affine = affine_in_space_of(fixed, moving, options);
  CHECK(map_point(moving.grid.affine, {34.5, 47.5, 39.5})[0] ==
        Approx(map_point(fixed.grid.affine, {39.5, 47.5, 34.5})[0]));
  const Placement found = place_moving(fixed, moving, options);
  CHECK(found.rule == "centre");
  CHECK_FALSE(found.common_space);
  CHECK(overlap(found, "physical") == -1.0);
  CHECK(found.overlap > 0.99);
  for (std::size_t i = 0; i < 16; ++i) {
    CHECK(found.fixed_to_moving[i] == Approx(identity_affine()[i]).margin(1e-9));
  }
  CHECK(difference(fixed, moving, options, found) < 1e-6);
  CHECK_THROWS_WITH(place_moving(fixed, moving, options, "physical"), Catch::Contains("does not say where"));
}

TEST_CASE("fields of view that share too little of a foreground do not count as overlapping") {
  const Volume whole = head({80, 96, 70}, 2.0);
  const Foreground left = foreground_of(cut(whole, 0, 0, 42));
  const Foreground right = foreground_of(cut(whole, 0, 39, 80));
  CHECK(overlap_of(left, right, identity_affine()) == 0.0);  // 6 mm of 120 are in both
  const Foreground most = foreground_of(cut(whole, 0, 20, 80));
  CHECK(overlap_of(left, most, identity_affine()) > 0.95);
}

TEST_CASE("a packed grid along a scan's axes is a map of its voxels, a turned one is not") {
  const Grid source = {{20, 24, 18}, {0, 0, 1.5, -10, -1.2, 0, 0, 30, 0, 2.0, 0, 5, 0, 0, 0, 1}};
  const Affine to = {0, -1, 0, 22, 0, 0, 2, -3, 1, 0, 0, 4, 0, 0, 0, 1};  // turned, reversed, another spacing, moved
  const Grid packed = {{20, 20, 20}, multiply(source.affine, to)};
  const auto map = map_along_axes(source, packed);
  REQUIRE(map);
  CHECK(map->axis == std::array<int, 3>{2, 0, 1});
  const std::array<double, 3> start = {4.0, 22.0, -3.0};
  const std::array<double, 3> step = {1.0, -1.0, 2.0};
  for (std::size_t axis = 0; axis < 3; ++axis) {
    CHECK(map->start[axis] == Approx(start[axis]));
    CHECK(map->step[axis] == Approx(step[axis]));
  }
  CHECK_FALSE(map_along_axes(source, turned_grid(packed, 0.5, {0, 0, 0})));
  CHECK(map_along_axes(source, turned_grid(packed, 1e-4, {0, 0, 0})));  // what headers lose to rounding
}

TEST_CASE("the background of a scan is what it shows most often around the object") {
  Volume scan = head({40, 48, 36}, 4.0);
  CHECK(background_of(scan) == 0.0F);
  for (float& voxel : scan.voxels) {
    voxel = voxel > 0.0F ? 1000.0F * voxel - 200.0F : -1000.0F;
  }
  for (std::size_t i = 0; i < scan.voxels.size(); i += 37) {
    scan.voxels[i] = -1024.0F;  // a few voxels below it
  }
  CHECK(background_of(scan) == -1000.0F);
}
