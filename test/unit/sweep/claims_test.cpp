// Claims, stale owners, and taking the next trial of a sweep.
#include <sys/wait.h>
#include <unistd.h>
#include <thread>

#include "fakes.hpp"
#include "regatta/base/error.hpp"
#include "regatta/sweep/sweep.hpp"
#include "support/catch.hpp"
#include "support/temporary_folder.hpp"

using namespace regatta;
using test::distant_owner;
using test::FakeProbe;
using test::HandClock;
using test::own_owner;

namespace {

const JobPlace kSelf{"hpc", "77", 1, true};

/// A process that has lived on this host and boot and is gone.
ProcessIdentity gone_process() {
  const pid_t pid = ::fork();
  if (pid == 0) {
    ::_exit(0);
  }
  ProcessIdentity identity = this_process();
  identity.pid = pid;
  ::waitpid(pid, nullptr, 0);
  return identity;
}

/// A sweep folder with the clocks and probes that its staleness rules ask.
struct Fixture {
  test::TemporaryFolder folder;
  SweepFiles files{folder.path()};
  HandClock clock;
  FakeProbe probe;

  Fixture() {
    std::filesystem::create_directories(files.claims());
    std::filesystem::create_directories(files.journal());
  }

  Sweep open(std::int64_t trials, const JobPlace& self = kSelf) {
    return Sweep(files, SweepRules{trials, 3, "dice", true}, self, probe, clock);
  }
};

/// A writer with its "join", as a coordinator makes it.
struct Member {
  JournalWriter writer;
  Owner owner;

  Member(const SweepFiles& files, Owner as) : writer(files.journal(), as.place), owner(std::move(as)) {
    owner.shard = writer.shard();
    writer.append("join", join_fields(owner, 1));
    writer.commit();
  }

  void write(const std::string& type, const Json& fields) {
    writer.append(type, fields);
    writer.commit();
  }

  void begin(const NextTrial& next) { write("start", start_fields(next, 0, "node", "hash")); }
};

}  // namespace

TEST_CASE("of many claimants at once exactly one gets the claim") {
  const Fixture fixture;
  std::atomic<int> winners = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&] { winners += try_claim(fixture.files, 5, 1, own_owner("x.jsonl")) ? 1 : 0; });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  CHECK(winners == 1);
  CHECK(read_claim(fixture.files, 5, 1) == own_owner("x.jsonl"));
  CHECK_FALSE(read_claim(fixture.files, 5, 2));
  CHECK(fixture.files.claim(5, 1).filename() == "t00005.a1");
}

TEST_CASE("an owner on this host is judged by its process, at once") {
  Fixture fixture;
  StaleWatch watch(kSelf, fixture.probe, fixture.clock);
  Owner owner = own_owner("a.jsonl");
  CHECK_FALSE(watch.is_stale(owner));
  fixture.clock.now_s += 1e6;
  CHECK_FALSE(watch.is_stale(owner));
  owner.process = gone_process();
  CHECK(watch.is_stale(owner));
  owner.process = this_process();
  owner.process.start_ticks += 1;  // the pid has been reused
  CHECK(watch.is_stale(owner));
  owner.process = this_process();
  owner.process.boot = "an earlier boot";
  CHECK(watch.is_stale(owner));
}

TEST_CASE("the same Slurm job with a lower restart count is gone at once, others are not") {
  Fixture fixture;
  StaleWatch watch(kSelf, fixture.probe, fixture.clock);
  CHECK(watch.is_stale(distant_owner("a.jsonl", "77", 0)));
  CHECK_FALSE(watch.is_stale(distant_owner("a.jsonl", "77", 1)));
  CHECK_FALSE(watch.is_stale(distant_owner("a.jsonl", "77", 2)));
  CHECK_FALSE(watch.is_stale(distant_owner("a.jsonl", "78", 0)));
  Owner elsewhere = distant_owner("a.jsonl", "77", 0);
  elsewhere.place.cluster = "another";
  CHECK_FALSE(watch.is_stale(elsewhere));
}

