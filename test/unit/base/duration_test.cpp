// Durations as options take them.
#include "regatta/base/duration.hpp"

#include "regatta/base/error.hpp"
#include "support/catch.hpp"

using namespace regatta;
using Catch::Contains;

TEST_CASE("the same duration means the same for every option; a number alone is minutes or refused, never seconds") {
  for (const BareNumber bare : {BareNumber::kMinutes, BareNumber::kRefused}) {
    CHECK(duration_s("12min", "--time", bare) == 720.0);
    CHECK(duration_s("00:12:00", "--time", bare) == 720.0);
  }
  CHECK(duration_s("12", "--time", BareNumber::kMinutes) == 720.0);
  CHECK_THROWS_WITH(duration_s("12", "--leave-after", BareNumber::kRefused),
                    Contains("--leave-after: '12': give a unit, for example 12min or 12s") && Contains("HH:MM:SS"));
}

TEST_CASE("durations are read as Slurm reads them, or with units") {
  const auto seconds = [](const char* text) { return duration_s(text, "--time", BareNumber::kMinutes); };
  CHECK(seconds("1-02:03:04") == 93784.0);
  CHECK(seconds("02:03:04") == 7384.0);
  CHECK(seconds("5:00") == 300.0);
  CHECK(seconds("90:30") == 5430.0);
  CHECK(seconds("42") == 2520.0);
  CHECK(seconds("2-12") == 216000.0);
  CHECK(seconds("1-0:30") == 88200.0);
  CHECK(seconds("90s") == 90.0);
  CHECK(seconds("15min") == 900.0);
  CHECK(seconds("12h") == 43200.0);
  CHECK(seconds("2d") == 172800.0);
  CHECK(seconds("1h30min") == 5400.0);
  for (const char* other : {"UNLIMITED", "1:2:3:4", "-1:00", "1-", "1:x", "1x", "2-3-4", "9999999999999", "30min1h",
                            "1h1h", "h", "1.5h", "5 min", "1-2h", ":", "1:", "1-1:2:3:4"}) {
    INFO(other);
    CHECK_THROWS_AS(seconds(other), ConfigError);
  }
}

TEST_CASE("an error about a duration lists every form") {
  CHECK_THROWS_WITH(
      duration_s("soon", "--time", BareNumber::kMinutes),
      Contains("--time: 'soon': expected MINUTES, HH:MM:SS") && Contains("D-HH:MM:SS") && Contains("12h"));
  CHECK_THROWS_AS(duration_s("0", "--time", BareNumber::kMinutes), ConfigError);
  CHECK_THROWS_AS(duration_s("", "--time", BareNumber::kMinutes), ConfigError);
}

TEST_CASE("durations are written as Slurm writes them") {
  CHECK(clock_text(90) == "00:01:30");
  CHECK(clock_text(43200) == "12:00:00");
  CHECK(clock_text(216000.4) == "2-12:00:01");
}
