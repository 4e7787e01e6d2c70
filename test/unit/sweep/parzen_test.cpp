// The Parzen estimator and the choice of TPE against hand-computed cases. test/interop/check_samplers.py compares them
// with Optuna 5.0.0 on whole histories.
#include <cmath>
#include <cstdlib>
#include <numbers>

#include <nlohmann/json.hpp>

#include "regatta/base/files.hpp"
#include "regatta/base/random.hpp"
#include "support/catch.hpp"
#include "sweep/tpe_model.hpp"

using namespace regatta;

namespace {

Axis axis_of(const std::string& pointer, const Json& options) {
  AxisOptions read;
  read_options(options, read);
  return Axis(pointer, read);
}

double below(double x) {
  return 0.5 * std::erfc(-x / std::numbers::sqrt2);
}

/// Density of a normal variable truncated to [low, high].
double truncated(double x, double mean, double width, double low, double high) {
  const double z = (x - mean) / width;
  return std::exp(-0.5 * z * z) / (width * std::sqrt(2 * std::numbers::pi)) /
         (below((high - mean) / width) - below((low - mean) / width));
}

History history_with(const std::vector<std::pair<ObservationState, double>>& results, bool maximise = false) {
  History history;
  history.maximise = maximise;
  for (const auto& [state, value] : results) {
    history.observations.push_back({{}, state, value, 0});
  }
  return history;
}

constexpr auto kComplete = ObservationState::kComplete;
constexpr auto kPruned = ObservationState::kPruned;
constexpr auto kInfeasible = ObservationState::kInfeasible;
constexpr auto kRunning = ObservationState::kRunning;

}  // namespace

TEST_CASE("the mass of a normal variable is accurate in the middle and far out on both sides") {
  CHECK(log_normal_mass(-1, 2) == Approx(std::log(below(2) - below(-1))).epsilon(1e-13));
  CHECK(log_normal_mass(-9, -8) == Approx(std::log(below(-8) - below(-9))).epsilon(1e-12));
  CHECK(log_normal_mass(8, 9) == log_normal_mass(-9, -8));
  // Below -38 erfc is zero; ln of the upper tail at 40 is -804.6084420137538.
  CHECK(log_normal_mass(40, 50) == Approx(-804.6084420137538).epsilon(1e-12));
}

TEST_CASE("without observations the prior alone is left") {
  const Axis axis = axis_of("/x", {{"linear", {0, 4}}});
  const ParzenEstimator estimator({&axis}, {});
  CHECK(estimator.log_density({1.0}) == Approx(std::log(truncated(1, 2, 4, 0, 4))).epsilon(1e-12));
  const Axis list = axis_of("/y", {{"list", {1, 2, 3}}});
  CHECK(ParzenEstimator({&list}, {}).log_density({2.0}) == Approx(std::log(1.0 / 3)).epsilon(1e-12));
}

TEST_CASE("kernels are as wide as the larger gap to a neighbour, at the outside the inner gap") {
  const Axis axis = axis_of("/x", {{"linear", {0, 10}}});
  const ParzenEstimator estimator({&axis}, {{1.0}, {6.0}, {2.0}});
  // Sorted 1, 2, 6: widths 1 raised to 10 / 5 = 2, then 4 and 4; the prior 5 with 10.
  const double x = 3.0;
  const double sum =
      truncated(x, 1, 2, 0, 10) + truncated(x, 6, 4, 0, 10) + truncated(x, 2, 4, 0, 10) + truncated(x, 5, 10, 0, 10);
  CHECK(estimator.log_density({x}) == Approx(std::log(sum / 4)).epsilon(1e-12));
}

TEST_CASE("several axes are multiplied within each observation") {
  const Axis lr = axis_of("/lr", {{"log", {1e-4, 1e-2}}});
  const Axis kind = axis_of("/kind", {{"list", {"a", "b"}}});
  const ParzenEstimator estimator({&lr, &kind}, {{1e-3, 1.0}});
  const double low = std::log(1e-4);
  const double high = std::log(1e-2);
  const double middle = std::log(1e-3);
  const double width = high - low;
  // A lone observation reaches to the farther end: half the range, above the least of a third.
  const double own = truncated(std::log(2e-3), middle, width / 2, low, high) * (1.5 / 2.0);
  const double prior = truncated(std::log(2e-3), middle, width, low, high) * 0.5;
  CHECK(estimator.log_density({2e-3, 1.0}) == Approx(std::log((own + prior) / 2)).epsilon(1e-10));
}

TEST_CASE("a stepped axis has probabilities of its values, which sum to 1") {
  for (const Json& options : {Json{{"integer", {1, 12}}}, Json{{"log_integer", {1, 12}}},
                              Json{{"integer", {2, 12}}, {"step", 5}}, Json{{"linear", {0, 1}}, {"step", 0.25}}}) {
    const Axis axis = axis_of("/x", options);
    const NumberRange& range = *axis.range();
    const ParzenEstimator estimator({&axis}, {{range.low}, {range.high}, {range.high}});
    double sum = 0.0;
    for (double value = range.low; value <= range.high + 1e-9; value += range.step) {
      sum += std::exp(estimator.log_density({value}));
    }
    CHECK(sum == Approx(1.0).epsilon(1e-12));
  }
}

