// Every job file that we ship reads, its space can be served, and every trial's recipe is valid.
#include <filesystem>

#include "regatta/base/files.hpp"
#include "regatta/base/text.hpp"
#include "regatta/config/recipe.hpp"
#include "regatta/sweep/space.hpp"
#include "support/catch.hpp"

using namespace regatta;

namespace {

const std::filesystem::path kJobs = std::filesystem::path(REGATTA_SOURCE_DIR) / "jobs";

}  // namespace

TEST_CASE("all job files of the tree give valid trials") {
  int jobs = 0;
  for (const auto& entry : std::filesystem::directory_iterator(kJobs)) {
    if (entry.path().extension() != ".json") {
      continue;
    }
    INFO(entry.path().string());
    ++jobs;
    const JobOptions job = read_job(entry.path());
    CHECK(job.name == entry.path().stem().string());
    const Space space(job);
    for (std::int64_t number = 0; number < space.total_trials(); ++number) {
      const TrialPoint trial = space.trial(number);
      const Json recipe = trial_recipe(job.recipe, trial.point, trial.replicate);
      CHECK(recipe_from_json(recipe, "trial").validation.best == job.objective.metric);
    }
  }
  CHECK(jobs >= 3);
}

TEST_CASE("recipe files beside the jobs are valid by themselves") {
  int recipes = 0;
  for (const auto& entry : std::filesystem::directory_iterator(kJobs / "recipes")) {
    INFO(entry.path().string());
    ++recipes;
    CHECK_NOTHROW(recipe_from_json(read_json(entry.path()), entry.path().string()));
  }
  CHECK(recipes >= 1);
}

TEST_CASE("the page about sweeps names every sampler and every shipped axis form") {
  const std::string page = read_file(std::filesystem::path(REGATTA_SOURCE_DIR) / "docs/sweeps.md");
  for (const SamplerRow& row : sampler_rows()) {
    CHECK(page.find(str("- `", row.name, "`: ")) != std::string::npos);
  }
  for (const std::string_view form : {"list", "linear", "log", "integer"}) {
    CHECK(page.find(str("| `\"", form, "\":")) != std::string::npos);
  }
}

TEST_CASE("the demo has six trials") {
  CHECK(Space(read_job(kJobs / "demo.json")).total_trials() == 6);
}
