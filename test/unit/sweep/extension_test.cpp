// Extending a sweep: what is added, under which numbers, what is refused, and that all readers agree.
#include "fakes.hpp"
#include "regatta/base/error.hpp"
#include "regatta/base/files.hpp"
#include "regatta/sweep/definition.hpp"
#include "regatta/sweep/journal.hpp"
#include "regatta/sweep/repeats.hpp"
#include "regatta/sweep/sweep.hpp"
#include "regatta/sweep/work_queue.hpp"
#include "support/catch.hpp"
#include "support/temporary_folder.hpp"

using namespace regatta;
using test::FakeDescriber;
using test::small_job;

namespace {

/// A constant rate, so that trainings may become longer.
JobOptions plain_job() {
  JobOptions job = small_job();
  job.recipe["optim"] = {{"schedule", "constant"}};
  return job;
}

/// A sweep in a folder, opened again and again with other jobs.
struct Bench {
  test::TemporaryFolder folder;
  SweepFiles files{folder.path()};
  FakeDescriber describer;
  std::vector<std::string> said;

  SweepDefinition open(const JobOptions& job) {
    OpenedSweep opened = create_or_open(files, define_sweep(job, describer));
    said = opened.asked.notes;
    SweepState state(rules_of(opened.definition));
    JournalReader reader(files.journal());
    return extend_sweep(
        files, std::move(opened),
        [&]() -> const SweepState& {
          state.apply(reader.poll());
          return state;
        },
        describer, said);
  }

  std::string refusal(const JobOptions& job) {
    try {
      open(job);
    } catch (const Error& error) {
      return error.what();
    }
    return "accepted";
  }

  SweepState state() const {
    SweepState folded(rules_of(read_definition(files)));
    JournalReader reader(files.journal());
    folded.apply(reader.poll());
    return folded;
  }

  /// All trials, "number point.replicate values".
  std::vector<std::string> trials() const {
    SweepDefinition definition = read_definition(files);
    const SweepState folded = state();
    definition.extensions = folded.extensions();
    const TrialList list = trials_of(definition);
    std::vector<std::string> texts;
    for (std::int64_t number = 0; number < folded.total(); ++number) {
      const TrialPoint trial = list.trial(number);
      texts.push_back(str(trial.number, " ", trial.index, ".", trial.replicate, " ", point_text(trial.point)));
    }
    return texts;
  }

  /// Journals that a trial ended ok, and leaves its files.
  void finish(int trial, bool keep_final, std::int64_t length = 0, int attempt = 1) {
    const SweepDefinition born = read_definition(files);
    const std::string shard = str("s", trial, "-", attempt, ".jsonl");
    JournalWriter writer(files.journal(), {"local", str("job", trial, attempt), 0, false});
    Json started = {
        {"trial", trial}, {"attempt", attempt}, {"rank", 0}, {"host", "n"}, {"seen", attempt > 1 ? "ok" : ""}};
    SweepDefinition now = born;
    now.extensions = state().extensions();
    const TrialPlan plan = plan_trials(now, trial, 1, describer).front();
    started["recipe_hash"] = plan.description.hash;
    started["resume_step"] = attempt > 1 ? 20 : 0;
    if (length > 0) {
      started["length"] = length;
    }
    writer.append("start", started);
    writer.append("checkpoint", {{"trial", trial}, {"attempt", attempt}, {"step", plan.description.steps}});
    writer.append("end", {{"trial", trial},
                          {"attempt", attempt},
                          {"status", "ok"},
                          {"step", plan.description.steps},
                          {"message", ""},
                          {"result", {{"best", {{"dice", 0.5 + 0.01 * trial}}}, {"best_step", 20}}}});
    writer.commit();
    write_trial_recipe(files.trial(trial), plan);
    if (keep_final) {
      const TrialFiles own = files.trial(trial);
      make_directories(own.checkpoints(attempt));
      write_file_atomically(own.checkpoints(attempt) / checkpoint_name(20), "w");
      write_file_atomically(own.manifest(attempt),
                            R"({"checkpoints": [{"file": "000000020.safetensors", "step": 20}]})");
    }
  }
};

}  // namespace

