// Axis values in tables and charts, of objects above all.
#include "report/format.hpp"
#include "report/rows.hpp"
#include "support/catch.hpp"
#include "unit/report/sample_sweep.hpp"

namespace regatta::test {
namespace {

Report report_with(const std::vector<Json>& models) {
  Report report;
  report.metric = "dice";
  report.sweeps.resize(1);
  report.axes = {{"/model", "model", false}};
  for (std::size_t i = 0; i < models.size(); ++i) {
    ReportTrial trial;
    trial.number = static_cast<std::int64_t>(i);
    trial.point = trial.number;
    trial.status = i == 0 ? "diverged" : "ok";
    trial.objective = i == 0 ? std::optional<double>() : 0.7;
    trial.axes = {{"/model", models[i]}};
    trial.message = "loss or gradient is not finite";
    report.trials.push_back(trial);
  }
  find_alike_members(report);
  rank(report);
  return report;
}

Json model(const char* text) {
  return parse_json(text, "test");
}

}  // namespace

TEST_CASE("objects on an axis are named by what tells them apart") {
  const Report report = report_with({model(R"({"name": "lkunet", "options": {"channels": 8}})"),
                                     model(R"({"name": "lkunet", "options": {"channels": 8, "head": "half"}})")});
  CHECK(axis_text(report.trials[0], report.axes[0]) == "lkunet");
  CHECK(axis_text(report.trials[1], report.axes[0]) == "lkunet head half");
  CHECK(setting_text(report, report.trials[1]) == "model lkunet head half");
  const std::string html = report_html(report);
  CHECK_THAT(html, Catch::Contains(">lkunet head half<"));
  CHECK(html.find("{&quot;name&quot;") == std::string::npos);
  CHECK_THAT(leaderboard_text(report), Catch::Contains("lkunet head half"));
}

TEST_CASE("one value alone, and values that are not all objects, are shown whole") {
  const Report one = report_with({model(R"({"name": "lkunet", "options": {"head": "half"}})")});
  CHECK(axis_text(one.trials[0], one.axes[0]) == "lkunet head half");
  const Report mixed = report_with({model(R"({"weight": 1})"), model("null"), model("16")});
  CHECK(axis_text(mixed.trials[0], mixed.axes[0]) == "weight 1");
  CHECK(axis_text(mixed.trials[1], mixed.axes[0]) == "-");
}

TEST_CASE("a failed trial shows its axis values, its step once and what to type next") {
  Report report = report_with({model(R"({"name": "a"})"), model(R"({"name": "b"})")});
  report.sweeps[0].directory = "/runs/my sweep";
  report.trials[0].step = 2;
  report.trials[0].attempts = {{1, "diverged", 2, "node1", "loss or gradient is not finite"}};
  report.trials[0].reproduce = "regatta train /runs/recipe.json -o runs/alone";
  const std::string html = report_html(report);
  const std::string section = html.substr(html.find("<h2 id=\"failed\">Failed trials</h2>"));
  CHECK_THAT(section, Catch::Contains("<td>t00000</td><td>a</td><td class=\"bad\">diverged</td>") &&
                          Catch::Contains("diverged at step 2: loss or gradient is not finite") &&
                          Catch::Contains("regatta logs &#39;/runs/my sweep&#39; t00000") &&
                          Catch::Contains("regatta retry &#39;/runs/my sweep&#39; t00000") &&
                          Catch::Contains("regatta train /runs/recipe.json"));
}

}  // namespace regatta::test
