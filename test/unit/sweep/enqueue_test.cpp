// Points that are tried first: in the job, and by `regatta enqueue` while a sweep runs.
#include "fakes.hpp"
#include "regatta/base/error.hpp"
#include "regatta/base/process.hpp"
#include "regatta/sweep/definition.hpp"
#include "regatta/sweep/steer.hpp"
#include "regatta/sweep/sweep.hpp"
#include "support/catch.hpp"
#include "support/temporary_folder.hpp"

using namespace regatta;
using regatta::test::FakeDescriber;
using regatta::test::small_job;

namespace {

constexpr const char* kLr = "/optim/lr";
constexpr const char* kWeight = "/losses/grad/weight";

JobOptions drawn_job(const std::string& sampler) {
  JobOptions job = small_job();
  job.axes[kLr].points = 0;
  job.sampler = sampler;
  job.trials = 8;
  return job;
}

std::string refusal(const JobOptions& job) {
  try {
    const Space space(job);
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "accepted";
}

struct Bench {
  explicit Bench(const JobOptions& job) { create_or_open(files, define_sweep(job, describer)); }

  SweepState state() const {
    SweepState state(rules_of(read_definition(files)));
    state.apply(JournalReader(files.journal()).poll());
    return state;
  }

  SweepDefinition definition() const {
    SweepDefinition definition = read_definition(files);
    definition.extensions = state().extensions();
    definition.proposals = state().proposals();
    return definition;
  }

  TrialPoint trial(std::int64_t number) const {
    const SweepDefinition now = definition();
    return trials_of(now).likely_trial(number);
  }

  test::TemporaryFolder folder;
  SweepFiles files{folder / "sweep"};
  FakeDescriber describer;
};

}  // namespace

TEST_CASE("enqueued points come first, then the sampler's own, of a grid each once") {
  JobOptions job = small_job();
  job.enqueue = {{{kLr, 0.001}, {kWeight, 2}}, {{kLr, 0.01}, {kWeight, 0.5}}};
  const Space space(job);
  CHECK(space.total_trials() == 7);
  std::vector<std::string> texts;
  for (std::int64_t number = 0; number < 7; ++number) {
    texts.push_back(point_text(space.trial(number).point));
  }
  CHECK(texts == std::vector<std::string>{"weight 2  lr 0.001", "weight 0.5  lr 0.01", "weight 0.5  lr 0.0001",
                                          "weight 1  lr 0.0001", "weight 1  lr 0.01", "weight 2  lr 0.0001",
                                          "weight 2  lr 0.01"});
  for (const char* sampler : {"random", "sobol", "tpe"}) {
    JobOptions drawn = drawn_job(sampler);
    const Point first = Space(drawn).trial(0).point;
    drawn.enqueue = {{{kLr, 0.001}, {kWeight, 2}}};
    CHECK(Space(drawn).trial(0).point.at(kLr) == 0.001);
    CHECK(Space(drawn).trial(1).point == first);
  }
}

TEST_CASE("axes that an enqueued point leaves out keep the recipe's value; names stand for named values") {
  JobOptions job = drawn_job("random");
  job.axes["/model"].named = {{"plain", {{"name", "voxelmorph-1"}}}, {"large", {{"name", "voxelmorph-2"}}}};
  job.enqueue = {{{"/model", "large"}}};
  const Point point = Space(job).trial(0).point;
  CHECK(point.at(kWeight) == 1.0);
  CHECK(point.at(kLr) == 1e-4);
  CHECK(point.at("/model").at("name") == "voxelmorph-2");
}

TEST_CASE("enqueued points that cannot be are refused with what there is") {
  JobOptions job = drawn_job("random");
  job.enqueue = {{{"/optim/rate", 1}}};
  CHECK(refusal(job) == "/enqueue/0: '/optim/rate' is no axis, have: /losses/grad/weight, /optim/lr");
  job.enqueue = {{{kLr, 1.0}}};
  CHECK(refusal(job) == "/enqueue/0: /optim/lr 1.0, the axis has 0.0001..0.01");
  job.axes[kWeight].list = {3, 4};
  job.enqueue = {Json::object()};
  CHECK(refusal(job) == "/enqueue/0: /losses/grad/weight of the recipe is 1.0, the axis has 3, 4");
  job.axes["/model/options/kernel"].list = {5, 7};
  job.axes["/model/options/kernel"].when = {{kWeight, 4}};
  job.enqueue = {{{kWeight, 4}}};
  CHECK(refusal(job) ==
        "/enqueue/0: /model/options/kernel is left out, and the recipe does not say it either; give it");
  job.enqueue = {{{kWeight, 3}, {"/model/options/kernel", 5}}};
  CHECK(refusal(job) == "/enqueue/0: /model/options/kernel does not count there (its \"when\")");
  job.enqueue = {1};
  CHECK_THROWS_WITH(validate(job), "/enqueue: expected points as objects, axis -> value, got an integer");
}

TEST_CASE("a point that is enqueued while a sweep runs is a further trial and goes before those that wait") {
  for (const char* sampler : {"grid", "random", "sobol", "tpe"}) {
    INFO(sampler);
    JobOptions job = std::string(sampler) == "grid" ? small_job() : drawn_job(sampler);
    job.replicates = 2;
    job.trials = std::string(sampler) == "grid" ? 0 : 7;  // the last point has one replicate
    Bench bench(job);
    const std::int64_t born = bench.state().total();
    const EnqueuedPoint first = order_enqueue(bench.files, {{kLr, 0.003}, {kWeight, 2}}, bench.describer);
    CHECK(first.first == born);
    CHECK(first.trials == 2);
    CHECK(bench.state().total() == born + 2);
    CHECK(bench.trial(born).point.at(kLr) == 0.003);
    CHECK(bench.trial(born + 1).replicate == 1);
    NoJobProbe probe;
    Sweep sweep(bench.files, rules_of(bench.definition()), this_job(), probe);
    sweep.decide_settings(bench.definition().job);
    const Owner owner = test::own_owner("shard");
    CHECK(sweep.claim_next(owner)->trial == born);
    CHECK(sweep.claim_next(owner)->trial == born + 1);
    CHECK(sweep.claim_next(owner)->trial == 0);
    CHECK_THROWS_WITH(order_enqueue(bench.files, {{kLr, 0.003}, {kWeight, 2}}, bench.describer),
                      Catch::Contains("the sweep has this point: t"));
    CHECK_THROWS_WITH(order_enqueue(bench.files, {{kLr, 7}}, bench.describer),
                      Catch::Contains("enqueue: /optim/lr 7, the axis has 0.0001..0.01"));
  }
}

TEST_CASE("points behind an enqueued one keep their draws, and a total counts the job's own trials") {
  JobOptions job = drawn_job("random");
  job.replicates = 2;
  job.trials = 7;
  Bench bench(job);
  order_enqueue(bench.files, {{kLr, 0.003}, {kWeight, 2}}, bench.describer);
  job.trials = 12;
  const Space whole(job);
  std::vector<std::string> said;
  SweepState state = bench.state();
  const OpenedSweep opened = create_or_open(bench.files, define_sweep(job, bench.describer));
  JournalReader reader(bench.files.journal());
  SweepState live(rules_of(bench.definition()));
  const auto read_state = [&]() -> const SweepState& {
    live.apply(reader.poll());
    return live;
  };
  extend_sweep(bench.files, opened, read_state, bench.describer, said);
  CHECK(bench.state().total() == 14);
  std::map<std::int64_t, std::set<std::string>> points;  // by index
  for (std::int64_t number = 0; number < 14; ++number) {
    const TrialPoint trial = bench.trial(number);
    points[trial.index].insert(point_key(trial.point));
    if (number != 7 && number != 8) {
      CHECK(trial.point == whole.trial(number < 7 ? number : number - 2).point);
    }
  }
  CHECK(points.size() == 7);
  for (const auto& [index, keys] : points) {
    INFO(index);
    CHECK(keys.size() == 1);
  }
  said.clear();
  extend_sweep(bench.files, opened, read_state, bench.describer, said);
  CHECK(said.empty());
}

TEST_CASE("a grid with an enqueued point takes further values, and the point stays") {
  Bench bench(small_job());
  order_enqueue(bench.files, {{kLr, 0.003}, {kWeight, 2}}, bench.describer);
  JobOptions wider = small_job();
  wider.axes[kWeight].list.push_back(4);
  OpenedSweep opened = create_or_open(bench.files, define_sweep(wider, bench.describer));
  opened.definition.extensions = bench.state().extensions();
  const ExtensionPlan plan = plan_extension(opened, bench.state().total());
  REQUIRE(plan.extension);
  CHECK(plan.extension->first == 7);
  CHECK(plan.extension->trials == 9);
  CHECK(plan.extension->added.front().index == 7);
}
