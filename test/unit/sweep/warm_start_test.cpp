// Results of other sweeps as the beginning of a history.
#include "fakes.hpp"
#include "regatta/base/error.hpp"
#include "regatta/sweep/definition.hpp"
#include "support/catch.hpp"
#include "support/temporary_folder.hpp"

using namespace regatta;
using regatta::test::FakeDescriber;
using regatta::test::small_job;

namespace {

constexpr const char* kLr = "/optim/lr";

JobOptions drawn_job(const std::string& sampler) {
  JobOptions job = small_job();
  job.axes[kLr].points = 0;
  job.sampler = sampler;
  job.trials = 12;
  return job;
}

/// A random sweep of which eleven trials have ended and one runs.
struct Source {
  Source() {
    create_or_open(files, define_sweep(drawn_job("random"), describer));
    JournalWriter writer(files.journal(), this_job());
    for (int trial = 0; trial < 12; ++trial) {
      writer.append("start", {{"trial", trial},
                              {"attempt", 1},
                              {"rank", 0},
                              {"host", "here"},
                              {"recipe_hash", ""},
                              {"resume_step", 0},
                              {"seen", ""}});
      Json end = {{"trial", trial}, {"attempt", 1}, {"status", "ok"}, {"step", 20}, {"message", ""}};
      end["result"] = {{"best", {{"dice", 0.5 + 0.01 * trial}}}};
      if (trial < 11) {
        writer.append("end", end);
      }
    }
    writer.commit();
  }

  test::TemporaryFolder folder;
  SweepFiles files{folder / "source"};
  FakeDescriber describer;
};

struct Target {
  explicit Target(JobOptions given, const std::string& from) : job(std::move(given)) {
    job.warm_start = {from};
    create_or_open(files, define_sweep(job, describer));
  }

  SweepState state() const {
    SweepState state(rules_of(read_definition(files)));
    state.apply(JournalReader(files.journal()).poll());
    return state;
  }

  std::vector<std::string> lend() const { return lend_histories(files, read_definition(files), state()); }

  JobOptions job;
  test::TemporaryFolder folder;
  SweepFiles files{folder / "target"};
  FakeDescriber describer;
};

std::string refusal(const Target& target) {
  try {
    target.lend();
  } catch (const Error& error) {
    return error.what();
  }
  return "accepted";
}

}  // namespace

TEST_CASE("a warm start copies ended results once, and tpe needs no startup of its own then") {
  const Source source;
  const Target target(drawn_job("tpe"), source.files.root.string());
  CHECK(target.lend() == std::vector<std::string>{str("warm start: 11 points of ", source.files.root.string())});
  CHECK(target.lend().empty());
  const SweepState state = target.state();
  CHECK(state.total() == 12);
  CHECK(state.counts().waiting == 12);
  const TrialList trials(target.job, state.extensions(), state.proposals());
  const History history = search_history(state, trials);
  REQUIRE(history.observations.size() == 11);
  CHECK(history.observations[3].value == Approx(0.53));
  CHECK(history.observations[3].point == Space(drawn_job("random")).trial(3).point);
  CHECK(trials.space().setting_from(0, history) != trials.space().setting(0));
  CHECK(state.search_cut().size() == 1);
  std::filesystem::remove_all(source.files.root);  // what is copied is not read again
  CHECK(target.lend().empty());
}

TEST_CASE("results outside the axes are left out, and the line says how many") {
  const Source source;
  JobOptions job = drawn_job("tpe");
  job.axes[kLr].log = {1e-3, 1e-2};
  const Target target(job, source.files.root.string());
  const Space space(drawn_job("random"));
  int inside = 0;
  for (std::int64_t number = 0; number < 11; ++number) {
    inside += space.trial(number).point.at(kLr) >= 1e-3 ? 1 : 0;
  }
  REQUIRE(inside > 0);
  REQUIRE(inside < 11);
  CHECK(target.lend() == std::vector<std::string>{str("warm start: ", inside, " points of ", source.files.root.string(),
                                                      " (", 11 - inside, " more are outside this job's axes)")});
}

TEST_CASE("sweeps whose results do not compare are refused") {
  const Source source;
  const std::string from = source.files.root.string();
  JobOptions job = drawn_job("tpe");
  job.axes["/optim/beta1"].linear = {0.8, 0.9};
  CHECK(refusal(Target(job, from)).find("its axes are /losses/grad/weight, /optim/lr, this sweep's are") !=
        std::string::npos);
  job = drawn_job("tpe");
  set_pointer(job.recipe, "/train/epochs", 3);
  CHECK(refusal(Target(job, from)) ==
        str("/warm_start: ", from, ": its results do not compare with this sweep's: /steps: 20 -> 30"));
  CHECK(refusal(Target(drawn_job("tpe"), from + "-absent")).find("not a sweep") != std::string::npos);
}
