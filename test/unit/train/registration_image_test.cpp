// The record of a registration speaks of the image that its field makes, for networks with published sampling too.
#include "regatta/train/registration.hpp"

#include <cmath>

#include <nlohmann/json.hpp>

#include "regatta/volume/resample.hpp"
#include "support/catch.hpp"

namespace regatta::test {
namespace {

/// A smooth blob with 0 at its borders, 1 mm.
Volume blob(double shift) {
  Volume volume;
  volume.grid.shape = {32, 64, 32};
  volume.grid.affine = identity_affine();
  volume.affine_source = "sform";
  volume.source = "blob";
  const auto bump = [](double x, double size) { return std::pow(std::sin(3.14159265 * x / (size - 1.0)), 2); };
  for (std::int64_t d = 0; d < 32; ++d) {
    for (std::int64_t h = 0; h < 64; ++h) {
      for (std::int64_t w = 0; w < 32; ++w) {
        const auto x = static_cast<double>(d);
        const auto y = static_cast<double>(h);
        const auto z = static_cast<double>(w);
        const double wave = 0.5 + 0.5 * std::sin(0.9 * x + 0.7 * y + 0.8 * z + shift);
        volume.voxels.push_back(static_cast<float>(bump(x, 32) * bump(y, 64) * bump(z, 32) * wave));
      }
    }
  }
  return volume;
}

double mean_square(const std::vector<float>& a, const std::vector<float>& b) {
  double sum = 0.0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    sum += std::pow(static_cast<double>(a[i]) - static_cast<double>(b[i]), 2);
  }
  return sum / static_cast<double>(a.size());
}

TrainedModel untrained(const std::string& name, const Json& options) {
  TrainedModel trained;
  trained.recipe.model.name = name;
  trained.recipe.model.options = options;
  trained.recipe.validation.metrics = {"mse"};
  trained.preprocess.shape = {32, 64, 32};
  trained.preprocess.spacing_mm = {1.0, 1.0, 1.0};
  trained.preprocess.intensity.kind = "none";
  trained.preprocess.type = "float32";
  trained.model = make_model(name, options);
  trained.model->parameters().initialise(4);
  return trained;
}

}  // namespace

TEST_CASE("the measured, the returned and the written image are one, where a network samples on a shifted grid too") {
  const Json swin = {{"embed_dim", 4}, {"depths", {1, 1, 1, 1}}, {"heads", {1, 1, 2, 2}}, {"window", {2, 2, 2}}};
  const Volume fixed = blob(0.0);
  const Volume moving = blob(0.4);
  for (const auto& [name, option] :
       {std::pair("transmorph", "shifted_grid"), std::pair("transmorph-bspl", "reference")}) {
    double plain = 0.0;
    for (const bool published : {false, true}) {
      INFO(name << ' ' << option << ' ' << published);
      Json options = swin;
      options[option] = published;
      TrainedModel trained = untrained(name, options);
      const Registration found = register_scans(trained, fixed, moving, "cpu");
      const std::vector<float> written =
          warp_with_field(moving.voxels, moving.grid, found.field, fixed.grid, Interpolation::kLinear);
      const double measured = found.after.at("mse");
      CHECK(mean_square(written, fixed.voxels) == Approx(measured).epsilon(1e-4));
      CHECK(mean_square(found.packed_warped, fixed.voxels) == Approx(measured).epsilon(1e-4));
      CHECK(mean_square(written, found.packed_warped) < 1e-8);
      CHECK((!published || std::abs(measured / plain - 1.0) > 0.01));  // the shift is to be seen in the figure
      plain = measured;
    }
  }
}

}  // namespace regatta::test
