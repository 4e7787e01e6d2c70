// The sampler tpe: what it proposes, what it sees of a sweep, and that a record's cut gives the proposal again.
#include <cmath>
#include <set>

#include "fakes.hpp"
#include "regatta/base/error.hpp"
#include "regatta/base/files.hpp"
#include "regatta/base/process.hpp"
#include "regatta/base/random.hpp"
#include "regatta/sweep/definition.hpp"
#include "regatta/sweep/plan_table.hpp"
#include "regatta/sweep/sweep.hpp"
#include "support/catch.hpp"
#include "support/temporary_folder.hpp"

using namespace regatta;
using regatta::test::FakeDescriber;
using regatta::test::small_job;

namespace {

constexpr const char* kLr = "/optim/lr";
constexpr const char* kWeight = "/losses/grad/weight";

JobOptions tpe_job(std::int64_t trials) {
  JobOptions job = small_job();
  job.axes[kLr].points = 0;
  job.axes[kWeight] = {};
  job.axes[kWeight].linear = {0, 4};
  job.sampler = "tpe";
  job.trials = trials;
  return job;
}

/// Best, 1, at rate 0.002 and weight 3.
double dice_of(const Point& point) {
  const double lr = std::log10(point.at(kLr).get<double>() / 0.002);
  const double weight = point.at(kWeight).get<double>() - 3;
  return 1.0 - lr * lr - 0.1 * weight * weight;
}

Observation complete(const Point& point, double value) {
  return {point, ObservationState::kComplete, value, 0};
}

/// Jobs that work on one sweep: each claims, trains and ends trials; everything goes through the journal.
struct Bench {
  explicit Bench(const JobOptions& given) : job(given) {
    create_or_open(files, define_sweep(job, describer));
    definition = read_definition(files);
  }

  struct Job {
    explicit Job(Bench& bench)
        : writer(bench.files.journal(), this_job(), bench.clock),
          owner{this_process(), this_job(), writer.shard()},
          sweep(bench.files, rules_of(bench.definition), this_job(), bench.probe, bench.clock) {
      sweep.decide_settings(bench.definition.job);
      writer.append("join", join_fields(owner, 1));
      writer.commit();
    }

    JournalWriter writer;
    Owner owner;
    Sweep sweep;
  };

  std::optional<NextTrial> begin(Job& job_at_work) {
    clock.now_s += 5;
    auto next = job_at_work.sweep.claim_next(job_at_work.owner);
    if (next) {
      job_at_work.writer.append("start", start_fields(*next, 0, "here", "hash"));
      job_at_work.writer.commit();
    }
    return next;
  }

  Point point_of(const SweepState& state, std::int64_t trial) const {
    return TrialList(definition.job, state.extensions(), state.proposals()).trial(trial).point;
  }

  void end(Job& job_at_work, const NextTrial& trial, const std::string& status = "ok") {
    Json fields = {
        {"trial", trial.trial}, {"attempt", trial.attempt}, {"status", status}, {"step", 20}, {"message", ""}};
    if (status == "ok") {
      job_at_work.sweep.refresh();
      fields["result"] = {{"best", {{"dice", dice_of(point_of(job_at_work.sweep.state(), trial.trial))}}}};
    }
    job_at_work.writer.append("end", fields);
    job_at_work.writer.commit();
  }

  test::TemporaryFolder folder;
  SweepFiles files{folder / "sweep"};
  JobOptions job;
  FakeDescriber describer;
  test::HandClock clock;
  NoJobProbe probe;
  SweepDefinition definition;
};

}  // namespace

TEST_CASE("tpe draws random points until its startup has ended, then where good results are") {
  const Space space(tpe_job(100));
  History history;
  double distance = 0.0;
  double of_random = 0.0;
  for (std::int64_t setting = 0; setting < 60; ++setting) {
    const Point point = space.setting_from(setting, history);
    CHECK((point == space.setting(setting)) == (setting < 10));
    history.observations.push_back(complete(point, dice_of(point)));
    distance += setting >= 40 ? 1.0 - dice_of(point) : 0.0;
    of_random += setting >= 40 ? 1.0 - dice_of(space.setting(setting)) : 0.0;
  }
  CHECK(distance < 0.3 * of_random);
}

TEST_CASE("settings that run keep tpe from proposing the same again") {
  const Space space(tpe_job(100));
  History history;
  for (std::int64_t setting = 0; setting < 30; ++setting) {
    history.observations.push_back(complete(space.setting(setting), dice_of(space.setting(setting))));
  }
  const Point first = space.setting_from(30, history);
  history.observations.push_back({first, ObservationState::kRunning, 0.0, 0});
  const Point second = space.setting_from(31, history);
  CHECK(std::abs(second.at(kWeight).get<double>() - first.at(kWeight).get<double>()) > 1e-3);
  CHECK(space.setting_from(31, history) == second);
}

