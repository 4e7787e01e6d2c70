// What `regatta submit` gives to sbatch: scripts, options, refusals; and handing in, with a program that stands for
// sbatch.
#include "regatta/launch/submission.hpp"

#include <algorithm>
#include <cstdlib>
#include <fstream>

#include "regatta/base/error.hpp"
#include "regatta/base/files.hpp"
#include "regatta/sweep/journal.hpp"
#include "regatta/sweep/next_command.hpp"
#include "support/catch.hpp"
#include "support/temporary_folder.hpp"

using namespace regatta;
using Catch::Contains;

namespace {

namespace fs = std::filesystem;

SubmitOptions options_for(const fs::path& folder) {
  SubmitOptions options;
  options.job = folder / "job.json";
  options.directory = folder / "sweep";
  return options;
}

SubmissionPlan plan_with(const std::function<void(SubmitOptions&)>& change, const std::string& profile = "") {
  const test::TemporaryFolder folder;
  SubmitOptions options = options_for(folder.path());
  if (!profile.empty()) {
    write_file_atomically(folder / "site.sh", profile);
    options.site = (folder / "site.sh").string();
  }
  change(options);
  return plan_submission(options, "mine", "/opt/regatta");
}

bool has(const std::vector<std::string>& words, const std::string& word) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

/// sbatch and scontrol of our own in PATH: sbatch notes its arguments and answers 101, 102, ...; it fails from call
/// `fail_at` on.
class FakeSlurm {
 public:
  FakeSlurm(const fs::path& folder, int fail_at) : calls_(folder / "calls"), path_(std::getenv("PATH")) {
    write("sbatch", folder,
          str("calls=", calls_.string(), "\nprintf '%s\\n' CALL \"HOME $REGATTA_HOME\" \"$@\" >>$calls\n",
              "n=$(grep -c '^CALL$' $calls)\n[ $n -lt ", fail_at, " ] || exit 1\necho $((100 + n))\n"));
    write("scontrol", folder, "echo 'ClusterName             = box'\n");
    ::setenv("PATH", (folder.string() + ":" + path_).c_str(), 1);
  }
  ~FakeSlurm() { ::setenv("PATH", path_.c_str(), 1); }
  FakeSlurm(const FakeSlurm&) = delete;
  FakeSlurm& operator=(const FakeSlurm&) = delete;

  std::vector<std::string> calls() const { return split(read_file(calls_), '\n'); }

 private:
  static void write(const char* name, const fs::path& folder, const std::string& body) {
    std::ofstream(folder / name) << "#!/bin/sh\n" << body;
    fs::permissions(folder / name, fs::perms::owner_all);
  }

  fs::path calls_;
  std::string path_;
};

constexpr int kNever = 1000;

}  // namespace

TEST_CASE("without a site the scripts keep their own values") {
  const SubmissionPlan plan = plan_with([](SubmitOptions&) {});
  for (const char* line : {"\n#SBATCH --job-name=mine\n", "\n#SBATCH --nodes=1\n", "\n#SBATCH --requeue\n",
                           "\n#SBATCH --gpus-per-node=4\n", "\n#SBATCH --ntasks-per-node=4\n",
                           "\n#SBATCH --signal=USR2@300\n", "\n#SBATCH --time=12:00:00\n"}) {
    CHECK_THAT(plan.sweep.text, Contains(line));
  }
  CHECK_THAT(plan.sweep.text, !Contains("--array"));
  REQUIRE(plan.collect.size() == 1);
  CHECK_THAT(plan.collect[0].text, Contains("\n#SBATCH --job-name=mine-report\n"));
  CHECK(plan.environment.at("REGATTA_HOME") == "/opt/regatta");
  CHECK(plan.environment.at("REGATTA_SIGNAL_S") == "300");
  CHECK_FALSE(plan.environment.contains("REGATTA_SITE"));
  CHECK_FALSE(plan.environment.contains("REGATTA_MAX_REQUEUES"));
}

TEST_CASE("nodes are an array of jobs, or one job; a chain does not requeue") {
  CHECK_THAT(plan_with([](SubmitOptions& o) { o.nodes = 3; }).sweep.text,
             Contains("--array=0-2\n") && Contains("--nodes=1\n"));
  CHECK_THAT(plan_with([](SubmitOptions& o) {
               o.nodes = 3;
               o.single_job = true;
             }).sweep.text,
             Contains("--nodes=3\n") && !Contains("--array"));
  const SubmissionPlan chain = plan_with([](SubmitOptions& o) { o.chain = 4; });
  CHECK_THAT(chain.sweep.text, Contains("\n#SBATCH --no-requeue\n") && !Contains("SBATCH --requeue"));
  CHECK(chain.environment.at("REGATTA_MAX_REQUEUES") == "0");
  CHECK_FALSE(plan_with([](SubmitOptions&) {}, "#REGATTA requeue=no\n").requeue);
}

