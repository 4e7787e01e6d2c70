// The progress line, and how often it is shown.
#include "launch/sweep_progress.hpp"

#include <sstream>

#include "support/catch.hpp"
#include "unit/launch/stub_sweep.hpp"

namespace regatta {
namespace {

class StillClock final : public Clock {
 public:
  double monotonic_s() const override { return now_s; }

  std::string utc_text() const override { return "2026-01-01T00:00:00Z"; }

  double now_s = 0.0;
};

Json record(const std::string& type, int seq, const Json& fields) {
  Json all = {{"type", type}, {"time", "2026-01-01T00:00:00Z"}, {"shard", "a"}, {"seq", seq}};
  all.update(fields);
  return all;
}

TEST_CASE("progress tells what is done, running, best and left") {
  test::StubSweep stub(4);
  SweepStart start = stub.open();
  TrialResult result;
  result.best = {{"dice", 0.48126}};
  result.best_metric = "dice";
  const std::vector<Json> records = {
      record("start", 1,
             {{"trial", 0},
              {"attempt", 1},
              {"rank", 0},
              {"host", "n"},
              {"recipe_hash", "h"},
              {"resume_step", 0},
              {"seen", ""}}),
      record("report", 2,
             {{"trial", 0}, {"attempt", 1}, {"step", 100}, {"epoch", 1}, {"metrics", {{"dice", 0.48126}}}}),
      record("end", 3,
             {{"trial", 0},
              {"attempt", 1},
              {"status", "ok"},
              {"step", 100},
              {"message", ""},
              {"result", to_json(result)}}),
      record("start", 4,
             {{"trial", 1},
              {"attempt", 1},
              {"rank", 0},
              {"host", "n"},
              {"recipe_hash", "h"},
              {"resume_step", 0},
              {"seen", ""}}),
  };
  SweepState state(rules_of(start.definition));
  state.apply(records);
  // 4 trials of 100 steps, 150 done, 250 left; 2 a second.
  const std::map<std::int64_t, RunningTrial> running = {{1, {50, 500.0}}};
  CHECK(sweep_progress_text(state, start.book, "dice", running) ==
        "1/4 done, 1 running, best trial t00000 dice 0.4813, about 2 min 05 s left");
  CHECK(sweep_progress_bar(state, start.book, running, 8) == "[###-----]");
}

TEST_CASE("a log gets a line every 5 seconds at first, later every 30; the same line only every 5 minutes") {
  StillClock clock;
  std::ostringstream log;
  SweepProgress lines(log, false, clock);
  CHECK(lines.is_due());
  lines.show("[#-]", "one");
  CHECK_FALSE(lines.is_due());
  clock.now_s = 6;
  CHECK(lines.is_due());
  lines.show("[#-]", "one");
  lines.show("[##]", "two");
  clock.now_s = 70;
  lines.show("[##]", "two");
  clock.now_s = 310;
  lines.show("[##]", "two");
  lines.finish();
  CHECK(log.str() == "one\ntwo\ntwo\n");
  clock.now_s = 7200;
  lines.show("[##]", "three");
  clock.now_s += 29;
  CHECK_FALSE(lines.is_due());
  clock.now_s += 1;
  CHECK(lines.is_due());
}

TEST_CASE("a terminal is redrawn in place") {
  StillClock clock;
  std::ostringstream terminal;
  SweepProgress bar(terminal, true, clock);
  bar.show("[#-]", "one");
  bar.show("[##]", "two");
  bar.finish();
  CHECK(terminal.str() == "\r[#-] one\x1b[K\r[##] two\x1b[K\n");
}

}  // namespace
}  // namespace regatta