TEST_CASE("with conditions tpe proposes values for the axes that count, each block by its own observations") {
  JobOptions job = tpe_job(100);
  job.axes["/model/name"].list = {"voxelmorph-1", "lku-net-8"};
  job.axes[kWeight].when = {{"/model/name", "lku-net-8"}};
  const Space space(job);
  History history;
  int with_weight = 0;
  for (std::int64_t setting = 0; setting < 60; ++setting) {
    const Point point = space.setting_from(setting, history);
    const bool is_wide = point.at("/model/name") == "lku-net-8";
    REQUIRE(point.contains(kWeight) == is_wide);
    const double lr = std::log10(point.at(kLr).get<double>() / 0.002);
    const double value = is_wide ? dice_of(point) : 0.2 - lr * lr;
    history.observations.push_back(complete(point, value));
    with_weight += setting >= 30 && is_wide ? 1 : 0;
  }
  CHECK(with_weight > 20);
}

TEST_CASE("one observation per setting: the mean over replicates and folds, once all have ended") {
  JobOptions job = tpe_job(100);
  job.axes[kFoldAxis].list = {0, 1};
  job.replicates = 2;
  const SweepRules rules{100, 3, "dice", true};
  SweepState state(rules);
  std::vector<Json> records;
  const auto add = [&](int trial, const std::string& status, double dice) {
    records.push_back(test::start("a", static_cast<int>(records.size()) + 1, trial, 1));
    Json end = test::end("a", static_cast<int>(records.size()) + 1, trial, 1, status, 20);
    if (status == "ok") {
      end["result"] = {{"best", {{"dice", dice}}}};
    }
    records.push_back(end);
  };
  for (int trial = 0; trial < 4; ++trial) {
    add(trial, "ok", 0.1 * (trial + 1));
  }
  add(4, "ok", 0.9);
  add(8, "ok", 0.9);
  add(9, "diverged", 0);
  add(10, "ok", 0.9);
  add(11, "ok", 0.9);
  const Space space(job);
  for (int setting = 0; setting < 4; ++setting) {
    const Proposal proposal{setting, space.setting(setting), 0, {}};
    Json record = to_json(proposal);
    record.update({{"type", "proposal"}, {"shard", proposal_shard(setting)}, {"seq", 1}});
    records.push_back(record);
  }
  state.apply(records);
  CHECK(state.ignored() == 0);
  const History history = search_history(state, TrialList(job, state.extensions(), state.proposals()));
  REQUIRE(history.observations.size() == 4);
  CHECK(history.observations[0].state == ObservationState::kComplete);
  CHECK(history.observations[0].value == Approx(0.25));
  CHECK(history.observations[0].point == space.setting(0));
  CHECK(history.observations[1].state == ObservationState::kRunning);
  CHECK(history.observations[2].state == ObservationState::kInfeasible);
  CHECK(history.observations[3].state == ObservationState::kRunning);
  CHECK(history.ended() == 2);
}

TEST_CASE("a trial that waits at a rung reaches tpe as pruned, with the value of that rung and not its best") {
  JobOptions job = tpe_job(8);
  job.replicates = 2;
  SweepRules rules{8, 3, "dice", true};
  rules.scheduler.name = "asha";
  rules.scheduler.eta = 4;
  rules.rungs = 2;
  rules.replicates = 2;
  SweepState state(rules);
  std::vector<Json> records;
  const auto add = [&records](const std::string& type, const Json& fields) {
    records.push_back(test::record("a.jsonl", static_cast<int>(records.size()) + 1, type, fields));
  };
  const auto reach = [&add](int trial, const Json& value) {
    const Json attempt = {{"trial", trial}, {"attempt", 1}};
    const auto with = [&attempt](Json fields) {
      fields.update(attempt);
      return fields;
    };
    add("start", with({{"resume_step", 0}, {"seen", ""}}));
    add("report", with({{"step", 5}, {"epoch", 1}, {"metrics", {{"dice", 0.9}}}}));
    add("rung", with({{"rung", 0}, {"step", 10}, {"value", value}}));
    add("checkpoint", with({{"step", 10}}));
    add("end", with({{"status", "paused"}, {"step", 10}, {"message", ""}}));
  };
  reach(0, 0.5);
  reach(2, 0.4);
  reach(4, "nan");
  reach(6, 0.8);
  add("prune", {{"trial", 2}, {"attempt", 2}, {"rung", 0}});
  add("prune", {{"trial", 3}, {"attempt", 1}, {"rung", 0}});
  add("promote", {{"trial", 6}, {"attempt", 2}, {"rung", 0}});
  const Space space(job);
  for (int setting = 0; setting < 4; ++setting) {
    Json record = to_json(Proposal{setting, space.setting(setting), 0, {}});
    record.update({{"type", "proposal"}, {"shard", proposal_shard(setting)}, {"seq", 1}});
    records.push_back(record);
  }
  state.apply(records);
  CHECK(state.ignored() == 0);
  const History history = search_history(state, TrialList(job, state.extensions(), state.proposals()));
  REQUIRE(history.observations.size() == 4);
  CHECK(history.observations[0].state == ObservationState::kPruned);
  CHECK(history.observations[0].value == 0.5);
  CHECK(history.observations[0].step == 10);
  CHECK(history.observations[1].state == ObservationState::kPruned);
  CHECK(history.observations[1].value == 0.4);
  CHECK(history.observations[2].state == ObservationState::kInfeasible);
  CHECK(history.observations[3].state == ObservationState::kRunning);
}