TEST_CASE("more than 25 observations weigh less the older they are") {
  const Axis axis = axis_of("/x", {{"list", {"old", "new"}}});
  std::vector<Coordinates> observations(2, Coordinates{0.0});
  observations.resize(27, Coordinates{1.0});
  const ParzenEstimator estimator({&axis}, observations);
  // Weights 1/27 and 1 for the two old ones, 1 for 25 new ones and for the prior.
  const double prior = 1.0 / 28;
  const double seen = (prior + 1) / (2 * prior + 1);
  const double sum = (1.0 / 27 + 1) * seen + 25 * (1 - seen) + 0.5;
  CHECK(estimator.log_density({0.0}) == Approx(std::log(sum / (1.0 / 27 + 1 + 25 + 1))).epsilon(1e-12));
}

TEST_CASE("draws follow the density") {
  const Axis x = axis_of("/x", {{"linear", {0, 10}}});
  const Axis n = axis_of("/n", {{"integer", {1, 4}}});
  const ParzenEstimator estimator({&x, &n}, {{2.0, 1.0}, {2.5, 1.0}, {8.0, 4.0}});
  const CounterRng rng(1, RandomPurpose::kCandidate);
  constexpr int kDraws = 20000;
  std::array<int, 4> counts{};
  double below_five = 0;
  for (std::uint64_t i = 0; i < kDraws; ++i) {
    const Coordinates point = estimator.draw([&](std::uint32_t draw) { return rng.uniform(i, draw); });
    REQUIRE(point[0] >= 0.0);
    REQUIRE(point[0] <= 10.0);
    ++counts.at(static_cast<std::size_t>(point[1]) - 1);
    below_five += point[0] < 5.0 ? 1 : 0;
  }
  // The share of each integer, by summing the joint density over x.
  constexpr int kCells = 2000;
  double expected_below = 0.0;
  for (int value = 1; value <= 4; ++value) {
    double share = 0.0;
    for (int cell = 0; cell < kCells; ++cell) {
      const double at = (cell + 0.5) * 10.0 / kCells;
      const double mass = std::exp(estimator.log_density({at, static_cast<double>(value)})) * 10.0 / kCells;
      share += mass;
      expected_below += at < 5.0 ? mass : 0.0;
    }
    CHECK(counts.at(static_cast<std::size_t>(value) - 1) / static_cast<double>(kDraws) == Approx(share).margin(0.015));
  }
  CHECK(below_five / kDraws == Approx(expected_below).margin(0.015));
}

TEST_CASE("a tenth of what has ended is good: complete by value, then pruned, then infeasible; what runs is not") {
  std::vector<std::pair<ObservationState, double>> results(9, {kComplete, 5.0});
  results[4] = {kComplete, 1.0};
  results.push_back({kRunning, 0.0});
  results.push_back({kInfeasible, 0.0});
  CHECK(split_history(history_with(results)).below == std::vector<std::size_t>{4});
  results.push_back({kComplete, 0.5});  // 11 have ended: two are good
  CHECK(split_history(history_with(results)).below == std::vector<std::size_t>{4, 11});
  CHECK(split_history(history_with(results, true)).below == std::vector<std::size_t>{0, 1});
  CHECK(split_history(history_with(results)).above.size() == 10);
  History history = history_with({{kPruned, 1.0}, {kInfeasible, 0}, {kPruned, 3.0}, {kPruned, 2.0}});
  history.observations[2].step = history.observations[3].step = 20;
  CHECK(split_history(history).below == std::vector<std::size_t>{3});
  CHECK(split_history(history_with(std::vector<std::pair<ObservationState, double>>(400, {kComplete, 1.0})))
            .below.size() == 25);
}

TEST_CASE("scores for the comparison with Optuna are written", "[.interop]") {
  const char* folder = std::getenv("REGATTA_INTEROP_FOLDER");
  REQUIRE(folder != nullptr);
  const Json cases = read_json(std::filesystem::path(folder) / "tpe_cases.json");
  Json answers = Json::array();
  for (const Json& one : cases) {
    std::vector<Axis> axes;
    for (const auto& [pointer, options] : one.at("axes").items()) {
      axes.push_back(axis_of(pointer, options));
    }
    History history;
    history.maximise = one.at("maximise").get<bool>();
    for (const Json& given : one.at("history")) {
      Observation observation;
      const auto state = given.at("state").get<std::string>();
      observation.state = state == "complete"     ? kComplete
                          : state == "pruned"     ? kPruned
                          : state == "infeasible" ? kInfeasible
                                                  : kRunning;
      observation.value = given.at("value").get<double>();
      observation.step = given.at("step").get<std::int64_t>();
      for (const auto& [pointer, value] : given.at("point").items()) {
        observation.point[pointer] = value;
      }
      history.observations.push_back(std::move(observation));
    }
    std::vector<const Axis*> pointers;
    for (const Axis& axis : axes) {
      pointers.push_back(&axis);
    }
    const TpeModel model(pointers, history);
    std::vector<Coordinates> candidates;
    Json answer;
    for (const Json& candidate : one.at("candidates")) {
      candidates.push_back(candidate.get<Coordinates>());
      answer["below"].push_back(model.log_below(candidates.back()));
      answer["above"].push_back(model.log_above(candidates.back()));
    }
    answer["best"] = model.best_of(candidates);
    answers.push_back(answer);
  }
  write_file_atomically(std::filesystem::path(folder) / "tpe_scores.json", dump_line(answers));
}
