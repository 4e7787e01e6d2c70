// What a person is told to type next.
#include "regatta/sweep/next_command.hpp"

#include "fakes.hpp"
#include "regatta/base/error.hpp"
#include "regatta/base/files.hpp"
#include "regatta/sweep/given_job.hpp"
#include "support/catch.hpp"
#include "support/temporary_folder.hpp"

namespace regatta {
namespace {

namespace fs = std::filesystem;
using Catch::Contains;

Json said(const std::string& type, const std::string& time, const std::vector<std::string>& words) {
  return {{"type", type}, {"time", time}, {"again", words}};
}

TEST_CASE("the newest job's command continues the sweep, in the folder where it is now") {
  const std::vector<Json> records = {
      said("submit", "2026-01-01T00:00:00Z", {"regatta", "submit", "{}", "--nodes", "2"}),
      said("join", "2026-01-02T00:00:00Z", {"regatta", "sweep", "{}", "--ranks", "4"}),
      said("join", "2026-01-01T12:00:00Z", {"regatta", "sweep", "{}"}),
  };
  CHECK(next_command(records, "/data/sweep") == "regatta sweep /data/sweep --ranks 4");
  CHECK(next_command(records, "/moved/my sweep") == "regatta sweep '/moved/my sweep' --ranks 4");
  CHECK(next_command({records[0]}, "/data/sweep") == "regatta submit /data/sweep --nodes 2");
}

TEST_CASE("before the first start, and after starts of an older build, the folder alone continues a sweep") {
  const std::vector<Json> old = {
      {{"type", "join"}, {"time", "2026-01-02T00:00:00Z"}, {"command", "regatta sweep /gone/job.json -o /gone/sweep"}}};
  for (const auto& records : {std::vector<Json>(), old}) {
    CHECK_THAT(next_command(records, "/here/sweep"), Catch::Matches("regatta (sweep|submit) /here/sweep"));
  }
}

TEST_CASE("a job file that says more than the sweep's folder is named, unless it is gone") {
  const test::TemporaryFolder folder;
  const fs::path job = folder / "job.json";
  const std::vector<std::string> words = {"mpirun", "-n", "2", "regatta", "sweep", job.string(), "-o", "{}"};
  CHECK(command_text(words, "/a/sweep") == "mpirun -n 2 regatta sweep /a/sweep");
  write_file_atomically(job, "{}");
  CHECK(command_text(words, "/a/sweep") == "mpirun -n 2 regatta sweep " + job.string() + " -o /a/sweep");
  CHECK(sweep_words(true, job) == std::vector<std::string>{"{}"});
  CHECK(sweep_words(false, job) == std::vector<std::string>{job.string(), "-o", "{}"});
}

TEST_CASE("a job says more than the sweep as born if its resources differ, not if its total does") {
  const test::TemporaryFolder folder;
  const SweepFiles files{folder / "sweep"};
  test::FakeDescriber describer;
  JobOptions job = test::small_job();
  CHECK(is_as_born(files, define_sweep(job, describer)));
  create_or_open(files, define_sweep(job, describer));
  CHECK(is_as_born(files, define_sweep(job, describer)));
  job.trials = 4;
  CHECK(is_as_born(files, define_sweep(job, describer)));
  job.max_attempts = 7;
  CHECK_FALSE(is_as_born(files, define_sweep(job, describer)));
}

TEST_CASE("a sweep's folder stands for its job, in its own folder alone") {
  const test::TemporaryFolder folder;
  const SweepFiles files{folder / "sweep"};
  test::FakeDescriber describer;
  const SweepDefinition definition = define_sweep(test::small_job(), describer);
  create_or_open(files, definition);
  const GivenJob given = read_given_job(files.root.string() + "/");
  REQUIRE(given.sweep);
  CHECK(given.sweep->root == files.root);
  CHECK(define_sweep(given.job, describer).hash == definition.hash);
  CHECK(files_of(given, "").root == files.root);
  CHECK(files_of(given, files.root).root == files.root);
  CHECK_THROWS_WITH(files_of(given, folder / "other"), Contains("continues in its own folder"));
  CHECK_THROWS_WITH(read_given_job(files.job()), Contains("give the sweep's folder") && Contains(files.root.string()));
  CHECK_THROWS_WITH(read_given_job(folder.path()), Contains("not a sweep"));
}

}  // namespace
}  // namespace regatta
