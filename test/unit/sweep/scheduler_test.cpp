// Schedulers as tables and formulas; points at rungs; what is next, what is pruned.
#include "fakes.hpp"
#include "regatta/base/error.hpp"
#include "regatta/sweep/definition.hpp"
#include "regatta/sweep/plan_table.hpp"
#include "regatta/sweep/work_queue.hpp"
#include "support/catch.hpp"

namespace regatta {
namespace {

const auto kNobodyIsStale = [](const std::string&) { return false; };

SchedulerOptions asha(int eta, std::int64_t least, std::int64_t most = 0) {
  SchedulerOptions options;
  options.name = "asha";
  options.eta = eta;
  options.least = least;
  options.most = most;
  return options;
}

using Epochs = std::vector<std::int64_t>;

TEST_CASE("rungs are powers of eta from the least on, rounded up to validations, below the training's end") {
  const auto scheduler = make_scheduler("asha");
  CHECK(scheduler->rungs(asha(3, 1), 81, 1) == Epochs{1, 3, 9, 27});
  CHECK(scheduler->rungs(asha(3, 1), 82, 1) == Epochs{1, 3, 9, 27, 81});
  CHECK(scheduler->rungs(asha(3, 5), 100, 4) == Epochs{8, 16, 48});
  CHECK(scheduler->rungs(asha(2, 3), 50, 10) == Epochs{10, 20, 40});
  CHECK(scheduler->rungs(asha(3, 0), 500, 1) == Epochs{7, 21, 63, 189});
  CHECK(scheduler->rungs(asha(3, 7, 63), 500, 1) == Epochs{7, 21, 63});
  CHECK_THROWS_WITH(scheduler->rungs(asha(3, 20), 20, 1), Catch::Contains("/scheduler/least"));
  CHECK(make_scheduler("none")->rungs({}, 500, 1).empty());
  CHECK_THROWS_WITH(make_scheduler("hyperband"), Catch::Contains("have: none, asha"));
}

TEST_CASE("one in eta is promoted, at least one of a closed rung, and nothing is pruned that could be promoted") {
  const auto scheduler = make_scheduler("asha");
  const SchedulerOptions options = asha(3, 1);
  CHECK(scheduler->promotes(options, {2, 64, false}) == 0);
  CHECK(scheduler->promotes(options, {2, 2, true}) == 1);
  CHECK(scheduler->promotes(options, {64, 64, true}) == 21);
  CHECK(scheduler->keeps(options, {10, 64, false}) == 21);
  CHECK(scheduler->keeps(options, {2, 2, false}) == 1);
  CHECK(scheduler->keeps(options, {60, 64, true}) == 20);
  SchedulerOptions stop = options;
  stop.form = "stop";
  CHECK(scheduler->promotes(stop, {2, 64, false}) == 1);
  CHECK(scheduler->keeps(stop, {7, 64, false}) == 2);
}

TEST_CASE("the rung table of 81 points with eta 3 costs 297 + 81 epochs where all take 6561") {
  const auto rows = rung_table(asha(3, 1), {1, 3, 9, 27}, 81, 81, 1, 1);
  Epochs points;
  std::int64_t epochs = 0;
  for (const RungRow& row : rows) {
    points.push_back(row.points);
    epochs += row.epochs_more;
  }
  CHECK(points == Epochs{81, 27, 9, 3, 1});
  CHECK(epochs == 81 + 54 + 54 + 54 + 54);
  const auto folds = rung_table(asha(3, 1), {1}, 10, 4, 5, 2);
  CHECK(folds.at(0).trials == 20);
  CHECK(folds.at(1).points == 1);
  CHECK(folds.at(1).trials == 10);
  CHECK(folds.at(1).epochs_more == 5 * 9 + 5 * 10);
}

/// A sweep of points that pause at steps 10 and 30 of 90.
class Ladder {
 public:
  explicit Ladder(std::int64_t trials, int replicates = 1) : state_(rules(trials, replicates)) {}

  static SweepRules rules(std::int64_t trials, int replicates) {
    SweepRules rules{trials, 3, "dice", true};
    rules.scheduler = asha(3, 1);
    rules.rungs = 2;
    rules.replicates = replicates;
    return rules;
  }