TEST_CASE("an earlier start of this job on other nodes may be cut off and at work: gone after 2.5 silent minutes") {
  Fixture fixture;
  fixture.probe.answer = JobListing::kListed;
  JobPlace self = kSelf;
  self.nodes = "node[1,3]";
  Owner before = distant_owner("a.jsonl", "77", 0);
  before.place.nodes = "node[1-2]";
  StaleWatch watch(self, fixture.probe, fixture.clock);
  watch.observe({{"a.jsonl", {100, 1, 0, 0}}});
  CHECK_FALSE(watch.is_stale(before));
  fixture.clock.now_s += 100;
  watch.observe({{"a.jsonl", {130, 2, 0, 0}}});
  fixture.clock.now_s += 149;
  CHECK_FALSE(watch.is_stale(before));
  fixture.clock.now_s += 2;
  CHECK(watch.is_stale(before));
  before.place.nodes = self.nodes;  // Slurm ended it there
  CHECK(StaleWatch(self, fixture.probe, fixture.clock).is_stale(before));
}

TEST_CASE("a process that is gone here tells nothing about the other nodes of its job") {
  Fixture fixture;
  JobPlace self = kSelf;
  self.nodes = "node[1,3]";
  Owner owner = distant_owner("a.jsonl", "77", 0);
  owner.process = gone_process();
  owner.place.nodes = "node[1-2]";
  StaleWatch watch(self, fixture.probe, fixture.clock);
  CHECK_FALSE(watch.is_stale(owner));  // this job's earlier start
  owner.place.job = "78";
  CHECK_FALSE(watch.is_stale(owner));
  owner.place.nodes = "node1";
  CHECK(watch.is_stale(owner));
  owner.place = self;  // an earlier step of this very start
  CHECK(watch.is_stale(owner));
}

TEST_CASE("times of silence may be shortened together") {
  Fixture fixture;
  fixture.probe.answer = JobListing::kNotListed;
  StaleWatch watch(kSelf, fixture.probe, fixture.clock, {20.0, 40.0, 10.0});
  watch.observe({{"a.jsonl", {100, 1, 0, 0}}});
  fixture.clock.now_s += 19;
  CHECK_FALSE(watch.is_stale(distant_owner("a.jsonl", "78")));
  fixture.clock.now_s += 2;
  CHECK(watch.is_stale(distant_owner("a.jsonl", "78")));
}

TEST_CASE("a distant owner is gone after 5 silent minutes if squeue does not list its job, 15 without squeue") {
  struct Row {
    JobListing listing;
    double quiet_s;
    bool stale;
  };
  const std::vector<Row> table = {{JobListing::kNotListed, 299, false}, {JobListing::kNotListed, 301, true},
                                  {JobListing::kListed, 1e7, false},    {JobListing::kUnknown, 301, false},
                                  {JobListing::kUnknown, 899, false},   {JobListing::kUnknown, 901, true}};
  for (const Row& row : table) {
    Fixture fixture;
    fixture.probe.answer = row.listing;
    StaleWatch watch(kSelf, fixture.probe, fixture.clock);
    const std::map<std::string, ShardProgress> shards = {{"a.jsonl", {100, 1, 0, 0}}};
    watch.observe(shards);
    fixture.clock.now_s += row.quiet_s;
    watch.observe(shards);
    INFO(row.quiet_s);
    CHECK(watch.is_stale(distant_owner("a.jsonl", "78")) == row.stale);
  }
}

TEST_CASE("growth of the shard restarts the silence, and squeue is not asked before its time") {
  Fixture fixture;
  fixture.probe.answer = JobListing::kNotListed;
  StaleWatch watch(kSelf, fixture.probe, fixture.clock);
  watch.observe({{"a.jsonl", {100, 1, 0, 0}}});
  fixture.clock.now_s += 250;
  watch.observe({{"a.jsonl", {150, 2, 0, 0}}});
  fixture.clock.now_s += 250;
  CHECK_FALSE(watch.is_stale(distant_owner("a.jsonl", "78")));
  CHECK(fixture.probe.asked.empty());
  fixture.clock.now_s += 60;
  CHECK(watch.is_stale(distant_owner("a.jsonl", "78")));
  CHECK(fixture.probe.asked == std::vector<std::string>{"78"});
}

TEST_CASE("trials are claimed in order, each once") {
  Fixture fixture;
  Sweep sweep = fixture.open(2);
  Member member(fixture.files, own_owner(""));
  for (const std::int64_t expected : {0, 1}) {
    const auto next = sweep.claim_next(member.owner);
    REQUIRE(next);
    CHECK(next->trial == expected);
    CHECK(next->attempt == 1);
    member.begin(*next);
  }
  CHECK_FALSE(sweep.claim_next(member.owner));
}

TEST_CASE("a claim whose start is not in the journal yet is never given out twice") {
  Fixture fixture;
  Sweep sweep = fixture.open(2);
  Member member(fixture.files, own_owner(""));
  CHECK(sweep.claim_next(member.owner)->trial == 0);
  CHECK(sweep.claim_next(member.owner)->trial == 1);
  CHECK_FALSE(sweep.claim_next(member.owner));
}

