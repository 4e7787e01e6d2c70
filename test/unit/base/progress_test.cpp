// Progress: how often it shows itself and what it says, on a clock that does not run by itself.
#include "regatta/base/progress.hpp"

#include <vector>

#include "support/catch.hpp"

using namespace regatta;

namespace {

class HandClock : public Clock {
 public:
  double monotonic_s() const override { return now; }
  std::string utc_text() const override { return "now"; }
  double now = 100.0;
};

}  // namespace

TEST_CASE("a log gets a line every few seconds and one at the end") {
  HandClock clock;
  std::vector<std::string> lines;
  ProgressOptions options;
  options.clock = &clock;
  options.write = [&](std::string_view text) { lines.emplace_back(text); };
  Progress progress("train", 200, options, 100);
  for (std::int64_t step = 101; step <= 200; ++step) {
    clock.now += 0.5;
    progress.update(step, "loss 0.5");
  }
  progress.finish("done");
  REQUIRE(lines.size() == 11);
  CHECK(lines[0] == "train 110/200 (55%), 2.0/s, 45.0 s left, loss 0.5");
  CHECK(lines[10] == "train 200/200 (100%), 2.0/s, done");
}

TEST_CASE("a terminal gets a bar on one line") {
  HandClock clock;
  std::string shown;
  ProgressOptions options;
  options.clock = &clock;
  options.terminal = true;
  options.write = [&](std::string_view text) { shown += text; };
  Progress progress("pack", 4, options);
  clock.now += 20.0;
  progress.update(2);
  CHECK(shown == "\r[############............] pack 2/4 (50%), 10.0 s each, 20.0 s left\x1b[K");
  progress.update(3);  // too soon to redraw
  progress.finish();
  CHECK(shown.find("3/4") != std::string::npos);
  CHECK(shown.back() == '\n');
}

TEST_CASE("no rate is told of work that took no time, and large rates have no decimals") {
  HandClock clock;
  std::vector<std::string> lines;
  ProgressOptions options;
  options.clock = &clock;
  options.write = [&](std::string_view text) { lines.emplace_back(text); };
  Progress quick("verify", 3, options);
  clock.now += 2e-6;
  quick.update(3);
  quick.finish();
  CHECK(lines.back() == "verify 3/3 (100%)");
  Progress longer("verify", 3000, options);
  clock.now += 2.0;
  longer.update(3000);
  longer.finish();
  CHECK(lines.back() == "verify 3000/3000 (100%), 1500/s");
}

TEST_CASE("the log of a job of hours gets a line every 30 seconds, after every 5 at first") {
  HandClock clock;
  int lines = 0;
  ProgressOptions options = ProgressOptions::for_stderr();
  options.clock = &clock;
  options.terminal = false;
  options.write = [&](std::string_view) { ++lines; };
  Progress progress("pack", 100000, options);
  const auto run_until = [&](double end) {
    while (clock.now < end) {
      progress.update(static_cast<std::int64_t>(clock.now += 1.0));
    }
  };
  run_until(100.0 + 50.0);
  CHECK(lines == 10);
  run_until(100.0 + 3600.0);
  lines = 0;
  run_until(100.0 + 7200.0);
  CHECK(lines == 120);
}