TEST_CASE("a further list value adds its trials with later numbers, and finished points keep theirs") {
  Bench bench;
  bench.open(small_job());
  const auto born = bench.trials();
  REQUIRE(born.size() == 6);
  JobOptions job = small_job();
  job.axes["/losses/grad/weight"].list = {0.25, 0.5, 1.0, 2};  // in front, and 1 as 1.0
  bench.open(job);
  const auto all = bench.trials();
  REQUIRE(all.size() == 8);
  CHECK(std::vector<std::string>(all.begin(), all.begin() + 6) == born);
  CHECK(all[6] == "6 6.0 weight 0.25  lr 0.0001");
  CHECK(all[7] == "7 7.0 weight 0.25  lr 0.01");
  CHECK(bench.said == std::vector<std::string>{"extended from 6 to 8 trials (t00006 to t00007 are new)"});

  SECTION("the same job again adds nothing") {
    bench.open(job);
    CHECK(bench.said.empty());
    CHECK(bench.trials() == all);
  }
  SECTION("the job as born takes nothing back") {
    bench.open(small_job());
    CHECK(bench.said ==
          std::vector<std::string>{"the job asks for 6 trials, the sweep has 8 already: nothing is taken back"});
    CHECK(bench.trials() == all);
  }
  SECTION("a second extension follows the first") {
    job.replicates = 2;
    bench.open(job);
    const auto more = bench.trials();
    REQUIRE(more.size() == 16);
    CHECK(more[8] == "8 6.1 weight 0.25  lr 0.0001");
    CHECK(more[10] == "10 0.1 weight 0.5  lr 0.0001");
  }
  SECTION("a job that knows nothing of it and adds something else is refused with what it leaves out") {
    JobOptions other = small_job();
    other.axes["/losses/grad/weight"].list = {0.5, 1, 2, 4};
    const std::string text = bench.refusal(other);
    CHECK(text.find("leaves out t00006 (weight 0.25  lr 0.0001)") != std::string::npos);
    CHECK(bench.trials() == all);
  }
}

TEST_CASE("a wider and a denser grid keep the points that are there") {
  Bench bench;
  bench.open(small_job());
  JobOptions wider = small_job();
  wider.axes["/optim/lr"].log = {1e-4, 1.0 / 4};
  CHECK(bench.refusal(wider).find("leaves out t00001 (weight 0.5  lr 0.01)") != std::string::npos);
  JobOptions denser = small_job();
  denser.axes["/optim/lr"].points = 3;  // 1e-4, 1e-3, 1e-2
  bench.open(denser);
  CHECK(bench.trials().size() == 9);
  CHECK(bench.trials()[6] == "6 6.0 weight 0.5  lr 0.001");
  denser.axes["/optim/lr"].log = {1e-4, 1e-1};
  denser.axes["/optim/lr"].points = 4;
  bench.open(denser);
  CHECK(bench.trials().size() == 12);
  CHECK(bench.trials()[11] == "11 11.0 weight 2  lr 0.1");
}

TEST_CASE("more replicates of finished points have later numbers, the point's index and the next seeds") {
  Bench bench;
  bench.open(small_job());
  JobOptions job = small_job();
  job.replicates = 3;
  const SweepDefinition definition = bench.open(job);
  const auto all = bench.trials();
  REQUIRE(all.size() == 18);
  CHECK(all[6] == "6 0.1 weight 0.5  lr 0.0001");
  CHECK(all[7] == "7 0.2 weight 0.5  lr 0.0001");
  CHECK(all[17] == "17 5.2 weight 2  lr 0.01");
  CHECK(trials_of(definition).replicates() == 3);
  const auto plans = plan_trials(definition, 6, 2, bench.describer);
  CHECK(plans[0].seed == 8);
  CHECK(plans[1].seed == 9);
}

TEST_CASE("random search gets more trials, and more replicates where the total allows them") {
  Bench bench;
  JobOptions job = small_job();
  job.axes["/optim/lr"].points = 0;
  job.sampler = "random";
  job.trials = 3;
  bench.open(job);
  job.trials = 4;
  bench.open(job);
  const auto four = bench.trials();
  REQUIRE(four.size() == 4);
  job.replicates = 2;
  CHECK(bench.refusal(job).find("raise /trials with /replicates") != std::string::npos);
  job.trials = 8;
  bench.open(job);
  const auto all = bench.trials();
  REQUIRE(all.size() == 8);
  CHECK(std::vector<std::string>(all.begin(), all.begin() + 4) == four);
  CHECK(all[4].starts_with("4 0.1 "));
  job.trials = 10;
  bench.open(job);
  CHECK(bench.trials()[8].starts_with("8 4.0 "));
  CHECK(bench.trials()[9].starts_with("9 4.1 "));
  job.axes["/optim/lr"].log = {1e-4, 1e-1};
  CHECK(bench.refusal(job).find("another experiment") != std::string::npos);
}

