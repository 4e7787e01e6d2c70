// Per-pair and per-label values of a trial's best checkpoint.
#include "report/pair_values.hpp"

#include <cmath>
#include <filesystem>
#include <fstream>

#include "regatta/report/collect.hpp"
#include "support/catch.hpp"
#include "support/temporary_folder.hpp"
#include "unit/report/sample_sweep.hpp"

namespace regatta::test {
namespace {

std::string pair_line(std::int64_t step, const char* moving, double dice17, const char* dice18 = "0.5") {
  return str(R"({"kind":"pair","step":)", step, R"(,"moving":")", moving, R"(","fixed":"s09","values":{"dice":)",
             dice17, R"(,"dice/17":)", dice17, R"(,"dice/18":)", dice18, "}}\n");
}

void append(const std::filesystem::path& path, const std::string& text) {
  std::filesystem::create_directories(path.parent_path());
  std::ofstream(path, std::ios::app) << text;
}

}  // namespace

TEST_CASE("a report has the values of each pair at the best checkpoint, and means per label") {
  const TemporaryFolder folder;
  SampleSweep sweep(folder / "brains");
  sweep.run(0, [](TrialResult& result) { result.best.erase("dice/17"); });
  const auto pairs = sweep.files().trial(0).pairs(1);
  append(pairs, pair_line(0, "s01", 0.1) + pair_line(0, "s02", 0.3) + pair_line(15, "s01", 0.9) + "torn {");
  append(pairs, "\n" + pair_line(150, "s01", 0.4) + pair_line(150, "s02", 0.6, "\"nan\""));
  const Report report = read_report({sweep.root()});
  CHECK(report.notes.empty());
  const ReportTrial& trial = report.trials[0];
  REQUIRE(trial.pairs.size() == 2);
  CHECK(trial.pairs[1].moving == "s02");
  CHECK(trial.pairs[1].fixed == "s09");
  CHECK(trial.result->best.at("dice/17") == Approx(0.5));
  CHECK(trial.result->best.at("dice/18") == Approx(0.5));  // where it is a number
  CHECK(trial.result->initial.at("dice/17") == Approx(0.2));
  CHECK(trial.result->best.at("dice") == sweep.dice(0, 150));  // as result.json has it
  const Json json = to_json(report)["trials"][0];
  CHECK(json["pairs"][0]["values"]["dice/17"] == 0.4);
  CHECK(json["pairs"][1]["values"]["dice/18"] == "nan");
  CHECK(json["best"]["dice/17"].get<double>() == Approx(0.5));
  CHECK(report.ranking[0].best.at("dice/17").n == 1);
  CHECK(leaderboard_text(report).find("dice/17") == std::string::npos);
}

TEST_CASE("a validation that a later attempt repeated counts once, with its newest values") {
  const TemporaryFolder folder;
  const TrialFiles files{folder.path()};
  append(files.pairs(1), pair_line(60, "s01", 0.1) + pair_line(60, "s02", 0.2) + pair_line(600, "s01", 0.9));
  append(files.pairs(2), pair_line(60, "s01", 0.3) + pair_line(60, "s02", 0.4));
  const auto pairs = read_pair_values(files, {0, 60});
  REQUIRE(pairs.size() == 1);
  REQUIRE(pairs.at(60).size() == 2);
  CHECK(pairs.at(60)[0].values.at("dice") == 0.3);
  CHECK(read_pair_values({folder / "absent"}, {0}).empty());
}

TEST_CASE("where pairs are too many those of the best trials are kept, and a note says so") {
  Report report = hostile_report();
  report.notes.clear();
  report.trials[0].pairs = {{"s01", "s02", {{"dice", 0.1}, {"dice/1", 0.2}}}};
  report.trials[2].pairs = {{"s01", "s02", {{"dice", 0.1}, {"dice/1", 0.2}}}};
  limit_pair_values(report, 4);
  CHECK(report.trials[0].pairs.size() == 1);
  CHECK(report.trials[1].pairs.size() == 1);
  CHECK(report.trials[2].pairs.empty());
  REQUIRE(report.notes.size() == 1);
  CHECK_THAT(report.notes[0], Catch::Contains("of the best 2 trials only; those of the other 1"));
}

}  // namespace regatta::test