  /// A slice that ends at its rung.
  void reach(std::int64_t trial, int rung, const Json& value) {
    const int attempt = state_.attempts(trial) + 1;
    const std::int64_t step = rung == 0 ? 10 : 30;
    add("start", {{"trial", trial}, {"attempt", attempt}, {"resume_step", 0}, {"seen", attempt == 1 ? "" : "paused"}});
    add("rung", {{"trial", trial}, {"attempt", attempt}, {"rung", rung}, {"step", step}, {"value", value}});
    add("checkpoint", {{"trial", trial}, {"attempt", attempt}, {"step", step}});
    add("end", {{"trial", trial}, {"attempt", attempt}, {"status", "paused"}, {"step", step}, {"message", ""}});
  }

  void end(std::int64_t trial, const std::string& status) {
    const int attempt = state_.attempts(trial) + 1;
    add("start", {{"trial", trial}, {"attempt", attempt}, {"resume_step", 0}, {"seen", attempt == 1 ? "" : "paused"}});
    add("end", {{"trial", trial}, {"attempt", attempt}, {"status", status}, {"step", 90}, {"message", ""}});
  }

  void promote(std::int64_t trial, int rung) {
    add("promote", {{"trial", trial}, {"attempt", state_.attempts(trial) + 1}, {"rung", rung}});
  }

  void prune(std::int64_t trial) {
    add("prune",
        {{"trial", trial}, {"attempt", state_.attempts(trial) + 1}, {"rung", state_.standings().level_of(trial)}});
  }

  void add(const std::string& type, const Json& fields) {
    const std::vector<Json> records = {test::record("s.jsonl", ++seq_, type, fields)};
    state_.apply(records);
  }

  /// "promote 3 from 0", "begin 4", "go on 2", "nothing"
  std::string next() const {
    const auto next = next_in_line(state_, {}, kNobodyIsStale);
    if (!next) {
      return "nothing";
    }
    return next->promotion ? str("promote ", next->trial, " from ", next->promotion->rung)
                           : str(next->attempt == 1 ? "begin " : "go on ", next->trial);
  }

  const SweepState& state() const { return state_; }

