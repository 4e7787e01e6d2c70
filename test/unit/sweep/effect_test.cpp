// What has no effect beside something else is refused: settings, axes, options of the recipe's text.
#include "fakes.hpp"
#include "regatta/base/error.hpp"
#include "regatta/base/files.hpp"
#include "regatta/sweep/definition.hpp"
#include "regatta/sweep/effect.hpp"
#include "support/catch.hpp"
#include "support/temporary_folder.hpp"

using namespace regatta;
using test::small_job;

namespace {

std::string refusal(JobOptions job, const std::vector<std::string>& settings, bool is_new = true) {
  try {
    apply_settings(job, settings, is_new);
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "accepted";
}

JobOptions job_in_steps() {
  JobOptions job = small_job();
  job.recipe["train"] = {{"steps", 160}};
  return job;
}

}  // namespace

TEST_CASE("--set /train/epochs beside the recipe's steps is refused, also for a sweep that is there") {
  constexpr const char* kText =
      "--set /train/epochs=10: has no effect, since /train/steps is 160; change "
      "/train/steps, or set it to 0 to count in epochs";
  CHECK(refusal(job_in_steps(), {"/train/epochs=10"}) == kText);
  CHECK(refusal(job_in_steps(), {"/train/epochs=10"}, false) == kText);
  CHECK(refusal(job_in_steps(), {"/train/epochs=10", "/train/steps=0"}) == "accepted");
  CHECK(refusal(job_in_steps(), {"/train/steps=200"}) == "accepted");
  CHECK(refusal(small_job(), {"/train/epochs=10"}) == "accepted");
}

TEST_CASE("settings that another setting or an axis replaces are refused") {
  CHECK(refusal(small_job(), {"/train/epochs=3", "/train/epochs=4"}) ==
        "--set /train/epochs=3: is replaced by --set /train/epochs=4; give one of them");
  CHECK(refusal(small_job(), {R"(/losses/ncc={"weight": 2})", "/losses/ncc/weight=3"}).find("is replaced by") !=
        std::string::npos);
  CHECK(refusal(small_job(), {R"(/losses/ncc={"weight": 2})", "/losses/ncc/options/window=7"}) == "accepted");
  CHECK(refusal(small_job(), {R"(/losses/grad={"weight": 2})"}) ==
        "--set /losses/grad: /losses/grad/weight is an axis of this job");
}

TEST_CASE("an axis without effect at any point is refused; where it has some the plan says so") {
  JobOptions job = job_in_steps();
  job.axes.clear();
  job.axes["/train/epochs"].list = {10, 20};
  CHECK(refusal(job, {}).starts_with("/axes/~1train~1epochs: has no effect, since /train/steps is 160"));
  CHECK(refusal(job, {}, false) == "accepted");
  job = small_job();
  job.axes.clear();
  job.axes["/optim/schedule"].list = {"poly", "constant"};
  job.axes["/optim/power"].list = {0.5, 0.9};
  CHECK(refusal(job, {}) == "accepted");
  CHECK(idle_axes(job) == std::vector<std::string>{"/optim/power: has no effect at 2 of 4 points, where "
                                                   "/optim/schedule is \"constant\": they train the same for each of "
                                                   "its values"});
  job.axes["/optim"].list = {parse_json(R"({"power": 1})", "test")};
  CHECK(refusal(job, {}).find("/axes/~1optim: has no effect on /optim/power, which is an axis itself") == 0);
}

TEST_CASE("options of a job's recipe that have no effect are refused, those that the program writes out are not") {
  const test::TemporaryFolder folder;
  const auto job_with = [&](const std::string& train) {
    write_file_atomically(folder / "job.json",
                          str(R"({"recipe": {"data": {"archive": "a.h5"}, "losses": {"ncc": {}}, "train": )", train,
                              R"(}, "axes": {"/optim/lr": {"list": [0.1]}}})"));
    return read_job(folder / "job.json");
  };
  CHECK(refusal(job_with(R"({"epochs": 10, "steps": 300})"), {})
            .starts_with("/recipe/train/epochs: has no effect, since /train/steps is 300"));
  CHECK(refusal(job_with(R"({"epochs": 10, "steps": 300})"), {}, false) == "accepted");
  CHECK(refusal(job_with(R"({"epochs": 10, "steps": 300})"), {"/train/steps=0"}) == "accepted");
  CHECK(refusal(job_with(R"({"epochs": 10})"), {"/train/steps=300"}) == "accepted");
  JobOptions written = job_with(R"({"steps": 300})");
  const Json all = trial_recipe(written.recipe, {}, 0);
  write_file_atomically(folder / "job.json", dump_line({{"recipe", all}}));
  CHECK(refusal(read_job(folder / "job.json"), {}) == "accepted");
  written.threads_per_trial = 2;
  CHECK(refusal(written, {"/run/threads=4"})
            .starts_with("/threads_per_trial: 2 has no effect, since the recipe's /run/threads is 4"));
}
