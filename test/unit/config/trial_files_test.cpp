#include <cmath>

#include "regatta/base/error.hpp"
#include "regatta/base/files.hpp"
#include "regatta/config/trial_files.hpp"
#include "support/catch.hpp"
#include "support/temporary_folder.hpp"

using namespace regatta;
using regatta::test::TemporaryFolder;

namespace {

std::string line(MetricLine::Kind kind, std::int64_t step, double value = 0) {
  return metric_line_text(
      {.kind = kind, .step = step, .epoch = 0, .lr = 1e-4, .ms_per_step = 2, .values = {{"total", value}}});
}

}  // namespace

TEST_CASE("the history of a resumed trial has each step once, from the attempt that continued") {
  const TemporaryFolder folder;
  const TrialFiles files{folder.path()};
  make_directories(files.attempt(1));
  make_directories(files.attempt(2));
  make_directories(folder / "archive");
  const auto start = MetricLine::Kind::kStart;
  const auto train = MetricLine::Kind::kTrain;
  write_file_atomically(files.metrics(1), line(start, 0) + line(train, 10, 1) + line(train, 20, 2) +
                                              line(train, 30, 3) + "{\"kind\":\"tra");
  write_file_atomically(files.metrics(2), line(start, 20) + line(train, 30, 4) + line(train, 40, std::nan("")));
  const auto history = read_metric_lines(files);
  REQUIRE(history.size() == 4);
  CHECK(history[1].step == 20);
  CHECK(history[2].values.at("total") == 4);
  CHECK(std::isnan(history[3].values.at("total")));
  CHECK(files.attempts() == std::vector<int>{1, 2});
}

TEST_CASE("checkpoints are those that manifests name, newest first") {
  const TemporaryFolder folder;
  const TrialFiles files{folder.path()};
  for (const int attempt : {1, 2}) {
    make_directories(files.checkpoints(attempt));
  }
  const auto publish = [&](int attempt, const std::vector<std::int64_t>& steps) {
    Json manifest;
    for (const auto step : steps) {
      write_file_atomically(files.checkpoints(attempt) / checkpoint_name(step), "x");
      manifest["checkpoints"].push_back({{"file", checkpoint_name(step)}, {"step", step}});
    }
    write_file_atomically(files.manifest(attempt), dump_pretty(manifest));
  };
  publish(1, {5, 10});
  publish(2, {15});
  write_file_atomically(files.checkpoints(2) / checkpoint_name(20), "not published");
  std::vector<std::int64_t> steps;
  for (const auto& checkpoint : list_checkpoints(files)) {
    steps.push_back(checkpoint.step);
  }
  CHECK(steps == std::vector<std::int64_t>{15, 10, 5});
  CHECK(checkpoint_name(120) == "000000120.safetensors");
}

TEST_CASE("a validation that a resume repeats at the very step counts once") {
  const test::TemporaryFolder folder;
  const TrialFiles files{folder.path()};
  for (int attempt = 1; attempt <= 2; ++attempt) {
    make_directories(files.attempt(attempt));
    write_file_atomically(
        files.metrics(attempt),
        metric_line_text({MetricLine::Kind::kStart, 80, 1, 0.0, 0.0, {}}) +
            metric_line_text({MetricLine::Kind::kValidation, 80, 1, 0.0, 0.0, {{"dice", 0.1 * attempt}}}));
  }
  const auto history = read_metric_lines(files);
  REQUIRE(history.size() == 1);
  CHECK(history.front().values.at("dice") == 0.2);
}

TEST_CASE("a result reads back as written, non-finite numbers included") {
  TrialResult result;
  result.recipe_hash = "abc";
  result.best = {{"dice", 0.5}, {"ncc", std::nan("")}};
  result.provenance.host = "node1";
  const TrialResult again = result_from_json(parse_json(dump_pretty(to_json(result)), "r"), "r");
  CHECK(again.best.at("dice") == 0.5);
  CHECK(std::isnan(again.best.at("ncc")));
  CHECK(again.provenance.host == "node1");
}

TEST_CASE("a broken result is a data error that names its source") {
  CHECK_THROWS_WITH(result_from_json(Json::object(), "t1/result.json"),
                    Catch::StartsWith("t1/result.json: not a trial's result"));
  Json other = to_json(TrialResult{});
  other["schema"] = 9;
  CHECK_THROWS_WITH(result_from_json(other, "r"), Catch::Contains("/schema: 9, this build reads 1"));
}

TEST_CASE("statuses have the names of the design") {
  CHECK(std::string(status_name(TrialStatus::kQuarantined)) == "quarantined");
  CHECK(attempt_status_from("oom") == AttemptStatus::kOom);
  CHECK_FALSE(attempt_status_from("nonsense").has_value());
}