 private:
  SweepState state_;
  int seq_ = 0;
};

TEST_CASE("a trial at a rung is held, not interrupted; the best third of a rung is promoted before new trials begin") {
  Ladder ladder(9);
  ladder.reach(0, 0, 0.5);
  ladder.reach(1, 0, 0.7);
  CHECK(ladder.state().trial(0).phase == TrialPhase::kHeld);
  CHECK(ladder.state().counts().held == 2);
  CHECK(ladder.next() == "begin 2");
  ladder.reach(2, 0, 0.6);
  CHECK(ladder.next() == "promote 1 from 0");
  ladder.promote(1, 0);
  CHECK(ladder.state().trial(1).phase == TrialPhase::kPaused);
  CHECK(ladder.next() == "go on 1");
  ladder.reach(1, 1, 0.8);
  CHECK(ladder.state().trial(1).rungs == std::vector<std::optional<double>>{0.7, 0.8});
  CHECK(ladder.next() == "begin 3");
}

TEST_CASE("a rung that can get no more results promotes at least one, so that a sweep of any size reaches the end") {
  Ladder ladder(2);
  ladder.reach(0, 0, 0.5);
  ladder.reach(1, 0, 0.5);
  CHECK(ladder.next() == "promote 0 from 0");  // of equal ones the first
  ladder.promote(0, 0);
  ladder.reach(0, 1, 0.6);
  CHECK(ladder.state().hopeless() == std::vector<std::int64_t>{1});
  CHECK(ladder.next() == "promote 0 from 1");
  ladder.promote(0, 1);
  CHECK(ladder.state().next_rung(0) == std::nullopt);
  ladder.end(0, "ok");
  ladder.prune(1);
  CHECK(ladder.state().finished());
  CHECK(ladder.state().counts().by_status == std::map<std::string, std::int64_t>{{"ok", 1}, {"pruned", 1}});
}

TEST_CASE("diverged trials count at their rung as the last, failed ones do not, and neither is waited for") {
  Ladder ladder(4);
  ladder.end(0, "diverged");
  ladder.reach(1, 0, "nan");
  ladder.reach(2, 0, 0.1);
  CHECK(ladder.state().hopeless() == std::vector<std::int64_t>{1});
  CHECK(ladder.next() == "promote 2 from 0");
  ladder.promote(2, 0);
  for (int attempt = 0; attempt < 3; ++attempt) {
    const int next = ladder.state().attempts(3) + 1;
    ladder.add("start", {{"trial", 3}, {"attempt", next}, {"resume_step", 0}, {"seen", next == 1 ? "" : "failed"}});
    ladder.add("end", {{"trial", 3}, {"attempt", next}, {"status", "failed"}, {"step", 0}, {"message", ""}});
  }
  ladder.reach(2, 1, 0.2);
  CHECK(ladder.next() == "promote 2 from 1");
}

TEST_CASE("a held trial is pruned once more points than the quota are better, and recalled when the quota grows") {
  Ladder ladder(6);  // two go on
  ladder.reach(0, 0, 0.1);
  ladder.reach(1, 0, 0.2);
  CHECK(ladder.state().hopeless().empty());
  ladder.reach(2, 0, 0.3);
  CHECK(ladder.state().hopeless() == std::vector<std::int64_t>{0});
  ladder.prune(0);
  CHECK(ladder.state().trial(0).status == TrialStatus::kPruned);
  CHECK(ladder.state().trial(0).checkpoint_step == 0);
  CHECK(ladder.state().hopeless().empty());
  ladder.promote(2, 0);
  ladder.add("extend", {{"trials", 12}});
  for (std::int64_t trial = 3; trial < 12; ++trial) {
    ladder.reach(trial, 0, 0.01);
  }
  CHECK(ladder.next() == "go on 2");
  ladder.reach(2, 1, 0.3);
  CHECK(ladder.next() == "promote 1 from 0");
  ladder.promote(1, 0);
  ladder.reach(1, 1, 0.2);
  CHECK(ladder.next() == "promote 0 from 0");  // third of twelve
  ladder.promote(0, 0);
  CHECK(ladder.state().trial(0).phase == TrialPhase::kPaused);
  CHECK(ladder.state().trial(0).recalls == 1);
  CHECK(ladder.state().attempt_after(0).resume_step == 0);
}

TEST_CASE("replicates wait until their point has reached the end; those of other points are pruned with them") {
  Ladder ladder(4, 2);  // points 0, 1 are trials 0, 2; their replicates 1, 3
  CHECK(ladder.next() == "begin 0");
  ladder.reach(0, 0, 0.5);
  CHECK(ladder.next() == "begin 2");
  ladder.reach(2, 0, 0.4);
  ladder.promote(0, 0);
  CHECK(ladder.state().hopeless() == std::vector<std::int64_t>{2});
  ladder.prune(2);
  CHECK(ladder.state().hopeless() == std::vector<std::int64_t>{3});
  ladder.prune(3);
  ladder.reach(0, 1, 0.6);
  ladder.promote(0, 1);
  CHECK(ladder.next() == "go on 0");
  ladder.end(0, "ok");
  CHECK(ladder.next() == "begin 1");
  CHECK_FALSE(ladder.state().next_rung(1).has_value());
  ladder.end(1, "ok");
  CHECK(ladder.state().finished());
}

TEST_CASE("folds of a point climb together by their mean") {
  SweepRules rules = Ladder::rules(6, 1);
  rules.born = [](std::int64_t number) {
    return TrialPoint{number, number, 0, {{"/data/fold", number / 3}, {"/optim/lr", number % 3}}};
  };
  SweepState state(rules);
  int seq = 0;
  const auto reach = [&](std::int64_t trial, double value) {
    for (const auto& [type, fields] :
         std::vector<std::pair<std::string, Json>>{{"start", {{"resume_step", 0}, {"seen", ""}}},
                                                   {"rung", {{"rung", 0}, {"step", 10}, {"value", value}}},
                                                   {"checkpoint", {{"step", 10}}},
                                                   {"end", {{"status", "paused"}, {"step", 10}, {"message", ""}}}}) {
      Json all = fields;
      all["trial"] = trial;
      all["attempt"] = 1;
      const std::vector<Json> records = {test::record("s.jsonl", ++seq, type, all)};
      state.apply(records);
    }
  };
  CHECK(state.standings().points() == 3);
  reach(0, 0.9);
  reach(1, 0.6);
  reach(2, 0.5);
  CHECK(next_in_line(state, {}, kNobodyIsStale)->trial == 3);
  reach(3, 0.1);
  reach(4, 0.6);
  reach(5, 0.1);
  const auto next = next_in_line(state, {}, kNobodyIsStale);
  REQUIRE(next);
  CHECK(next->trial == 1);  // mean 0.6, where the others have 0.5 and 0.3
  REQUIRE(next->promotion);
  const std::vector<Json> promoted = {
      test::record("s.jsonl", ++seq, "promote", {{"trial", 1}, {"attempt", 2}, {"rung", 0}})};
  state.apply(promoted);
  CHECK(state.trial(4).phase == TrialPhase::kPaused);
  CHECK(next_in_line(state, {1}, kNobodyIsStale)->trial == 4);
}

TEST_CASE("budgets are totals in the journal that only grow, and say when they are used up") {
  SweepRules rules{4, 3, "dice", true};
  rules.budget = {1.0, std::nullopt};
  SweepState state(rules);
  int seq = 0;
  const auto add = [&](const std::string& type, const Json& fields) {
    const std::vector<Json> records = {test::record("s.jsonl", ++seq, type, fields)};
    state.apply(records);
  };
  add("start", {{"trial", 0}, {"attempt", 1}, {"resume_step", 0}, {"seen", ""}});
  add("checkpoint", {{"trial", 0}, {"attempt", 1}, {"step", 10}, {"gpu_s", 1800.0}});
  CHECK(state.spent_text().empty());
  add("end", {{"trial", 0}, {"attempt", 1}, {"status", "paused"}, {"step", 20}, {"message", ""}, {"gpu_s", 1836.0}});
  CHECK(state.spent_text() == "1.01 of 1 GPU-hours are used");
  add("budget", {{"gpu_hours", 2.0}, {"target", 0.8}});
  add("budget", {{"gpu_hours", 1.5}, {"target", 0.7}});
  CHECK(state.budget() == Budget{2.0, 0.8});
  CHECK(state.spent_text().empty());
  add("report", {{"trial", 0}, {"attempt", 1}, {"step", 20}, {"epoch", 2}, {"metrics", {{"dice", 0.81}}}});
  CHECK(state.spent_text() == "dice 0.81 reaches the target of 0.8");
  add("budget", {{"gpu_hours", 0.0}, {"target", nullptr}});
  CHECK(state.spent_text().empty());
}

TEST_CASE("a job with a scheduler is another experiment, one without is the same as before there were any") {
  test::FakeDescriber describer;
  const SweepDefinition plain = define_sweep(test::small_job(), describer);
  CHECK_FALSE(plain.identity.contains("scheduler"));
  JobOptions job = test::small_job();
  job.scheduler = asha(3, 1);
  const SweepDefinition halving = define_sweep(job, describer);
  CHECK(halving.identity.at("scheduler").at("name") == "asha");
  CHECK(rules_of(halving).rungs > 0);
  job.axes["/train/epochs"].list = {10, 20};
  CHECK_THROWS_WITH(define_sweep(job, describer), Catch::Contains("equally long trainings"));
  JobOptions idle = test::small_job();
  idle.scheduler.eta = 4;
  CHECK_THROWS_WITH(define_sweep(idle, describer), Catch::Contains("no effect with the scheduler none"));
}

TEST_CASE("the plan of a job with rungs shows who reaches them and what that costs") {
  test::FakeDescriber describer;
  JobOptions job = test::small_job();
  job.scheduler = asha(3, 1);
  const SweepDefinition definition = define_sweep(job, describer);
  const auto plans = plan_trials(definition, 0, definition.trials, describer);
  const std::string text = plan_text(definition, plans);
  CHECK_THAT(text, Catch::Contains("scheduler asha, eta 3"));
  CHECK_THAT(text, Catch::Contains("that all trials take to their end"));
  CHECK(plan_json(definition, plans).at("rungs").front().at("points") == definition.trials);
}

}  // namespace
}  // namespace regatta
