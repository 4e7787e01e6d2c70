// Axes, samplers and trial recipes.
#include <cmath>
#include <filesystem>
#include <set>

#include "fakes.hpp"
#include "regatta/base/error.hpp"
#include "regatta/sweep/layout.hpp"
#include "regatta/sweep/space.hpp"
#include "support/catch.hpp"

using namespace regatta;
using regatta::test::small_job;

namespace {

Axis linear_axis(double low, double high, int points = 0) {
  AxisOptions options;
  options.linear = {low, high};
  options.points = points;
  return Axis("/x", options);
}

Axis log_axis(double low, double high, int points = 0) {
  AxisOptions options;
  options.log = {low, high};
  options.points = points;
  return Axis("/x", options);
}

Axis integer_axis(int low, int high, int points = 0) {
  AxisOptions options;
  options.integer = {low, high};
  options.points = points;
  return Axis("/x", options);
}

std::string grid_text(const Axis& axis) {
  Json values = Json::array();
  for (std::int64_t i = 0; i < axis.grid_size(); ++i) {
    values.push_back(axis.grid_value(i));
  }
  return dump_line(values);
}

std::string refusal(const JobOptions& job) {
  try {
    const Space space(job);
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "accepted";
}

std::string recipe_refusal(const Point& point) {
  try {
    trial_recipe(small_job().recipe, point, 0);
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "accepted";
}

}  // namespace

TEST_CASE("grid values of each axis form are evenly spaced, ends exact") {
  CHECK(grid_text(linear_axis(0.0, 1.0, 5)) == "[0.0,0.25,0.5,0.75,1.0]");
  CHECK(grid_text(linear_axis(0.1, 0.4, 4)) == "[0.1,0.2,0.3,0.4]");
  CHECK(grid_text(log_axis(1e-5, 1e-2, 4)) == "[1e-05,0.0001,0.001,0.01]");
  CHECK(grid_text(log_axis(1e-3, 3e-3, 3)) == "[0.001,0.00173205080757,0.003]");
  CHECK(grid_text(integer_axis(3, 6)) == "[3,4,5,6]");
  CHECK(grid_text(integer_axis(0, 10, 3)) == "[0,5,10]");
  CHECK(grid_text(integer_axis(-4, 5, 4)) == "[-4,-1,2,5]");
  CHECK(grid_text(linear_axis(0, 1)) == "[]");
}

TEST_CASE("draws follow the stated maps and stay inside the range") {
  CHECK(linear_axis(2.0, 4.0).value_at(0.25) == 2.5);
  CHECK(log_axis(1e-4, 1e-2).value_at(0.5) == 1e-3);
  CHECK(log_axis(1e-4, 1e-2).value_at(0.0) == 1e-4);
  CHECK(integer_axis(5, 8).value_at(0.0) == 5);
  CHECK(integer_axis(5, 8).value_at(0.2499) == 5);
  CHECK(integer_axis(5, 8).value_at(0.25) == 6);
  CHECK(integer_axis(5, 8).value_at(0.9999999999999999) == 8);
  AxisOptions options;
  options.list = {"a", true, 3};
  const Axis list("/x", options);
  CHECK(list.value_at(0.33) == "a");
  CHECK(list.value_at(0.34) == true);
  CHECK(list.value_at(0.99) == 3);
}

TEST_CASE("a grid is the cartesian product, the last axis by name fastest, replicates fastest of all") {
  JobOptions job = small_job();
  job.replicates = 2;
  const Space space(job);
  CHECK(space.total_trials() == 12);
  std::vector<std::string> texts;
  for (std::int64_t number = 0; number < 6; ++number) {
    const TrialPoint trial = space.trial(number);
    texts.push_back(str(trial.index, ".", trial.replicate, " ", point_text(trial.point)));
  }
  CHECK(texts == std::vector<std::string>{"0.0 weight 0.5  lr 0.0001", "0.1 weight 0.5  lr 0.0001",
                                          "1.0 weight 0.5  lr 0.01", "1.1 weight 0.5  lr 0.01",
                                          "2.0 weight 1  lr 0.0001", "2.1 weight 1  lr 0.0001"});
  job.trials = 5;
  CHECK(Space(job).total_trials() == 5);
}

TEST_CASE("a grid without axes is one point: replicates of the base recipe") {
  JobOptions job = small_job();
  job.axes.clear();
  job.replicates = 3;
  const Space space(job);
  CHECK(space.total_trials() == 3);
  CHECK(space.trial(2).point.empty());
  CHECK(space.trial(2).replicate == 2);
}

TEST_CASE("random points depend on seed and number alone, whatever the order and the total") {
  JobOptions job = small_job();
  job.axes["/optim/lr"].points = 0;
  job.sampler = "random";
  job.trials = 8;
  const Space space(job);
  const Point seventh = space.trial(7).point;
  job.trials = 1000;
  CHECK(Space(job).trial(7).point == seventh);
  CHECK(seventh != space.trial(6).point);
  job.seed = 1;
  CHECK(Space(job).trial(7).point != seventh);
  // Fixed for ever: saved sweeps depend on it.
  job.seed = 0;
  CHECK(point_text(Space(job).trial(0).point) == "weight 0.5  lr 0.00550966050571");
}

TEST_CASE("random draws cover a log axis evenly in the logarithm") {
  JobOptions job = small_job();
  job.axes["/optim/lr"].points = 0;
  job.sampler = "random";
  job.trials = 2000;
  const Space space(job);
  int below_middle = 0;
  for (std::int64_t number = 0; number < 2000; ++number) {
    const double lr = space.trial(number).point.at("/optim/lr").get<double>();
    REQUIRE(lr >= 1e-4);
    REQUIRE(lr <= 1e-2);
    below_middle += lr < 1e-3 ? 1 : 0;
  }
  CHECK(below_middle > 900);
  CHECK(below_middle < 1100);
}

TEST_CASE("spaces that cannot be served are refused with the pointer and what to do") {
  JobOptions job = small_job();
  job.sampler = "bayes";
  CHECK(refusal(job) == "/sampler: unknown sampler 'bayes', have: grid, random, sobol, tpe");
  job = small_job();
  job.axes["/optim/lr"].points = 0;
  CHECK(refusal(job) == "/axes/~1optim~1lr/points: missing; grid needs to know how many values to take");
  job = small_job();
  job.trials = 7;
  CHECK(refusal(job) == "/trials: 7, but the grid has 6 points, with replicates 6 trials; 0 takes all of them");
  job = small_job();
  job.axes["/optim/lr"].points = 1;
  CHECK(refusal(job).find("1; set the value in the recipe instead") != std::string::npos);
  job = small_job();
  job.axes["/train/batch"].integer = {1, 3};
  job.axes["/train/batch"].points = 4;
  CHECK(refusal(job) == "/axes/~1train~1batch/points: 4, but the range holds only 3 integers");
  job = small_job();
  job.sampler = "random";
  CHECK(refusal(job).find("only grid takes points") != std::string::npos);
  job.axes["/optim/lr"].points = 0;
  CHECK(refusal(job) == "/trials: 0; the sampler 'random' needs a number of trials");
  job.axes.clear();
  CHECK(refusal(job).find("random needs at least one axis") != std::string::npos);
  job = small_job();
  job.axes["/optim/lr"].points = 100000;
  job.axes["/optim/beta1"].linear = {0, 0.9};
  job.axes["/optim/beta1"].points = 100000;
  CHECK(refusal(job) == "/axes: the grid has more than 10000000 points");
}

TEST_CASE("a trial's recipe has the point's values, all fields, and a seed that is paired over points") {
  const Json recipe = trial_recipe(small_job().recipe, {{"/optim/lr", 0.25}, {"/model/name", "voxelmorph-1"}}, 2);
  CHECK(*find_pointer(recipe, "/optim/lr") == 0.25);
  CHECK(*find_pointer(recipe, "/model/name") == "voxelmorph-1");
  CHECK(*find_pointer(recipe, "/train/seed") == 9);
  CHECK(*find_pointer(recipe, "/train/batch") == 1);
  CHECK(*find_pointer(trial_recipe(small_job().recipe, {}, 0), "/train/seed") == 7);
}

TEST_CASE("options of models and losses may be axes though only the model knows them") {
  const Json recipe =
      trial_recipe(small_job().recipe, {{"/losses/ncc/options/window", 9}, {"/model/options/features", {16, 32}}}, 0);
  CHECK(*find_pointer(recipe, "/losses/ncc/options/window") == 9);
  CHECK(*find_pointer(recipe, "/model/options/features/1") == 32);
}

TEST_CASE("an axis that names nothing or does not fit fails with what there is") {
  CHECK(recipe_refusal({{"/losses/ncd/weight", 1}}) == "'/losses/ncd/weight': no such option; /losses has: grad, ncc");
  CHECK(recipe_refusal({{"/optim/rate", 1}}).find("'/optim/rate': no such option; /optim has: name, lr") == 0);
  CHECK(recipe_refusal({{"/optim/lr", 11.0}}).find("/recipe with lr 11.0: /optim/lr") == 0);
  CHECK(recipe_refusal({{"/train/batch", 1.5}}).find("/train/batch: expected an integer") != std::string::npos);
  CHECK(recipe_refusal({{"/optim/schedule", "cosine"}}).find("poly, constant") != std::string::npos);
}

TEST_CASE("titles are the last part of the pointer unless two axes share it") {
  CHECK(point_text({{"/losses/ncc/weight", 1}, {"/losses/grad/weight", 2}, {"/optim/name", "adam"}}) ==
        "/losses/grad/weight 2  /losses/ncc/weight 1  name adam");
}

TEST_CASE("trial names have five digits at least") {
  CHECK(trial_name(42) == "t00042");
  CHECK(trial_name(1234567) == "t1234567");
}

TEST_CASE("every sampler file has its row in samplers.def") {
  const auto folder = std::filesystem::path(REGATTA_SOURCE_DIR) / "src/sweep/samplers";
  std::set<std::string> files;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().extension() == ".cpp") {
      files.insert(entry.path().stem().string());
    }
  }
  std::set<std::string> rows;
  for (const SamplerRow& row : sampler_rows()) {
    rows.insert(row.name);
    CHECK(row.make() != nullptr);
  }
  CHECK(rows == files);
}
