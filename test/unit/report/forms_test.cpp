// JSON, CSV, HTML and text of one small report against golden files (REGATTA_REGOLD=1 accepts a change), and hostile
// names in all of them.
#include <cmath>
#include <set>

#include "regatta/base/error.hpp"
#include "regatta/base/files.hpp"
#include "report/html_data.hpp"
#include "report/html_page.hpp"
#include "report/page/texts.hpp"
#include "support/catch.hpp"
#include "unit/report/sample_sweep.hpp"

namespace regatta::test {
namespace {

/// Without the style sheet and the scripts, which are files of their own.
std::string without_assets(std::string html) {
  for (const auto& [begin, end] : {std::pair("<style>", "</style>"), std::pair("<script>", "</script>")}) {
    const std::size_t from = html.find(begin) + std::string(begin).size();
    html.erase(from, html.find(end, from) - from);
  }
  return html;
}

}  // namespace

TEST_CASE("report.json, leaderboard.csv, report.html and the terminal's table are as accepted") {
  const Report report = hostile_report();
  const auto check = [](const std::string& name, const std::string& text) {
    INFO(name << " (REGATTA_REGOLD=1 accepts)");
    CHECK(text == golden(name, text));
  };
  check("report.json", dump_pretty(to_json(report)));
  check("report.csv", leaderboard_csv(report));
  check("report.html", without_assets(page_html(report, "")));
  check("report.txt", leaderboard_text(report));
}

TEST_CASE("hostile names never become markup, with charts and without") {
  for (const char* echarts : {"", "/* charts */"}) {
    const std::string html = page_html(hostile_report(), echarts);
    CHECK(html.find("<script>alert") == std::string::npos);
    CHECK(html.find("alert(&#39;x&#39;)") != std::string::npos);
    CHECK(html.find('\xff') == std::string::npos);
  }
}

TEST_CASE("the page fetches nothing, and its policy forbids it") {
  for (const char* echarts : {"", "/* charts */"}) {
    const std::string html = page_html(hostile_report(), echarts);
    for (const char* word : {"http:", "https:", "src=", "href=\"h", "href=\"/", "@import", "url("}) {
      INFO(word);
      CHECK(html.find(word) == std::string::npos);
    }
    CHECK(html.find("content=\"default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src "
                    "data:\"") != std::string::npos);
  }
}

TEST_CASE("what the charts draw is report.json with thinned curves, and pairs of the best trials by columns") {
  Report report = hostile_report();
  for (int step = 0; step < 1000; ++step) {
    report.trials[0].train_loss.add(200 + step, 0.123456789);
  }
  const Json data = page_data(report);
  const Json& curve = data["trials"][0]["curves"]["train_loss"];
  CHECK(curve["step"].size() <= 242);
  CHECK(curve["step"].front() == 10);
  CHECK(curve["step"].back() == 1199);
  CHECK(curve["value"].back() == 0.123457);
  CHECK(data["trials"][0]["pairs"].is_null());
  CHECK(data["trials"][1]["pairs"]["pairs"].size() == 1);
  CHECK(data["trials"][1]["pairs"]["values"]["dice/17"] == Json({0.7}));
  CHECK_FALSE(data["sweeps"][0].contains("job"));
  CHECK(script_json({{"name", "</script><!--"}}) == R"({"name":"\u003c/script>\u003c!--"})");
}

TEST_CASE("this build's page has the charts that it was built with") {
  const std::string html = report_html(hostile_report());
  CHECK((html.find("<section id=\"search\">") != std::string::npos) == !kEcharts.empty());
  CHECK((html.find("<svg class=\"still\"") != std::string::npos) == kEcharts.empty());
  CHECK((html.find("Licensed to the Apache Software Foundation") != std::string::npos) == !kEcharts.empty());
  CHECK(html.size() < 2'000'000);
}

TEST_CASE("numbers that are not finite are text in the JSON, and the document parses") {
  const Json value = parse_json(dump_pretty(to_json(hostile_report())), "report");
  CHECK(value["trials"][2]["objective"] == "nan");
  CHECK(value["ranking"][0]["objective"]["mean"] == 0.6875);
  CHECK(value["ranking"][0]["best_trial"] == "t00001");
  CHECK(value["ranking"][2]["rank"].is_null());
}

TEST_CASE("masking makes reports equal that differ in volatile members only") {
  const Report one = hostile_report();
  Report other = one;
  other.build = "9.9.9";
  other.sweeps[0].directory = "/elsewhere";
  other.sweeps[0].job["recipe"]["data"]["archive"] = "/elsewhere/brains.h5";
  other.trials[1].attempts.push_back({2, "ok", 100, "node7", "resumed"});
  other.trials[1].charged = 1;
  other.trials[1].wall_s = 99.0;
  TrialResult& result = *other.trials[1].result;
  result.train_s = 1.0;
  result.ms_per_step = 2.0;
  result.peak_device_bytes = 3;
  result.resume = "bitwise";
  result.provenance.host = "node7";
  result.provenance.archive = "/elsewhere/brains.h5";
  result.provenance.started_utc = "2026-11-25T00:00:00Z";
  result.provenance.finished_utc = "2026-11-25T00:00:09Z";
  other.notes.clear();
  rank(other);
  CHECK(to_json(one) != to_json(other));
  CHECK(mask_volatile(to_json(one)) == mask_volatile(to_json(other)));
  other.trials[1].result->weights_xxh3 = "0000000000000000";
  CHECK(mask_volatile(to_json(one)) != mask_volatile(to_json(other)));
}

TEST_CASE("masking refuses what is not a report of this schema") {
  CHECK_THROWS_AS(mask_volatile(Json::object()), DataError);
  CHECK_THROWS_AS(mask_volatile(Json::array()), DataError);
  Json other = to_json(hostile_report());
  other["schema"] = 1;
  CHECK(mask_volatile(other)["build"] == "masked");
  other["schema"] = kReportSchema + 1;
  CHECK_THROWS_WITH(mask_volatile(other), Catch::Contains("/schema: 3, this build reads 1 to 2"));
}

namespace {

/// Member names of objects, with "*" for elements of arrays and for members whose names are data.
void collect_names(const Json& value, const std::string& path, std::set<std::string>& names) {
  static const std::set<std::string> kOpen = {"axes",      "best",   "initial", "last",     "job",
                                              "by_status", "values", "units",   "hardest30"};
  if (value.is_array()) {
    for (const Json& element : value) {
      collect_names(element, path, names);
    }
  } else if (value.is_object()) {
    for (const auto& member : value.items()) {
      names.insert(member.key());
      if (!kOpen.contains(member.key()) || member.value().is_array()) {
        collect_names(member.value(), path + "/" + member.key(), names);
      }
    }
  }
}

}  // namespace

TEST_CASE("docs/report.md names every member of report.json and every volatile one") {
  const std::string text = read_file(std::filesystem::path(REGATTA_SOURCE_DIR) / "docs" / "report.md");
  std::set<std::string> names;
  collect_names(to_json(hostile_report()), "", names);
  for (const std::string& name : names) {
    INFO(name);
    CHECK(text.find("`" + name + "`") != std::string::npos);
  }
  for (const std::string& pointer : volatile_pointers()) {
    INFO(pointer);
    CHECK(text.find("`" + pointer + "`") != std::string::npos);
  }
}

TEST_CASE("the register command survives a hostile path") {
  const Report report = hostile_report();
  const std::string command = register_command(report, 1);
  CHECK(command.starts_with("regatta register --model '/scratch/it'\\''s here/"));
  CHECK(command.ends_with(" --fixed FIXED.nii.gz --moving MOVING.nii.gz -o OUT"));
}

}  // namespace regatta::test
