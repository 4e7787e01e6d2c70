// What Slurm's queue says about a sweep's jobs, with a script that stands for squeue.
#include "regatta/launch/queue.hpp"

#include <cstdlib>
#include <fstream>

#include "regatta/base/files.hpp"
#include "regatta/sweep/journal.hpp"
#include "support/catch.hpp"
#include "support/temporary_folder.hpp"

using namespace regatta;
using Catch::Contains;

namespace {

namespace fs = std::filesystem;

/// squeue of our own, alone in PATH.
class FakeQueue {
 public:
  FakeQueue(const fs::path& folder, const std::string& body) : path_(std::getenv("PATH")) {
    if (!body.empty()) {
      std::ofstream(folder / "squeue") << "#!/bin/sh\n" << body;
      fs::permissions(folder / "squeue", fs::perms::owner_all);
    }
    ::setenv("PATH", folder.c_str(), 1);
  }
  ~FakeQueue() { ::setenv("PATH", path_.c_str(), 1); }
  FakeQueue(const FakeQueue&) = delete;
  FakeQueue& operator=(const FakeQueue&) = delete;

 private:
  std::string path_;
};

/// A sweep whose array 101 and report 103 were submitted, and where job 77 was started by hand.
SweepFiles sweep_in(const fs::path& folder) {
  const SweepFiles files{folder / "sweep"};
  make_directories(files.journal());
  JournalWriter submit(files.journal(), this_job());
  submit.append("submit", {{"cluster", "box"}, {"jobs", {"101"}}, {"collect", "103"}});
  submit.commit();
  for (const JobPlace& place : {JobPlace{"box", "102", 0, true, "101"}, JobPlace{"box", "77", 0, true, ""}}) {
    JournalWriter writer(files.journal(), place);
    writer.append("join", join_fields({this_process(), place, writer.shard()}, 4));
    writer.commit();
  }
  return files;
}

constexpr const char* kListing =
    "cat <<END\n"
    "101|101_0|RUNNING|2:03|12:00:00|2026-11-30T01:00:00|node1\n"
    "101|101_1|PENDING|0:00|12:00:00|2026-11-30T18:00:00|(Priority)\n"
    "5|5|RUNNING|2:03|12:00:00|2026-11-30T01:00:00|node9\n"
    "103|103|PENDING|0:00|30:00|N/A|(Dependency)\n"
    "END\n";

}  // namespace

TEST_CASE("the queue shows the jobs of the sweep and no others") {
  const test::TemporaryFolder folder;
  const SweepFiles files = sweep_in(folder.path());
  SweepQueue queue;
  {
    const FakeQueue slurm(folder.path(), str("export PATH=/usr/bin:/bin\n", kListing));
    queue = read_queue(files);
  }
  CHECK(queue.known == std::set<std::string>{"101", "103", "77"});
  CHECK(queue_text(queue) ==
        "queue: 101_0  RUNNING on node1 for 2:03 of 12:00:00\n"
        "       101_1  PENDING (Priority), expected to start 2026-11-30T18:00:00\n"
        "       103  PENDING (Dependency)  (the report)\n");
  CHECK(to_json(queue).at("jobs").size() == 3);
}

TEST_CASE("that no job is in the queue, or that Slurm cannot be asked, is said; a sweep without Slurm has no queue") {
  const test::TemporaryFolder folder;
  const SweepFiles files = sweep_in(folder.path());
  const auto text_with = [&](const std::string& body) {
    const test::TemporaryFolder programs;
    const FakeQueue slurm(programs.path(), body);
    return queue_text(read_queue(files));
  };
  CHECK(text_with("exit 0\n") == "queue: no Slurm job of this sweep is in it any more (101, 103, 77)\n");
  CHECK_THAT(text_with("exit 1\n"), Contains("queue: squeue does not answer: ") && Contains("101, 103, 77"));
  CHECK_THAT(text_with(""), Contains("there is no squeue on this machine"));
  CHECK(queue_text(read_queue({folder / "other"})).empty());
}
