// Several objectives and constraints of a job.
#include "regatta/config/objectives.hpp"

#include <cmath>

#include "regatta/base/error.hpp"
#include "support/catch.hpp"

namespace regatta::test {
namespace {

JobOptions job_with(const std::string& objectives, const std::string& constraints = "{}") {
  JobOptions job;
  job.objectives = parse_json(objectives, "objectives");
  job.constraints = parse_json(constraints, "constraints");
  return job;
}

constexpr const char* kThree = R"([{"metric": "dice", "reference": 0.3},
  {"metric": "folding", "direction": "minimise", "reference": 2.0}, {"metric": "runtime", "reference": 1}])";

}  // namespace

TEST_CASE("a job without objectives has the one of `objective`, and its identity is as it was") {
  JobOptions job;
  job.objective.metric = "ncc";
  const auto objectives = objectives_of(job);
  REQUIRE(objectives.size() == 1);
  CHECK(objectives[0].metric == "ncc");
  CHECK_FALSE(objectives[0].reference);
  CHECK(objectives_json(objectives).empty());
  CHECK_FALSE(identity_of(job).contains("objectives"));
  CHECK_FALSE(identity_of(job).contains("constraints"));
}

TEST_CASE("several objectives keep their order, and the first becomes the job's objective") {
  JobOptions job = job_with(kThree);
  const auto objectives = objectives_of(job);
  REQUIRE(objectives.size() == 3);
  CHECK(objectives[1].metric == "folding");
  CHECK(objectives[1].direction == "minimise");
  CHECK(objectives[2].reference == 1.0);
  job.objectives[0]["metric"] = "ncc";
  resolve_objectives(job);
  CHECK(job.objective.metric == "ncc");
  CHECK(objectives_of(job).front().metric == "ncc");
  CHECK(objectives_text({{"dice", "maximise", 0.3}, {"folding", "minimise", 2.0}}) ==
        "dice (maximise, reference 0.3), folding (minimise, reference 2)");
  CHECK(objectives_text({{"dice", "maximise", std::nullopt}}) == "dice (maximise)");
}

TEST_CASE("objectives that cannot be ranked are refused by their pointer") {
  const auto refusal = [](const std::string& objectives) {
    try {
      objectives_of(job_with(objectives));
    } catch (const ConfigError& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  CHECK_THAT(refusal(R"([{"metric": "dice", "reference": 0}, {"metric": "folding"}])"),
             Catch::Contains("/objectives/1/reference: is missing"));
  CHECK_THAT(refusal(R"([{"metric": "dice", "reference": 0}, {"metric": "dice", "reference": 0}])"),
             Catch::Contains("/objectives/1/metric: 'dice' stands twice"));
  CHECK_THAT(refusal(R"([{"reference": 0}])"), Catch::Contains("/objectives/0/metric: is missing"));
  CHECK_THAT(refusal(R"([{"metric": "dice", "weight": 1}])"), Catch::Contains("/objectives/0/weight: unknown key"));
  CHECK_THAT(refusal(R"([{"metric": "dice", "direction": "up"}])"), Catch::Contains("/objectives/0/direction"));
  CHECK_THAT(refusal(R"([{"metric": "dice", "reference": "low"}])"),
             Catch::Contains("/objectives/0/reference: expected a finite number, got \"low\""));
  CHECK_THAT(refusal(R"({"dice": 1})"), Catch::Contains("/objectives: expected a list"));
  CHECK_THAT(refusal(R"(["dice"])"), Catch::Contains("/objectives/0"));
  CHECK_THAT(refusal(R"([{}, {}, {}, {}, {}])"), Catch::Contains("5 of them, at most 4"));
  JobOptions both = job_with(kThree);
  both.objective.metric = "ncc";
  CHECK_THROWS_WITH(objectives_of(both), Catch::Contains("/objectives begins with 'dice': leave /objective out"));
}

TEST_CASE("a constraint says by how much a value breaks it") {
  const auto constraints =
      constraints_of(job_with("[]", R"({"folding": {"at_most": 0.5}, "dice": {"at_least": 0.7}})"));
  REQUIRE(constraints.size() == 2);
  CHECK(constraints[1].metric == "dice");
  CHECK(constraints[1].violation(0.5) == Approx(0.2));
  CHECK(constraints[1].violation(0.7) == 0.0);
  CHECK(constraints[0].violation(0.75) == 0.25);
  CHECK(std::isinf(constraints[0].violation(std::nullopt)));
  CHECK(std::isinf(constraints[0].violation(std::nan(""))));
  CHECK(constraints_text(constraints) == "folding <= 0.5, dice >= 0.7");
}

TEST_CASE("constraints that mean nothing are refused by their pointer") {
  const auto refuse = [](const std::string& constraints) { return constraints_of(job_with("[]", constraints)); };
  CHECK_THROWS_WITH(refuse(R"({"folding": {}})"), Catch::Contains("/constraints/folding: give at_most, at_least"));
  CHECK_THROWS_WITH(refuse(R"({"folding": {"below": 1}})"), Catch::Contains("/constraints/folding/below: unknown key"));
  CHECK_THROWS_WITH(refuse(R"({"folding": {"at_most": "1"}})"), Catch::Contains("/constraints/folding/at_most"));
  CHECK_THROWS_WITH(refuse(R"({"dice": {"at_most": 0, "at_least": 1}})"), Catch::Contains("no value can keep to both"));
  CHECK_THROWS_WITH(refuse(R"([1])"), Catch::Contains("/constraints: expected an object"));
  CHECK_THROWS_WITH(refuse(R"({"folding": 1})"), Catch::Contains("/constraints/folding"));
}

}  // namespace regatta::test