TEST_CASE("a site's values, and the user's before them") {
  const std::string profile =
      "#REGATTA gpus_per_node=8\n#REGATTA cpus_per_gpu=16\n#REGATTA gpu_option=--gres\n#REGATTA gpu_type=a100\n"
      "#REGATTA partition=booster\n#REGATTA constraint=big\n#REGATTA max_time=06:00:00\n#REGATTA signal_s=600\n"
      "#REGATTA mpi=pmi2\n#REGATTA needs=account\n";
  const SubmissionPlan plan = plan_with([](SubmitOptions& o) { o.account = "abc@a100"; }, profile);
  CHECK_THAT(plan.sweep.text, Contains("--gres=gpu:a100:8\n") && !Contains("SBATCH --gpus-per-node") &&
                                  Contains("--ntasks-per-node=8\n") && Contains("--cpus-per-task=16\n") &&
                                  Contains("--partition=booster\n") && Contains("--constraint=big\n") &&
                                  Contains("--account=abc@a100\n") && Contains("--time=06:00:00\n") &&
                                  Contains("--signal=USR2@600\n"));
  CHECK_THAT(plan.collect.at(0).text, Contains("--account=abc@a100\n") && Contains("--partition=booster\n") &&
                                          !Contains("SBATCH --constraint") && !Contains("SBATCH --gres"));
  CHECK(plan.environment.at("REGATTA_MPI") == "pmi2");
  CHECK_THAT(plan.environment.at("REGATTA_SITE"), Catch::EndsWith("/site.sh"));
  const auto more = [](SubmitOptions& o) {
    o.account = "a";
    o.partition = "mine";
    o.gpus_per_node = 2;
    o.signal_s = 60;
    o.time = "30";
    o.collect = false;
  };
  const SubmissionPlan changed = plan_with(more, profile);
  CHECK_THAT(changed.sweep.text, Contains("--gres=gpu:a100:2\n") && Contains("--partition=mine\n") &&
                                     Contains("--signal=USR2@60\n") && Contains("--time=00:30:00\n"));
  CHECK(changed.collect.empty());
}

TEST_CASE("what cannot work is refused with one line") {
  CHECK_THROWS_WITH(plan_with([](SubmitOptions&) {}, "#REGATTA needs=account,qos\n"),
                    Contains("needs --account and --qos (") && Contains("site.sh"));
  CHECK_THROWS_WITH(plan_with([](SubmitOptions&) {}, "#REGATTA needs=acount\n"), Contains("'acount'"));
  CHECK_THROWS_WITH(plan_with([](SubmitOptions& o) { o.time = "2-0"; }, "#REGATTA max_time=24:00:00\n"),
                    Contains("--time 2-0: this cluster allows 24:00:00"));
  CHECK_THROWS_WITH(plan_with([](SubmitOptions& o) { o.time = "soon"; }),
                    Contains("--time: 'soon': expected MINUTES, HH:MM:SS"));
  CHECK_THROWS_WITH(plan_with([](SubmitOptions& o) { o.account = "a\n#SBATCH --uid=0"; }), Contains("--account: "));
  CHECK_THROWS_WITH(plan_with([](SubmitOptions& o) { o.directory = "a\nb"; }), Contains("control characters"));
  CHECK_THROWS_WITH(plan_with([](SubmitOptions& o) { o.job = "a\x1b[0m"; }), Contains("control characters"));
  CHECK_THROWS_WITH(plan_with([](SubmitOptions& o) { o.sbatch = {"--comment=a\nb"}; }), Contains("--sbatch: "));
  CHECK_THROWS_WITH(plan_with([](SubmitOptions& o) { o.directory = "a\\b"; }), Contains("backslash"));
}

TEST_CASE("a time limit under which no trial can ever start is refused, with the arithmetic") {
  const auto limit = [](const std::string& time, int signal_s) {
    return [time, signal_s](SubmitOptions& o) {
      o.time = time;
      o.signal_s = signal_s;
    };
  };
  CHECK_THROWS_WITH(
      plan_with(limit("3", 60)),
      Contains("--time 00:03:00: no trial can start in 180 s: trials are asked to save 60 s before the limit "
               "(--signal-s) or up to 60 s earlier, and before that a job needs 10 s to start, 20 s to "
               "load, 60 s of work and 10 s to save: together 220 s. Give --time 00:04:00 or more, or "
               "--signal-s 20 or less"));
  CHECK_THROWS_WITH(plan_with(limit("7", 300)), Contains("together 460 s. Give --time 00:08:00 or more"));
  for (const auto& fits : {limit("4", 60), limit("8", 300), limit("3", 20), limit("7:01", 300)}) {
    CHECK_NOTHROW(plan_with(fits));  // Slurm rounds 7:01 up to 8 minutes
  }
  CHECK_THROWS_WITH(plan_with([](SubmitOptions&) {}, "#REGATTA max_time=00:07:00\n"), Contains("no trial can start"));
}

TEST_CASE("options of the sweep that decide when a trial may start count for the time limit") {
  CHECK_NOTHROW(plan_with([](SubmitOptions& o) {
    o.time = "1";
    o.signal_s = 10;
    o.sweep_options = {"--times", R"({"signal_early_s": 0, "load_s": 1, "save_s": 1, "least_work_s": 1})"};
  }));
  CHECK_THROWS_WITH(plan_with([](SubmitOptions& o) { o.sweep_options = {"--leave-after=1min"}; }),
                    Contains("--leave-after 1min: no trial can start in 1 min 00 s: a trial needs 20 s to load"));
  CHECK_THROWS_WITH(plan_with([](SubmitOptions& o) {
                      o.sweep_options = {"--leave-after", "3600"};
                    }),
                    Contains("--leave-after: '3600': give a unit"));
}