TEST_CASE("values that the models refuse are never recorded") {
  Bench bench;
  bench.open(small_job());
  JobOptions job = small_job();
  job.axes["/optim/lr"].log.clear();
  job.axes["/optim/lr"].points = 0;
  job.axes["/optim/lr"].list = {1e-4, 1e-2, 0.9};
  CHECK(bench.refusal(job).find("/optim/lr: refused by the model") != std::string::npos);
  CHECK(bench.trials().size() == 6);
}

TEST_CASE("two processes that extend at once: one record a number, and the other sees it") {
  Bench bench;
  bench.open(small_job());
  Extension extension;
  extension.number = 1;
  extension.first = 6;
  extension.trials = 7;
  extension.added = {{6, 6, 0, {{"/optim/lr", 0.5}}}};
  CHECK(write_extension(bench.files, extension));
  extension.added[0].point["/optim/lr"] = 0.25;
  CHECK_FALSE(write_extension(bench.files, extension));
  CHECK(bench.trials().back() == "6 6.0 lr 0.5");
  CHECK(bench.state().ignored() == 0);
}

TEST_CASE("extensions are folded by number, whatever is read first, and records that do not fit are counted") {
  const auto record = [](int number, int first, int trials) {
    Json added = Json::array();
    for (int i = first; i < trials; ++i) {
      added.push_back({{"point", i}, {"replicate", 0}, {"axes", {{"/optim/lr", i}}}});
    }
    return test::record(extension_shard(number), 1, "extension",
                        {{"extension", number}, {"first", first}, {"trials", trials}, {"added", added}});
  };
  SweepState state({6, 3, "dice", true});
  state.apply(std::vector<Json>{record(2, 8, 9)});
  CHECK(state.total() == 6);
  state.apply(std::vector<Json>{test::record("old.jsonl", 1, "extend", {{"trials", 12}})});
  CHECK(state.total() == 12);
  state.apply(std::vector<Json>{record(1, 6, 8)});
  CHECK(state.total() == 9);  // what an earlier version counts beyond the first listed trial is no trial
  CHECK(state.extensions().size() == 2);
  state.apply(std::vector<Json>{test::record("x.jsonl", 1, "extension", {{"extension", 3}, {"trials", 20}})});
  CHECK(state.ignored() == 1);
  CHECK(state.total() == 9);
}

TEST_CASE("longer trainings: finished trials that kept their final checkpoint continue from it") {
  Bench bench;
  bench.open(plain_job());
  for (int trial = 0; trial < 6; ++trial) {
    bench.finish(trial, true);
  }
  REQUIRE(bench.state().finished());
  JobOptions job = plain_job();
  set_pointer(job.recipe, "/train/epochs", 3);
  const SweepDefinition definition = bench.open(job);
  CHECK(bench.said == std::vector<std::string>{"extended to 3 epochs for every trial"});
  const SweepState state = bench.state();
  CHECK_FALSE(state.finished());
  CHECK(state.counts().paused == 6);
  CHECK_FALSE(state.best());
  const auto next = next_in_line(state, {}, [](const std::string&) { return false; });
  REQUIRE(next);
  CHECK(next->trial == 0);
  CHECK(next->attempt == 2);
  CHECK(next->seen == "ok");
  CHECK(next->resume_step == 20);
  const TrialPlan plan = plan_trials(definition, 0, 1, bench.describer).front();
  CHECK(plan.description.steps == 30);
  CHECK(plan.description.hash == state.trial(0).recipe_hash);  // the horizon is that of birth
  write_trial_recipe(bench.files.trial(0), plan);
  CHECK(*find_pointer(read_json(bench.files.trial(0).recipe()), "/train/epochs") == 3);

  bench.finish(0, true, 1, 2);
  CHECK(bench.state().trial(0).status == TrialStatus::kOk);
  CHECK(bench.state().counts().done == 1);

  SECTION("a process that has not read the extension cannot make a trial shorter again") {
    const SweepDefinition born = read_definition(bench.files);
    CHECK_THROWS_WITH(write_trial_recipe(bench.files.trial(0), plan_trials(born, 0, 1, bench.describer).front()),
                      Catch::Contains("/epochs: 3 -> 2"));
  }
  SECTION("an end at the length of birth does not finish a trial") {
    bench.finish(1, true, 0, 2);
    CHECK(bench.state().trial(1).phase == TrialPhase::kPaused);
  }
  SECTION("the job as born takes nothing back") {
    bench.open(plain_job());
    CHECK(bench.said ==
          std::vector<std::string>{
              "the job asks for trainings of 20 steps, the sweep's have 30 already: nothing is taken back"});
  }
}

