// Which backend runs where.
#include "regatta/train/backend_choice.hpp"

#include "regatta/base/error.hpp"
#include "regatta/config/baseline.hpp"
#include "regatta/train/memory_forecast.hpp"
#include "support/catch.hpp"

using namespace regatta;

TEST_CASE("the fast backend is refused where it cannot run, and auto goes by reference there") {
  const at::Device cpu(at::kCPU);
  CHECK(choose_backend("auto", cpu) == Backend::kReference);
  CHECK(choose_backend("reference", cpu) == Backend::kReference);
  CHECK_THROWS_WITH(choose_backend("fast", cpu),
                    "/run/backend: fast, but the device is not a GPU; auto and reference run here");
  CHECK_THROWS_AS(choose_backend("fast", cpu), DeviceError);
  CHECK_THROWS_WITH(choose_backend("quick", cpu), Catch::Contains("have: auto, fast, reference"));
}

TEST_CASE("the first attempt decides the backend of those that continue it") {
  const at::Device cpu(at::kCPU);
  CHECK(continued_backend("auto", "reference", cpu) == Backend::kReference);
  CHECK(continued_backend("auto", "fast", cpu) == Backend::kReference);  // it cannot be fast here
  CHECK_THROWS_AS(continued_backend("fast", "reference", cpu), DeviceError);
}

TEST_CASE("memory is told for the fast backend unless the settings rule it out") {
  RunOptions run;
  CHECK(priced_backend(run) == Backend::kFast);
  run.device = "cpu";
  CHECK(priced_backend(run) == Backend::kReference);
  run = {};
  run.backend = "reference";
  CHECK(priced_backend(run) == Backend::kReference);
}

TEST_CASE("a step takes less memory on the fast backend") {
  const Recipe recipe = baseline_recipe("voxelmorph-2");
  const Shape3 shape = {160, 192, 224};
  const MemoryNeed reference = memory_need(recipe, shape);
  const MemoryNeed fast = memory_need(recipe, shape, 0, Backend::kFast);
  INFO(reference.training << " " << fast.training);
  CHECK(fast.training < reference.training);
  CHECK(fast.inference < reference.inference);
}
