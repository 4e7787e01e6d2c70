// Steps, logarithmic integers, named values, and axes that count at some points only.
#include <map>

#include "fakes.hpp"
#include "regatta/base/error.hpp"
#include "regatta/sweep/definition.hpp"
#include "regatta/sweep/effect.hpp"
#include "regatta/sweep/plan_table.hpp"
#include "regatta/sweep/repeats.hpp"
#include "support/catch.hpp"

using namespace regatta;
using regatta::test::FakeDescriber;
using regatta::test::small_job;

namespace {

Axis axis_of(const std::string& text) {
  AxisOptions options;
  read_options(parse_json(text, "test"), options);
  return Axis("/x", options);
}

std::string grid_text(const Axis& axis) {
  Json values = Json::array();
  for (std::int64_t i = 0; i < axis.grid_size(); ++i) {
    values.push_back(axis.grid_value(i));
  }
  return dump_line(values);
}

void set_axis(JobOptions& job, const std::string& pointer, const std::string& text) {
  AxisOptions options;
  read_options(parse_json(text, "test"), options);
  job.axes[pointer] = options;
}

/// Two networks, of which one has a kernel and a width, the width only with the larger kernel.
JobOptions conditional_job(const std::string& sampler) {
  JobOptions job = small_job();
  job.sampler = sampler;
  job.axes.clear();
  set_axis(job, "/model/name", R"({"list": ["voxelmorph-1", "lkunet"]})");
  set_axis(job, "/model/options/kernel", R"({"list": [5, 7], "when": {"/model/name": "lkunet"}})");
  set_axis(job, "/model/options/a_width", R"({"integer": [8, 10], "when": {"/model/options/kernel": [7, 9]}})");
  job.axes["/model/options/a_width"].when["/model/options/kernel"] = {7};
  return job;
}

std::string refusal(const JobOptions& job) {
  try {
    const Space space(job);
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "accepted";
}

std::vector<std::string> points_of(const JobOptions& job) {
  const Space space(job);
  std::vector<std::string> points;
  for (std::int64_t number = 0; number < space.total_trials(); ++number) {
    points.push_back(point_text(space.trial(number).point));
  }
  return points;
}

}  // namespace

TEST_CASE("stepped axes have low, low + step, ... and end at the last step inside the range") {
  CHECK(grid_text(axis_of(R"({"integer": [8, 40], "step": 8})")) == "[8,16,24,32,40]");
  CHECK(grid_text(axis_of(R"({"integer": [8, 41], "step": 8, "points": 3})")) == "[8,24,40]");
  CHECK(grid_text(axis_of(R"({"linear": [0, 1], "step": 0.3})")) == "[0.0,0.3,0.6,0.9]");
  CHECK(grid_text(axis_of(R"({"linear": [0.1, 0.7], "step": 0.1})")) == "[0.1,0.2,0.3,0.4,0.5,0.6,0.7]");
  const Axis axis = axis_of(R"({"linear": [0, 1], "step": 0.3})");
  CHECK(axis.value_at(0.0) == 0.0);
  CHECK(axis.value_at(0.2499) == 0.0);
  CHECK(axis.value_at(0.25) == 0.3);
  CHECK(axis.value_at(0.9999) == 0.9);
  CHECK(axis.nearest(0.99) == 0.9);
  CHECK(axis.nearest(0.44) == 0.3);
  CHECK(axis.number_of(0.6) == 0.6);
  CHECK_FALSE(axis.number_of(0.5));
  CHECK_FALSE(axis.number_of(1.2));
}

TEST_CASE("a log_integer axis draws each integer by its share of the logarithm, ends included") {
  const Axis axis = axis_of(R"({"log_integer": [1, 64], "points": 4})");
  CHECK(grid_text(axis) == "[1,4,16,64]");
  std::map<std::int64_t, int> seen;
  constexpr int kDraws = 64000;
  for (int i = 0; i < kDraws; ++i) {
    ++seen[axis.value_at((i + 0.5) / kDraws).get<std::int64_t>()];
  }
  CHECK(seen.begin()->first == 1);
  CHECK(seen.rbegin()->first == 64);
  const double all = std::log(64.5 / 0.5);
  CHECK(seen[1] == Approx(kDraws * std::log(1.5 / 0.5) / all).margin(2));
  CHECK(seen[32] == Approx(kDraws * std::log(32.5 / 31.5) / all).margin(2));
  CHECK(axis.is_log());
  JobOptions job = small_job();
  set_axis(job, "/train/batch", R"({"log_integer": [1, 5], "points": 5})");
  CHECK(refusal(job) == "/axes/~1train~1batch/points: 5, but evenly in the logarithm 1 comes twice; take fewer");
}

TEST_CASE("named values are chosen as a list's, and tables show their names") {
  JobOptions job = small_job();
  job.axes.clear();
  set_axis(job, "/model", R"({"named": {"small": {"name": "voxelmorph-1"}, "large": {"name": "voxelmorph-2"}}})");
  const Space space(job);
  CHECK(space.total_trials() == 2);
  CHECK(*find_pointer(trial_recipe(job.recipe, space.trial(1).point, 0), "/model/name") == "voxelmorph-2");
  CHECK(point_text(space.trial(1).point, space.axes()) == "model large");
  FakeDescriber describer;
  const SweepDefinition definition = define_sweep(job, describer);
  const std::string text = plan_text(definition, plan_trials(definition, 0, 2, describer));
  CHECK(text.find("t00001  large") != std::string::npos);
  CHECK(space.axes().front().value_of("small") == space.trial(0).point.at("/model"));
  job.axes["/model"].named["again"] = {{"name", "voxelmorph-2"}};
  CHECK(drop_repeated_values(job) ==
        std::vector<std::string>{"/axes/~1model/named: again repeats large and is left out"});
  CHECK(job.axes["/model"].named.size() == 2);
}

TEST_CASE("a grid with conditions has each combination of the axes that count once") {
  CHECK(points_of(conditional_job("grid")) ==
        std::vector<std::string>{"name voxelmorph-1", "name lkunet  kernel 5", "name lkunet  a_width 8  kernel 7",
                                 "name lkunet  a_width 9  kernel 7", "name lkunet  a_width 10  kernel 7"});
}

TEST_CASE("a condition leaves the draws of all other axes as they are") {
  for (const char* sampler : {"random", "sobol"}) {
    JobOptions job = conditional_job(sampler);
    job.trials = 64;
    JobOptions free = job;
    for (auto& [pointer, axis] : free.axes) {
      axis.when = Json::object();
    }
    const Space with(job);
    const Space without(free);
    int narrow = 0;
    for (std::int64_t number = 0; number < 64; ++number) {
      const Point point = with.trial(number).point;
      const Point whole = without.trial(number).point;
      for (const auto& [pointer, value] : point) {
        CHECK(value == whole.at(pointer));
      }
      const bool has_kernel = point.at("/model/name") == "lkunet";
      CHECK(point.contains("/model/options/kernel") == has_kernel);
      CHECK(point.contains("/model/options/a_width") == (has_kernel && point.at("/model/options/kernel") == 7));
      narrow += has_kernel ? 0 : 1;
    }
    CHECK(narrow > 16);
    CHECK(narrow < 48);
  }
}

TEST_CASE("a condition may look into whole objects, and at names of named values") {
  JobOptions job = small_job();
  job.axes.clear();
  set_axis(job, "/model",
           R"({"named": {"plain": {"name": "voxelmorph-1"}, "large": {"name": "lkunet", "options": {"kernel": 5}}}})");
  set_axis(job, "/model/options/head", R"({"list": ["half", "full"], "when": {"/model/name": "lkunet"}})");
  CHECK(points_of(job).size() == 3);
  job.axes["/model/options/head"].when = {{"/model", "large"}};
  CHECK(points_of(job).size() == 3);
  // Where the inner axis does not count, the outer one's value holds.
  set_axis(job, "/model/options/kernel", R"({"list": [7, 9], "when": {"/model": "plain"}})");
  CHECK_NOTHROW(apply_settings(job, {}));
  job.axes["/model/options/kernel"].when = {{"/model", "large"}};
  CHECK_THROWS_WITH(apply_settings(job, {}), Catch::Contains("has no effect on /model/options/kernel"));
}

TEST_CASE("conditions on nothing, on values that never come and in a circle are refused") {
  JobOptions job = conditional_job("grid");
  job.axes["/model/options/kernel"].when = {{"/optim/lr", 1}};
  CHECK(refusal(job) ==
        "/axes/~1model~1options~1kernel/when: '/optim/lr' is no other axis of this job, nor inside one");
  job.axes["/model/options/kernel"].when = {{"/model/name", "transmorph"}};
  CHECK(refusal(job) ==
        "/axes/~1model~1options~1kernel/when: /model/name is never \"transmorph\", the values of /model/name are "
        "voxelmorph-1, lkunet");
  job.axes["/model/options/kernel"].when = {{"/model/options/a_width", 8}};
  CHECK(refusal(job).find("/when: axes depend on each other in a circle") != std::string::npos);
}

TEST_CASE("plan names axes of one value and leaves cells of axes that do not count empty") {
  JobOptions job = conditional_job("grid");
  set_axis(job, "/optim/lr", R"({"list": [0.001]})");
  FakeDescriber describer;
  const SweepDefinition definition = define_sweep(job, describer);
  const std::string text = plan_text(definition, plan_trials(definition, 0, definition.trials, describer));
  CHECK(text.find("note: /axes/~1optim~1lr: one value, 0.001: it is no axis; it could stand in the recipe") !=
        std::string::npos);
  CHECK(text.find("t00000  voxelmorph-1  -        -") != std::string::npos);
}