TEST_CASE("jobs that work together never decide on a setting twice, and each cut gives its proposal again") {
  Bench bench(tpe_job(48));
  std::vector<std::unique_ptr<Bench::Job>> jobs;
  for (int i = 0; i < 3; ++i) {
    jobs.push_back(std::make_unique<Bench::Job>(bench));
  }
  std::vector<std::pair<std::size_t, NextTrial>> running;
  const CounterRng rng(7, RandomPurpose::kSampling);
  std::set<std::int64_t> begun;
  for (std::uint64_t round = 0; round < 1000 && (round == 0 || !running.empty()); ++round) {
    const auto at = static_cast<std::size_t>(rng.below(3, round));
    if (running.size() < 6) {
      if (const auto next = bench.begin(*jobs[at])) {
        CHECK(begun.insert(next->trial).second);
        running.emplace_back(at, *next);
      }
    }
    if (running.size() >= 3) {
      const auto which = static_cast<std::ptrdiff_t>(rng.below(running.size(), round, 1));
      const auto [job, trial] = running[static_cast<std::size_t>(which)];
      bench.end(*jobs[job], trial, trial.trial == 5 ? "diverged" : "ok");
      running.erase(running.begin() + which);
    }
  }
  CHECK(begun.size() == 48);
  const std::vector<Json> records = JournalReader(bench.files.journal()).poll();
  std::set<Point> points;
  int checked = 0;
  for (const Json& record : records) {
    const auto proposal = record.at("type") == "proposal" ? proposal_from_json(record) : std::nullopt;
    if (!proposal) {
      continue;
    }
    std::vector<Json> seen;
    for (const Json& other : records) {
      const auto cut = proposal->cut.find(other.at("shard").get<std::string>());
      const bool is_earlier = other.at("type") == "proposal" && other.at("setting") < record.at("setting");
      if (is_earlier || (cut != proposal->cut.end() && other.at("seq") <= cut->second)) {
        seen.push_back(other);
      }
    }
    SweepState then(rules_of(bench.definition));
    then.apply(seen);
    const TrialList trials(bench.definition.job, then.extensions(), then.proposals());
    CHECK(trials.first_open_setting() == proposal->setting);
    CHECK(trials.space().setting_from(proposal->setting, search_history(then, trials)) == proposal->point);
    CHECK(points.insert(proposal->point).second);
    ++checked;
  }
  CHECK(checked == 48);
}

TEST_CASE("with one job the same history gives the same proposals, and a larger total keeps them") {
  const auto points_of = [](std::int64_t trials) {
    Bench bench(tpe_job(trials));
    Bench::Job job(bench);
    std::vector<Point> points;
    for (int i = 0; i < 20; ++i) {
      const auto next = bench.begin(job);
      REQUIRE(next);
      points.push_back(bench.point_of(job.sweep.state(), next->trial));
      bench.end(job, *next);
    }
    return points;
  };
  CHECK(points_of(20) == points_of(40));
}

TEST_CASE("plan shows the points that tpe draws first, and says that the others follow from results") {
  FakeDescriber describer;
  const SweepDefinition definition = define_sweep(tpe_job(25), describer);
  const auto plans = plan_trials(definition, 0, 25, describer);
  const std::string text = plan_text(definition, plans);
  CHECK(text.find("t00009  ") != std::string::npos);
  CHECK(text.find("t00010  ") == std::string::npos);
  CHECK(text.find("15 trials more, whose points tpe decides on as results come; what follows counts them as random "
                  "points\n\n25 trials, 500 steps in all") != std::string::npos);
  const Json plan = plan_json(definition, plans);
  CHECK(plan.at("trials").at(9).at("known") == true);
  CHECK(plan.at("trials").at(10).at("known") == false);
}

TEST_CASE("a tpe sweep can be extended by trials, not by replicates") {
  Bench bench(tpe_job(12));
  const auto asked = [&](const std::function<void(JobOptions&)>& change) {
    JobOptions job = tpe_job(12);
    change(job);
    return create_or_open(bench.files, define_sweep(job, bench.describer));
  };
  const ExtensionPlan longer = plan_extension(asked([](JobOptions& job) { job.trials = 30; }), 12);
  REQUIRE(longer.extension);
  CHECK(longer.extension->trials == 30);
  CHECK_FALSE(longer.extension->is_listed());
  const OpenedSweep replicates = asked([](JobOptions& job) {
    job.trials = 24;
    job.replicates = 2;
  });
  CHECK_THROWS_WITH(plan_extension(replicates, 12), Catch::Contains("keeps the replicates that it was born with"));
}

TEST_CASE("options of one sampler beside another are refused") {
  JobOptions job = small_job();
  job.tpe.startup = 20;
  CHECK_THROWS_WITH(validate(job), "/tpe: has no effect with the sampler grid");
  job = small_job();
  job.warm_start = {"runs/other"};
  CHECK_THROWS_WITH(validate(job), "/warm_start: has no effect with the sampler grid; only tpe learns from results");
}