TEST_CASE("a time limit means the same in every form") {
  for (const char* form : {"90", "90min", "1:30:00", "1h30min", "90:00", "5400s"}) {
    INFO(form);
    const SubmissionPlan plan = plan_with([&](SubmitOptions& o) { o.time = form; });
    CHECK(plan.time == "01:30:00");
    CHECK_THAT(plan.sweep.text, Contains("--time=01:30:00\n"));
  }
}

TEST_CASE("the jobs and the journal know the command that continues, with the folder left open") {
  SubmitOptions options;
  options.job = "/jobs/job.json";
  options.directory = "/data/sweep";
  options.nodes = 2;
  options.time = "2h";
  options.account = "abc";
  options.collect = false;
  options.settings = {"/optim/lr=0.1"};
  options.sbatch = {"--exclusive"};
  options.sweep_options = {"--threads", "4"};
  SubmissionPlan plan = plan_submission(options, "mine", "/opt/regatta");
  remember_command(plan, options, true);
  CHECK(command_text(plan.again, "/moved") ==
        "regatta submit /moved --nodes 2 --time 2h --account abc --no-collect --sbatch=--exclusive -- --threads 4");
  CHECK(parse_json(plan.environment.at("REGATTA_AGAIN"), "again") == Json(plan.again));
  remember_command(plan, options, false);
  CHECK(std::count(plan.again.begin(), plan.again.end(), "/optim/lr=0.1") == 1);
  CHECK(plan.again[2] == "/jobs/job.json");
}

TEST_CASE("paths and options travel as words of their own, whatever is in them") {
  const std::string nasty = "/data/it's $(id) `id`; 100% \"x\" -o";
  const SubmissionPlan plan = plan_with([&](SubmitOptions& o) {
    o.job = nasty + "/job.json";
    o.directory = nasty;
    o.settings = {"/optim/lr=0.1"};
    o.sbatch = {"--comment=a b;c"};
    o.sweep_options = {"--threads", "2"};
  });
  CHECK(plan.sweep.arguments ==
        std::vector<std::string>{nasty + "/job.json", "-o", nasty, "--set", "/optim/lr=0.1", "--threads", "2"});
  CHECK(has(plan.sweep.options, "--comment=a b;c"));
  CHECK(has(plan.sweep.options, "--output=/data/it's $(id) `id`; 100%% \"x\" -o/slurm/%x-%j.log"));
  CHECK_THAT(plan.sweep.text, !Contains("it's"));
  CHECK_THAT(submission_text(plan), Contains(R"(-o '/data/it'\''s $(id) `id`; 100% "x" -o')"));
}

TEST_CASE("a chain is handed in link by link, then the report; the journal knows the jobs") {
  const test::TemporaryFolder folder;
  const FakeSlurm slurm(folder.path(), kNever);
  SubmitOptions options = options_for(folder.path());
  options.chain = 2;
  SubmissionPlan plan = plan_submission(options, "mine", "/opt/regatta");
  remember_command(plan, options, true);
  make_directories(plan.files.journal());
  const SubmittedJobs done = submit_jobs(plan);
  CHECK(done.jobs == std::vector<std::string>{"101", "102"});
  CHECK(done.collect == "103");
  CHECK(done.cluster == "box");
  const auto calls = slurm.calls();
  CHECK(std::count(calls.begin(), calls.end(), "CALL") == 3);
  CHECK(std::count(calls.begin(), calls.end(), "HOME /opt/regatta") == 3);
  CHECK(std::count(calls.begin(), calls.end(), "--dependency=afterany:101") == 1);
  CHECK(std::count(calls.begin(), calls.end(), "--dependency=afterany:102") == 1);
  CHECK(read_file(plan.files.root / "slurm/sweep.sbatch") == plan.sweep.text);
  const auto records = JournalReader(plan.files.journal()).poll();
  REQUIRE(records.size() == 1);
  CHECK(records[0].at("type") == "submit");
  CHECK(records[0].at("jobs") == Json{"101", "102"});
  CHECK(records[0].at("collect") == "103");
  CHECK(records[0].at("cluster") == "box");
  CHECK(records[0].at("again") == Json{"regatta", "submit", "{}", "--chain", "2"});
}

TEST_CASE("what went into the queue before an error is named and recorded") {
  const test::TemporaryFolder folder;
  const FakeSlurm slurm(folder.path(), 2);
  const SubmissionPlan plan = plan_submission(options_for(folder.path()), "mine", "/opt/regatta");
  make_directories(plan.files.journal());
  CHECK_THROWS_WITH(submit_jobs(plan), Contains("in the queue already: 101"));
  const auto records = JournalReader(plan.files.journal()).poll();
  REQUIRE(records.size() == 1);
  CHECK(records[0].at("jobs") == Json{"101"});
}