TEST_CASE("longer trainings are refused where the schedule ends, nothing was kept, or a trial runs without keeping") {
  Bench bench;
  JobOptions job = small_job();
  bench.open(job);
  set_pointer(job.recipe, "/train/epochs", 3);
  CHECK(bench.refusal(job).find("/recipe/optim/horizon_epochs: 2 -> 3") == std::string::npos);
  CHECK(bench.refusal(job).find("(/optim/schedule \"poly\") runs down over the training as born (20 steps)") !=
        std::string::npos);
  job.recipe["optim"] = {{"horizon_epochs", 2}};  // the rate stays at its last value
  bench.finish(0, false);
  CHECK(bench.refusal(job).find("t00000 is finished and kept no checkpoint to continue from (/checkpoint/keep_final") !=
        std::string::npos);
  CHECK(bench.state().extensions().empty());
  bench.finish(0, true, 0, 2);
  JournalWriter writer(bench.files.journal(), {"local", "j", 0, false});
  writer.append("start", {{"trial", 1}, {"attempt", 1}, {"seen", ""}, {"recipe_hash", ""}, {"resume_step", 0}});
  writer.commit();
  write_trial_recipe(bench.files.trial(1), plan_trials(read_definition(bench.files), 1, 1, bench.describer).front());
  CHECK(bench.refusal(job).find("t00001 runs without /checkpoint/keep_final; stop the sweep first") !=
        std::string::npos);
  writer.append("leave");
  writer.commit();
  bench.open(job);
  CHECK(bench.said == std::vector<std::string>{"extended to 3 epochs for every trial"});
  set_pointer(job.recipe, "/train/epochs", 1);
  CHECK(bench.refusal(job).find("/steps: 20 -> 10") != std::string::npos);
}

TEST_CASE("values that stand twice in a grid's list, 1 and 1.0 among them, are one, and it is said") {
  JobOptions job = small_job();
  const std::string hash = [&] {
    FakeDescriber describer;
    return define_sweep(job, describer).hash;
  }();
  job.axes["/losses/grad/weight"].list = parse_json(R"([0.5, 1, 1.0, 2, 0.5])", "test");
  job.trials = 10;
  FakeDescriber describer;
  const SweepDefinition definition = define_sweep(job, describer);
  CHECK(definition.trials == 6);
  CHECK(definition.hash == hash);
  CHECK(definition.notes ==
        std::vector<std::string>{"/axes/~1losses~1grad~1weight/list: 1.0 repeats 1 and is left out",
                                 "/axes/~1losses~1grad~1weight/list: 0.5 repeats 0.5 and is left out",
                                 "/trials: 10, but without repeated values there are 6"});
  CHECK(value_key(parse_json(R"({"b": [1.0, "x"], "a": 2})", "t")) ==
        value_key(parse_json(R"({"a": 2.0, "b": [1, "x"]})", "t")));
  CHECK(value_key(parse_json("[1]", "t")) != value_key(parse_json("[true]", "t")));
}

TEST_CASE("a sweep that was born with repeated values keeps its trials and their numbers") {
  Bench bench;
  JobOptions job = small_job();
  job.axes["/losses/grad/weight"].list = parse_json("[0.5, 1, 1.0]", "test");
  SweepDefinition old = [&] {  // as an earlier version wrote it
    JobOptions distinct = small_job();
    distinct.axes["/losses/grad/weight"].list = {0.5, 1, 3};
    return define_sweep(distinct, bench.describer);
  }();
  old.job.axes["/losses/grad/weight"].list = job.axes["/losses/grad/weight"].list;
  old.identity["axes"]["/losses/grad/weight"]["list"] = job.axes["/losses/grad/weight"].list;
  old.hash = hash_json(old.identity);
  create_or_open(bench.files, old);
  const auto born = bench.trials();
  REQUIRE(born.size() == 6);
  CHECK(born[4] == "4 4.0 weight 1.0  lr 0.0001");
  bench.open(job);
  CHECK(bench.trials() == born);
}

TEST_CASE("a plan names random points of discrete axes that come again") {
  JobOptions job = small_job();
  job.axes.clear();
  job.axes["/losses/grad/weight"].list = {0.5, 1, 1};
  job.sampler = "random";
  job.trials = 12;
  FakeDescriber describer;
  const SweepDefinition definition = define_sweep(job, describer);
  CHECK(definition.trials == 12);  // a repeated value is drawn more often
  CHECK(definition.notes ==
        std::vector<std::string>{"/axes/~1losses~1grad~1weight/list: 1 repeats 1, so that it is drawn more often"});
  const auto notes = repeated_trials(plan_trials(definition, 0, 12, describer));
  REQUIRE(notes.size() == 6);
  CHECK(notes[0].find(" repeats t00000 (weight ") != std::string::npos);
  CHECK(notes[5] == "5 more trials repeat earlier ones");
}