TEST_CASE("own claims on their way are not tried again, and a lost race leads to another place") {
  Fixture fixture;
  Sweep first = fixture.open(100000);
  Sweep second = fixture.open(100000);
  Member one(fixture.files, distant_owner("", "78"));
  Member two(fixture.files, distant_owner("", "79"));
  for (int trial = 0; trial < 20; ++trial) {
    CHECK(first.claim_next(one.owner)->trial == trial);
  }
  CHECK(first.costs().claims_lost == 0);
  const auto next = second.claim_next(two.owner);
  REQUIRE(next);
  CHECK(next->trial >= 20);
  CHECK(second.costs().claims == 1);
  CHECK(second.costs().claims_lost >= 1);
  const auto behind = second.claim_next(two.owner);
  REQUIRE(behind);
  CHECK(behind->trial == (next->trial + 1) % 100000);
}

TEST_CASE("what a dead owner had claimed or begun continues with the next attempt") {
  Fixture fixture;
  Owner dead = own_owner("");
  dead.process = gone_process();
  Member before(fixture.files, dead);
  {
    Sweep sweep = fixture.open(2);
    const auto begun = sweep.claim_next(before.owner);
    REQUIRE(begun);
    before.begin(*begun);
    before.write("checkpoint", {{"trial", 0}, {"attempt", 1}, {"step", 40}});
    REQUIRE(try_claim(fixture.files, 1, 1, before.owner));  // died between claim and start
  }
  Sweep sweep = fixture.open(2);
  Member after(fixture.files, own_owner(""));
  const auto resumed = sweep.claim_next(after.owner);
  REQUIRE(resumed);
  CHECK(resumed->trial == 0);
  CHECK(resumed->attempt == 2);
  CHECK(resumed->seen == "lost");
  CHECK(resumed->resume_step == 40);
  after.begin(*resumed);
  const auto fresh = sweep.claim_next(after.owner);
  REQUIRE(fresh);
  CHECK(fresh->trial == 1);
  CHECK(fresh->attempt == 2);
  CHECK(fresh->seen.empty());
}

TEST_CASE("what a living owner elsewhere has claimed is passed over until it is gone") {
  Fixture fixture;
  fixture.probe.answer = JobListing::kNotListed;
  Member other(fixture.files, distant_owner("", "78"));
  REQUIRE(try_claim(fixture.files, 0, 1, other.owner));
  Sweep sweep = fixture.open(2);
  Member member(fixture.files, own_owner(""));
  const auto first = sweep.claim_next(member.owner);
  REQUIRE(first);
  CHECK(first->trial == 1);
  member.begin(*first);
  CHECK_FALSE(sweep.claim_next(member.owner));
  fixture.clock.now_s += 301;
  const auto taken = sweep.claim_next(member.owner);
  REQUIRE(taken);
  CHECK(taken->trial == 0);
  CHECK(taken->attempt == 2);
}

TEST_CASE("a writer that left in order frees its claims at once") {
  Fixture fixture;
  Member other(fixture.files, distant_owner("", "78"));
  REQUIRE(try_claim(fixture.files, 0, 1, other.owner));
  other.write("leave", Json::object());
  Sweep sweep = fixture.open(1);
  Member member(fixture.files, own_owner(""));
  CHECK(sweep.claim_next(member.owner)->attempt == 2);
}

TEST_CASE("a finished sweep gives nothing") {
  Fixture fixture;
  Sweep sweep = fixture.open(1);
  Member member(fixture.files, own_owner(""));
  member.begin(*sweep.claim_next(member.owner));
  member.write("end", {{"trial", 0}, {"attempt", 1}, {"status", "ok"}, {"step", 9}});
  CHECK_FALSE(sweep.claim_next(member.owner));
  CHECK(sweep.state().finished());
}

TEST_CASE("a claim file that is no owner is named") {
  const Fixture fixture;
  std::filesystem::create_directories(fixture.files.claims());
  REQUIRE(try_claim(fixture.files, 0, 1, own_owner("x")));
  std::filesystem::rename(fixture.files.claim(0, 1), fixture.files.claim(0, 2));
  Json owner = to_json(own_owner("x"));
  owner.erase("pid");
  CHECK_THROWS_WITH(owner_from_json(owner, "t00000.a2"), "t00000.a2: owner: 'pid' is missing or of another type");
}
