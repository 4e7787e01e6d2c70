// Validation measures time and memory only where they are asked for.
#include "regatta/train/evaluator.hpp"

#include <cmath>

#include "scene.hpp"
#include "support/catch.hpp"
#include "support/temporary_folder.hpp"

namespace regatta::test {
namespace {

Evaluation evaluate_scene(const std::vector<std::string>& metrics) {
  const TemporaryFolder folder;
  const Recipe recipe = scene_recipe(write_scene(folder.path()));
  const Archive archive = Archive::open(recipe.data.archive);
  const Dataset data = Dataset::load(archive, {{recipe.data.val_split}, "", ""}, at::Device(at::kCPU));
  const auto model = make_model(recipe.model.name, recipe.model.options);
  Inference inference(*model, Backend::kReference);
  const auto evaluation = Evaluator(metrics).evaluate(inference, data, data.pairs(recipe.data.val_split));
  REQUIRE(evaluation.has_value());
  return *evaluation;
}

}  // namespace

TEST_CASE("the runtime of each pair is measured when it is asked for; memory only on a GPU") {
  const Evaluation timed = evaluate_scene({"dice", "runtime", "memory"});
  CHECK(timed.means.at("runtime") > 0.0);
  CHECK(timed.means.at("runtime") < 60.0);
  CHECK(std::isnan(timed.means.at("memory")));
  CHECK(timed.pairs.front().values.contains("dice/1"));
}

}  // namespace regatta::test
