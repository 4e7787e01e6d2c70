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
  CHECK(jobs >= 8);
}

TEST_CASE("recipe files beside the jobs are valid by themselves") {
  int recipes = 0;
  for (const auto& entry : std::filesystem::directory_iterator(kJobs / "recipes")) {
    INFO(entry.path().string());
    ++recipes;
    CHECK_NOTHROW(recipe_from_json(read_json(entry.path()), entry.path().string()));
  }
  CHECK(recipes >= 13);
}

TEST_CASE("the table of published recipes has a row for each recipe file and no other") {
  const std::string page = read_file(kJobs / "README.md");
  std::size_t recipes = 0;
  for (const auto& entry : std::filesystem::directory_iterator(kJobs / "recipes")) {
    INFO(entry.path().string());
    ++recipes;
    CHECK(page.find(str("\n| `", entry.path().stem().string(), "` | ")) != std::string::npos);
  }
  std::size_t rows = 0;
  for (std::size_t at = page.find("\n| `"); at != std::string::npos; at = page.find("\n| `", at + 1)) {
    ++rows;
  }
  CHECK(rows == recipes);
}

TEST_CASE("published lengths and rates stand in the recipes as the papers' code has them") {
  const auto recipe = [](const std::string& name) {
    const std::filesystem::path path = kJobs / "recipes" / (name + ".json");
    return recipe_from_json(read_json(path), path.string());
  };
  for (const char* name : {"ixi_voxelmorph", "ixi_transmorph", "ixi_transmorph_bspl"}) {
    const Recipe ixi = recipe(name);
    CHECK(ixi.train.epochs == 500);
    CHECK((ixi.optim.schedule == "poly" && ixi.optim.amsgrad && ixi.train.flip));
    CHECK(ixi.losses.at("grad").weight == 1.0);
  }
  CHECK(recipe("ixi_transmorph_diff").optim.name == "adamax");
  CHECK(recipe("ixi_transmorph_diff").losses.at("mse").weight == 1e4);
  CHECK(recipe("ixi_lkunet").train.steps == 403 * 1000 + 1);
  CHECK(recipe("ixi_lkunet").losses.at("grad").weight == 5.0);
  CHECK(recipe("oasis_lkunet_full").train.steps == 2 * 394 * 393 + 1);
  CHECK(recipe("oasis_lkunet_half").train.steps == 464528);
  const Recipe oasis = recipe("oasis_transmorph_large");
  CHECK(oasis.train.epochs * oasis.train.epoch_pairs == 500 * 394 * 2);
  for (const char* name : {"ixi_lkunet", "oasis_lkunet_full", "oasis_lkunet_half", "nlst_lkunet"}) {
    CHECK(recipe(name).optim.schedule == "constant");
    CHECK_FALSE(recipe(name).optim.amsgrad);
    CHECK(recipe(name).losses.at("grad").options.at("units") == "lku");
  }
}

TEST_CASE("the page about sweeps names every sampler and every shipped axis form") {
  const std::string page = read_file(std::filesystem::path(REGATTA_SOURCE_DIR) / "docs/sweeps.md");
  for (const SamplerRow& row : sampler_rows()) {
    CHECK(page.find(str("- `", row.name, "`: ")) != std::string::npos);
  }
  for (const std::string_view form : {"list", "named", "linear", "log", "integer", "log_integer"}) {
    CHECK(page.find(str("| `\"", form, "\":")) != std::string::npos);
  }
}

TEST_CASE("the demo has six trials") {
  CHECK(Space(read_job(kJobs / "demo.json")).total_trials() == 6);
}
