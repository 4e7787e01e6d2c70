// Two scans through a network that has learnt nothing (fields below a hundredth of a voxel): what is left is where the
// moving scan was put.
#include "regatta/train/registration.hpp"

#include <algorithm>
#include <cmath>

#include "regatta/base/error.hpp"
#include "regatta/volume/resample.hpp"
#include "support/catch.hpp"
#include "support/head.hpp"

namespace regatta {
namespace {

using test::cut;
using test::head;
using test::turned_grid;

TrainedModel untrained() {
  TrainedModel trained;
  trained.model = make_model("voxelmorph-custom", {{"encoder", {4, 4, 4, 4}}, {"decoder", {4, 4, 4, 4, 4, 4, 4}}});
  trained.model->parameters().initialise(1);
  trained.preprocess.spacing_mm = {4, 4, 4};
  trained.preprocess.shape = {48, 48, 48};
  trained.preprocess.type = "float32";
  trained.recipe.validation.metrics = {"mse"};
  return trained;
}

/// Mean length of a field, mm.
double mean_length(const Registration& found, const Grid& fixed) {
  const auto voxels = static_cast<std::size_t>(voxel_count(fixed.shape));
  double sum = 0.0;
  for (std::size_t i = 0; i < voxels; ++i) {
    const Point3 u = map_vector(
        fixed.affine, {double{found.field[i]}, double{found.field[voxels + i]}, double{found.field[2 * voxels + i]}});
    sum += std::hypot(u[0], u[1], u[2]);
  }
  return sum / static_cast<double>(voxels);
}

/// Mean difference of the moving scan seen through the field from the fixed scan, where it has voxels.
double mean_difference(const Registration& found, const Volume& fixed, const Volume& moving) {
  const auto warped =
      warp_with_field(moving.voxels, found.moving_grid, found.field, fixed.grid, Interpolation::kLinear, -1.0F);
  double sum = 0.0;
  double count = 0.0;
  for (std::size_t i = 0; i < warped.size(); ++i) {
    if (warped[i] >= 0.0F) {
      sum += std::abs(double{warped[i]} - double{fixed.voxels[i]});
      ++count;
    }
  }
  return sum / count;
}

}  // namespace

TEST_CASE("one head cut at two places: 0 mm of displacement, not the 24 mm between their middles") {
  TrainedModel trained = untrained();
  const Volume whole = head({48, 48, 44}, 4.0);
  const Volume fixed = cut(whole, 0, 0, 42);
  const Volume moving = cut(whole, 0, 6, 48);
  const Registration found = register_scans(trained, fixed, moving, "cpu");
  CHECK(found.placement.rule == "physical");
  CHECK(mean_length(found, fixed.grid) < 0.02);
  CHECK(mean_difference(found, fixed, moving) < 1e-4);
  CHECK(found.before.at("mse") < 0.01);  // the moving scan lacks 6 slices
  const Registration centred = register_scans(trained, fixed, moving, "cpu", false, "centre");
  CHECK(mean_length(centred, fixed.grid) == Approx(24.0).margin(0.1));
  CHECK(centred.before.at("mse") > 4.0 * found.before.at("mse"));
}

TEST_CASE("an oblique scan of one head: 0 mm of displacement, and its field leads to the same places") {
  TrainedModel trained = untrained();
  const Volume fixed = head({48, 48, 44}, 4.0);
  Volume moving = fixed;
  moving.grid = turned_grid(fixed.grid, 18.0, {10.0, -14.0, 6.0});
  moving.voxels = resample_to_grid(fixed.voxels, fixed.grid, moving.grid, Interpolation::kLinear);
  const Registration found = register_scans(trained, fixed, moving, "cpu");
  CHECK(found.placement.rule == "physical");
  CHECK(mean_length(found, fixed.grid) < 0.02);
  CHECK(mean_difference(found, fixed, moving) < 0.02);
  CHECK(mean_length(register_scans(trained, fixed, moving, "cpu", false, "centre"), fixed.grid) > 25.0);
}

TEST_CASE("a scan without a space gets the fixed one's: its field is not 100 mm long") {
  TrainedModel trained = untrained();
  const Volume fixed = head({48, 48, 44}, 4.0);
  Volume moving = fixed;
  moving.affine_source = "none";
  moving.grid.affine = {4, 0, 0, 0, 0, 4, 0, 0, 0, 0, 4, 0, 0, 0, 0, 1};
  const Registration found = register_scans(trained, fixed, moving, "cpu");
  CHECK(found.placement.rule == "centre");
  CHECK_FALSE(found.placement.common_space);
  CHECK(mean_length(found, fixed.grid) < 0.02);
  CHECK(same_grid(fixed.grid.affine, found.moving_grid.affine, fixed.grid.shape));
  CHECK(mean_difference(found, fixed, moving) < 1e-4);
  CHECK_THROWS_WITH(register_scans(trained, fixed, moving, "cpu", false, "physical"),
                    Catch::Contains("--initial physical: head does not say where"));
}

TEST_CASE("an alignment of scans that are far apart replaces their place, and the field holds both") {
  TrainedModel trained = untrained();
  const Volume fixed = head({48, 48, 44}, 4.0);
  Volume moving = fixed;
  moving.grid.affine[3] += 100.0;
  const Registration found = register_scans(trained, fixed, moving, "cpu", true);
  CHECK(found.placement.rule == "affine");
  CHECK(found.placement.overlap > 0.95);
  CHECK(mean_length(found, fixed.grid) == Approx(100.0).margin(1.0));
  CHECK(mean_difference(found, fixed, moving) < 0.02);
}

}  // namespace regatta
