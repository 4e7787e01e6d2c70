#include <cmath>
#include <limits>

#include "regatta/base/error.hpp"
#include "regatta/base/text_table.hpp"
#include "support/catch.hpp"

using namespace regatta;

TEST_CASE("str joins text and numbers without losing digits") {
  CHECK(str("lr ", 1e-8, " of ", 3, ' ', std::uint64_t{18446744073709551615U}, ' ', true) ==
        "lr 1e-08 of 3 18446744073709551615 true");
  CHECK(str(0.1) == "0.1");
  CHECK(std::stod(str(1.0 / 3.0)) == 1.0 / 3.0);
  CHECK(str(std::numeric_limits<double>::quiet_NaN(), -std::numeric_limits<double>::infinity()) == "nan-inf");
}

TEST_CASE("one_line keeps a message on one line") {
  CHECK(one_line("a\nb\x01"
                 "c") == "a b\\x01c");
  CHECK(one_line("abcdef", 3) == "abc...");
}

TEST_CASE("split and trim") {
  CHECK(split("a,,b", ',') == std::vector<std::string>{"a", "", "b"});
  CHECK(split("", ',') == std::vector<std::string>{""});
  CHECK(trim("  a b\n") == "a b");
  CHECK(trim(" \n").empty());
}

TEST_CASE("bytes and durations read as people write them") {
  CHECK(bytes_text(512) == "512 B");
  CHECK(bytes_text(1536) == "1.5 KiB");
  CHECK(duration_text(12.34) == "12.3 s");
  CHECK(duration_text(200) == "3 min 20 s");
  CHECK(duration_text(3900) == "1 h 05 min");
  CHECK(duration_text(90000) == "1 d 1 h");
  CHECK(duration_text(std::nan("")) == "?");
}

TEST_CASE("durations are read as Slurm writes them") {
  CHECK(parse_duration("1-02:03:04") == 93784.0);
  CHECK(parse_duration("02:03:04") == 7384.0);
  CHECK(parse_duration("5:00") == 300.0);
  CHECK(parse_duration("42") == 42.0);
  for (const char* other : {"", "UNLIMITED", "1:2:3:4", "-1:00", "1-", "1:x", "1h", "2-3-4", "9999999999999"}) {
    INFO(other);
    CHECK_FALSE(parse_duration(other));
  }
}

TEST_CASE("an error carries its exit code") {
  try {
    REGATTA_REQUIRE(1 == 2, DataError, "volume 'p07': got ", 1, ", allowed ", 2);
    FAIL("nothing was thrown");
  } catch (const Error& error) {
    CHECK(error.code() == ExitCode::kData);
    CHECK(std::string(error.what()) == "volume 'p07': got 1, allowed 2");
  }
}

TEST_CASE("a text table aligns by characters, not bytes") {
  TextTable table;
  table.column("name", TextTable::Align::kLeft);
  table.column("n", TextTable::Align::kRight);
  table.row({"\xc3\xa9t\xc3\xa9", "1"});
  table.row({"winter", "100"});
  CHECK(table.text() == "name      n\n-----------\n\xc3\xa9t\xc3\xa9       1\nwinter  100\n");
  CHECK_THROWS_AS(table.row({"one"}), BugError);
}

TEST_CASE("numbers for people keep their zeros") {
  CHECK(fixed_text(12.5, 2) == "12.50");
  CHECK(fixed_text(-0.04, 1) == "-0.0");
  CHECK(fixed_text(std::nan(""), 1) == "-");
}
