// Numbers, escapes and tables.
#include <cmath>

#include "regatta/base/files.hpp"
#include "regatta/report/trial_log.hpp"
#include "report/chart.hpp"
#include "report/format.hpp"
#include "report/read_sweep.hpp"
#include "support/catch.hpp"
#include "support/temporary_folder.hpp"

namespace regatta::test {

TEST_CASE("numbers show the asked digits, zeros included") {
  CHECK(number_text(0.731) == "0.7310");
  CHECK(number_text(0.73125) == "0.7312");
  CHECK(number_text(1.2e-5) == "1.200e-05");
  CHECK(number_text(381.25) == "381.2");
  CHECK(number_text(123456.0) == "1.235e+05");
  CHECK(number_text(1.0, 2) == "1.0");
  CHECK(number_text(-0.5, 2) == "-0.50");
  CHECK(number_text(0.0) == "0");
  CHECK(number_text(std::nan("")) == "nan");
  CHECK(number_text(-HUGE_VAL) == "-inf");
  CHECK(number_text(std::optional<double>()) == "-");
}

TEST_CASE("axis values are short") {
  CHECK(axis_text(0.001) == "0.001");
  CHECK(axis_text(0.00123456789) == "0.001235");
  CHECK(axis_text(16) == "16");
  CHECK(axis_text("trans\nmorph") == "trans morph");
  CHECK(axis_text(Json::array({16, 32})) == "[16,32]");
  CHECK(axis_text(Json()) == "-");
  CHECK(axis_text(Json({{"name", "lkunet"}, {"options", {{"head", "half"}}}})) == "lkunet head half");
}

TEST_CASE("HTML special characters, broken UTF-8 and control characters are made harmless") {
  CHECK(html_escape("<a b='c' d=\"e\">&") == "&lt;a b=&#39;c&#39; d=&quot;e&quot;&gt;&amp;");
  CHECK(html_escape("\xc3\xa9") == "\xc3\xa9");
  CHECK(html_escape("\xc3<") == "\xef\xbf\xbd&lt;");
  CHECK(html_escape("\xf0\x9f") == "\xef\xbf\xbd\xef\xbf\xbd");
  CHECK(html_escape(std::string("a\0b\x1b", 4)) == "a b ");
}

TEST_CASE("CSV fields are quoted where needed and never formulas") {
  CHECK(csv_text("plain") == "plain");
  CHECK(csv_text("a,b") == "\"a,b\"");
  CHECK(csv_text("say \"x\"") == "\"say \"\"x\"\"\"");
  CHECK(csv_text("two\nlines") == "\"two\nlines\"");
  CHECK(csv_text("=1+1") == "'=1+1");
  CHECK(csv_text("") == "");
}

TEST_CASE("ticks are round, within the range and few") {
  CHECK(round_ticks(0.0, 10.0, 5) == std::vector<double>{0, 2, 4, 6, 8, 10});
  CHECK(round_ticks(1.0, 1.0, 5).empty());
  CHECK(log_ticks(1e-4, 1e-2, 7).front() == Approx(1e-4));
  CHECK(log_ticks(1e-4, 1e-2, 7).size() == 7);
  CHECK(log_ticks(1e-12, 1e12, 7).size() <= 10);
  CHECK(log_ticks(0.0, 1.0, 7).empty());
  CHECK(log_ticks(1.0, 3.0, 4).size() >= 3);
}

TEST_CASE("a chart leaves out what is not finite and says so if nothing is left") {
  ChartSeries series;
  series.x = {1.0, 2.0, 3.0};
  series.y = {std::nan(""), HUGE_VAL, std::nan("")};
  CHECK(chart_figure({"empty", "x", "y", false, {}, false, {}}, {series}).find("nothing to draw yet") !=
        std::string::npos);
  series.y = {1.0, std::nan(""), 2.0};
  const std::string figure = chart_figure({"gap", "x", "y", false, {}, false, {}}, {series});
  CHECK(figure.find("nan") == std::string::npos);
  CHECK(figure.find("<path class=\"line\"") != std::string::npos);
  series.x = {0.0, -1.0, 0.0};
  CHECK(chart_figure({"log", "x", "y", true, {}, false, {}}, {series}).find("nothing to draw yet") !=
        std::string::npos);
}

TEST_CASE("UTC texts become seconds") {
  CHECK(utc_seconds("1970-01-02T00:00:01Z") == 86401.0);
  CHECK(utc_seconds("2026-11-24T03:04:05Z") == 1795489445.0);
  CHECK_FALSE(utc_seconds("2026-13-24T03:04:05Z"));
  CHECK_FALSE(utc_seconds("2026-11-24 03:04:05"));
  CHECK_FALSE(utc_seconds("2026-11-24T03:xx:05Z"));
  CHECK_FALSE(utc_seconds(""));
}

TEST_CASE("the last lines of a log are found behind progress bars and blank lines") {
  using Lines = std::vector<std::string>;
  const TemporaryFolder folder;
  const auto path = folder / "log.txt";
  write_file_atomically(path, "first\nstep 1\rstep 2\rterminate called\n\nbar 1\rbar 2\r\n");
  CHECK(last_lines_of(path, 2) == Lines{"terminate called", "bar 2"});
  CHECK(last_lines_of(path, 9) == Lines{"first", "terminate called", "bar 2"});
  write_file_atomically(path, std::string(100000, 'x') + "\nend");
  CHECK(last_lines_of(path, 5) == Lines{"end"});
  write_file_atomically(path, "");
  CHECK(last_lines_of(path, 5).empty());
  CHECK(last_lines_of(folder / "absent.txt", 5).empty());
}

}  // namespace regatta::test
