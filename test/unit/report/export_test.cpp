// Exports to Optuna, CSV and TensorBoard. What those programs read is in test/interop/check_export.py, for which the
// last case writes its files.
#include "regatta/report/export.hpp"

#include <cmath>
#include <cstdlib>
#include <filesystem>

#include "regatta/base/files.hpp"
#include "regatta/report/collect.hpp"
#include "support/catch.hpp"
#include "support/temporary_folder.hpp"
#include "unit/report/sample_sweep.hpp"

namespace regatta::test {
namespace {

namespace fs = std::filesystem;

std::vector<Json> lines_of(const std::string& text) {
  std::vector<Json> lines;
  for (const std::string& line : split(text, '\n')) {
    if (!line.empty()) {
      lines.push_back(parse_json(line, "journal"));
    }
  }
  return lines;
}

}  // namespace

TEST_CASE("the Optuna journal has a study per sweep and a trial per trial, in the same states") {
  const TemporaryFolder folder;
  SampleSweep sweep(folder / "brains");
  run_sample(sweep);
  const std::vector<Json> lines = lines_of(optuna_journal(read_report({sweep.root()})));
  REQUIRE(lines.size() == 1 + 1 + 3 + 6);
  CHECK(lines[0]["op_code"] == 0);
  CHECK(lines[0]["study_name"] == "brains");
  CHECK(lines[0]["directions"] == Json::array({2}));
  CHECK(lines[1]["system_attr"]["study:metric_names"] == Json::array({"dice"}));
  const Json& first = lines[5];
  CHECK(first["op_code"] == 4);
  CHECK(first["state"] == 1);
  CHECK(first["value"] == sweep.dice(0, 150));
  CHECK(first["datetime_start"] == "2026-11-24T03:00:00.000000+00:00");
  CHECK(first["datetime_complete"] == "2026-11-24T03:01:00.000000+00:00");
  CHECK(first["intermediate_values"]["15"] == sweep.dice(0, 15));
  CHECK(first["user_attrs"]["folding"] == 0.001);
  const Json lr = parse_json(first["distributions"]["/optim/lr"].get<std::string>(), "lr");
  CHECK(lr["name"] == "FloatDistribution");
  CHECK(lr["attributes"] == Json({{"step", nullptr}, {"low", 1e-4}, {"high", 1e-2}, {"log", true}}));
  const Json weight = parse_json(first["distributions"]["/losses/grad/weight"].get<std::string>(), "weight");
  CHECK(weight["attributes"]["choices"] == Json({0.5, 1.0, 2.0}));
  CHECK(first["params"]["/losses/grad/weight"].is_number_unsigned());
  CHECK(lines[9]["state"] == 3);  // diverged
  CHECK(lines[10]["state"] == 0);
  CHECK_FALSE(lines[10].contains("datetime_complete"));
}

TEST_CASE("a trial whose objective is not finite is a failed one for Optuna") {
  Report report = hostile_report();
  const std::vector<Json> lines = lines_of(optuna_journal(report));
  CHECK(lines[7]["state"] == 3);
  CHECK(lines[7]["value"].is_null());
  CHECK(lines[5]["value"] == 0.625);
}

TEST_CASE("curves are one line per step and value, with the axes of the trial") {
  const TemporaryFolder folder;
  SampleSweep sweep(folder / "brains");
  run_sample(sweep);
  const std::string text = curves_csv(read_report({sweep.root()}));
  CHECK_THAT(text, Catch::StartsWith("sweep,trial,point,replicate,seed,status,/losses/grad/weight,/optim/lr,kind,step,"
                                     "epoch,name,value\n") &&
                       Catch::Contains(",validation,15,1,dice," + to_text(sweep.dice(0, 15)) + "\n") &&
                       Catch::Contains(",train,2,0,lr,0.001\n") && Catch::Contains("brains,5,5,0,7,running,"));
}

TEST_CASE("each trial that has begun has an event file") {
  const TemporaryFolder folder;
  SampleSweep sweep(folder / "brains");
  run_sample(sweep);
  const std::vector<EventFile> files = event_files(read_report({sweep.root()}));
  REQUIRE(files.size() == 5);  // of trial 4 no line was written
  CHECK(files[0].path == fs::path("brains/t00000/events.out.tfevents.0000000000.regatta"));
  CHECK(files[0].content.find("validation/folding") != std::string::npos);
  CHECK(files[0].content.find("loss/total") != std::string::npos);
}

TEST_CASE("files for the readers of Optuna and TensorBoard", "[.interop]") {
  const char* out = std::getenv("REGATTA_INTEROP_OUT");
  REQUIRE(out != nullptr);
  const fs::path folder = out;
  SampleOptions options;
  options.trials = 80;
  SampleSweep sweep(folder / "sweep", options);
  for (std::int64_t trial = 0; trial < 77; ++trial) {
    sweep.run(trial, [trial](TrialResult& result) { result.best["folding"] = 0.1 * static_cast<double>(trial % 11); });
  }
  sweep.start(77);
  sweep.fail(77, 1, AttemptStatus::kDiverged, 10, "step 10: loss became nan");
  sweep.start(78);
  sweep.train(78, 1, 0, 60);
  Report report = read_report({sweep.root()});
  write_report(report, report_files_in(folder));
  write_file_atomically(folder / "one.log", optuna_journal(report));
  write_file_atomically(folder / "curves.csv", curves_csv(report));
  for (const EventFile& file : event_files(report)) {
    make_directories((folder / "events" / file.path).parent_path());
    write_file_atomically(folder / "events" / file.path, file.content);
  }
  report.objectives = {{"dice", "maximise", 0.3}, {"folding", "minimise", 2.0}};
  report.constraints = {{"folding", 0.5, std::nullopt}};
  rank(report);
  write_file_atomically(folder / "two.json", dump_pretty(to_json(report)));
  write_file_atomically(folder / "two.log", optuna_journal(report));
}

}  // namespace regatta::test
