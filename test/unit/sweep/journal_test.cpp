// Writing and reading journal shards: group commit, torn tails, foreign lines, several shards.
#include <cstdlib>
#include <fstream>
#include <thread>

#include <sys/resource.h>
#include <csignal>

#include "fakes.hpp"
#include "regatta/base/checksum.hpp"
#include "regatta/base/error.hpp"
#include "regatta/base/files.hpp"
#include "support/catch.hpp"
#include "support/temporary_folder.hpp"

using namespace regatta;
using regatta::test::HandClock;
using regatta::test::TemporaryFolder;

namespace {

const JobPlace kPlace{"hpc", "4711", 2, true};

void append_text(const std::filesystem::path& path, const std::string& text) {
  std::ofstream file(path, std::ios::app | std::ios::binary);
  file << text;
}

std::string types_of(const std::vector<Json>& records) {
  std::vector<std::string> types;
  for (const Json& record : records) {
    types.push_back(str(record.at("type").get<std::string>(), record.at("seq").get<int>()));
  }
  return join(types, " ");
}

/// A shard's line as a writer makes it.
std::string line_of(const std::string& shard, int seq, const std::string& type) {
  return seal_line(dump_line(test::record(shard, seq, type))) + "\n";
}

}  // namespace

TEST_CASE("a record is durable after commit, whole, sealed and in order") {
  const TemporaryFolder folder;
  HandClock clock;
  JournalWriter writer(folder / "journal", kPlace, clock);
  CHECK(writer.shard().starts_with("hpc-4711-r2-"));
  JournalReader reader(folder / "journal");
  CHECK(writer.append("join", join_fields(test::own_owner(writer.shard()), 4)) == 1);
  CHECK(writer.append("start", {{"trial", 3}, {"attempt", 1}}) == 2);
  CHECK(reader.poll().empty());
  CHECK(writer.durable() == 0);
  clock.now_s += 5.0;
  writer.commit();
  CHECK(writer.durable() == 2);
  CHECK(writer.last_commit_s() == clock.now_s);
  const auto records = reader.poll();
  CHECK(types_of(records) == "join1 start2");
  CHECK(records[1].at("trial") == 3);
  CHECK(records[1].at("shard") == writer.shard());
  CHECK(records[1].at("time") == "2026-01-02T03:04:05Z");
  CHECK(owner_from_json(records[0], "test") == test::own_owner(writer.shard()));
  CHECK(reader.poll().empty());
}

TEST_CASE("two writers of the same job never share a shard") {
  const TemporaryFolder folder;
  const JournalWriter first(folder / "journal", kPlace);
  const JournalWriter second(folder / "journal", kPlace);
  CHECK(first.shard() != second.shard());
}

TEST_CASE("job names become harmless file names") {
  const TemporaryFolder folder;
  const JournalWriter writer(folder / "journal", {"../x", "a b/c", 0, true});
  CHECK(writer.shard().starts_with(".._x-a_b_c-r0-"));
  CHECK(std::filesystem::exists(folder / "journal" / writer.shard()));
}

TEST_CASE("a field named like a member that every record has is refused") {
  const TemporaryFolder folder;
  JournalWriter writer(folder / "journal", kPlace);
  CHECK_THROWS_AS(writer.append("end", {{"seq", 1}}), BugError);
}

TEST_CASE("a torn last line is read once it is complete") {
  const TemporaryFolder folder;
  const std::string line = line_of("a.jsonl", 1, "heartbeat");
  append_text(folder / "a.jsonl", line.substr(0, 20));
  JournalReader reader(folder.path());
  CHECK(reader.poll().empty());
  CHECK(reader.shards().at("a.jsonl").pending_bytes == 20);
  append_text(folder / "a.jsonl", line.substr(20));
  CHECK(types_of(reader.poll()) == "heartbeat1");
  CHECK(reader.skipped() == 0);
}

TEST_CASE("torn and foreign lines are skipped to the next newline and counted") {
  const TemporaryFolder folder;
  std::string changed = line_of("a.jsonl", 2, "extend");
  changed[changed.find("extend")] = 'E';
  append_text(folder / "a.jsonl", line_of("a.jsonl", 1, "join") + changed + "{\"type\":\"end\"\n" +
                                      std::string(9, '\0') + "\n" + line_of("b.jsonl", 3, "leave") +
                                      seal_line("{\"type\":1,\"seq\":2}") + "\n" + line_of("a.jsonl", 3, "leave") +
                                      "{\"ty");
  JournalReader reader(folder.path());
  CHECK(types_of(reader.poll()) == "join1 leave3");
  CHECK(reader.skipped() == 5);
  CHECK(reader.shards().at("a.jsonl").pending_bytes == 4);
}

TEST_CASE("a journal cut at any byte gives a prefix of its records and never an error") {
  const TemporaryFolder folder;
  std::string whole;
  std::vector<std::size_t> line_ends;
  for (int seq = 1; seq <= 4; ++seq) {
    whole += line_of("a.jsonl", seq, "heartbeat");
    line_ends.push_back(whole.size());
  }
  for (std::size_t cut = 0; cut <= whole.size(); ++cut) {
    std::filesystem::remove(folder / "a.jsonl");
    append_text(folder / "a.jsonl", whole.substr(0, cut));
    JournalReader reader(folder.path());
    const auto expected =
        std::count_if(line_ends.begin(), line_ends.end(), [cut](std::size_t end) { return end <= cut; });
    REQUIRE(static_cast<std::ptrdiff_t>(reader.poll().size()) == expected);
    REQUIRE(reader.skipped() == 0);
    append_text(folder / "a.jsonl", whole.substr(cut));
    REQUIRE(static_cast<std::ptrdiff_t>(reader.poll().size()) == 4 - expected);
  }
}

TEST_CASE("lines written again after a failed commit count once") {
  const TemporaryFolder folder;
  const std::string second = line_of("a.jsonl", 2, "start");
  append_text(folder / "a.jsonl",
              line_of("a.jsonl", 1, "join") + second.substr(0, 30) + "\n" + line_of("a.jsonl", 1, "join") + second);
  JournalReader reader(folder.path());
  CHECK(types_of(reader.poll()) == "join1 start2");
  CHECK(reader.skipped() == 1);
}

TEST_CASE("records come by shard name, then sequence, and growth shows per shard") {
  const TemporaryFolder folder;
  append_text(folder / "b.jsonl", line_of("b.jsonl", 1, "join"));
  append_text(folder / "a.jsonl", line_of("a.jsonl", 1, "join") + line_of("a.jsonl", 2, "heartbeat"));
  append_text(folder / "notes.txt", "not a shard\n");
  JournalReader reader(folder.path());
  const auto records = reader.poll();
  REQUIRE(records.size() == 3);
  CHECK(records[0].at("shard") == "a.jsonl");
  CHECK(records[2].at("shard") == "b.jsonl");
  const auto before = reader.shards().at("b.jsonl").bytes;
  append_text(folder / "b.jsonl", line_of("b.jsonl", 2, "heartbeat"));
  CHECK(reader.poll().size() == 1);
  CHECK(reader.shards().at("b.jsonl").bytes > before);
}

TEST_CASE("a sweep without a journal folder has no records") {
  const TemporaryFolder folder;
  JournalReader reader(folder / "nothing");
  CHECK(reader.poll().empty());
}

TEST_CASE("appending from several threads while another commits loses nothing") {
  const TemporaryFolder folder;
  JournalWriter writer(folder / "journal", kPlace);
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&writer, t] {
      for (int i = 0; i < 50; ++i) {
        writer.append("report", {{"trial", t}, {"attempt", 1}, {"step", i}});
      }
    });
  }
  while (writer.durable() < 200) {
    writer.commit();
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  JournalReader reader(folder / "journal");
  const auto records = reader.poll();
  REQUIRE(records.size() == 200);
  for (std::size_t i = 0; i < records.size(); ++i) {
    REQUIRE(records[i].at("seq") == i + 1);
  }
}

TEST_CASE("a write that fails half-way loses nothing: the next commit repairs the shard") {
  const TemporaryFolder folder;
  JournalWriter writer(folder / "journal", kPlace);
  writer.append("join", Json::object());
  writer.commit();
  const auto path = folder / "journal" / writer.shard();
  rlimit before{};
  REQUIRE(::getrlimit(RLIMIT_FSIZE, &before) == 0);
  ::signal(SIGXFSZ, SIG_IGN);
  const rlimit tight{std::filesystem::file_size(path) + 200, before.rlim_max};  // ends inside the second of three lines
  REQUIRE(::setrlimit(RLIMIT_FSIZE, &tight) == 0);
  for (int trial = 0; trial < 3; ++trial) {
    writer.append("start", {{"trial", trial}, {"attempt", 1}});
  }
  CHECK_THROWS_WITH(writer.commit(), Catch::Contains("cannot write"));
  CHECK(writer.durable() == 1);
  REQUIRE(::setrlimit(RLIMIT_FSIZE, &before) == 0);
  ::signal(SIGXFSZ, SIG_DFL);
  JournalReader reader(folder / "journal");
  CHECK(types_of(reader.poll()) == "join1 start2");
  writer.append("leave");
  writer.commit();
  CHECK(writer.durable() == 5);
  CHECK(types_of(reader.poll()) == "start3 start4 leave5");
  CHECK(reader.skipped() == 1);
}

TEST_CASE("followers of one decoded journal go their own ways, and every line is decoded once") {
  const TemporaryFolder folder;
  HandClock clock;
  JournalWriter writer(folder / "journal", kPlace, clock);
  const auto write = [&writer](const std::string& type) {
    writer.append(type, {{"trial", 1}, {"attempt", 0}});
    writer.commit();
  };
  write("retry");
  const auto decoded = std::make_shared<DecodedJournal>();
  const auto storage = std::make_shared<DirectoryStorage>(SweepFiles{folder.path()});
  JournalFollower first(storage, decoded, clock);
  JournalFollower second(storage, decoded, clock);
  std::vector<RecordStore::Id> records;
  first.poll(records);
  CHECK(records == std::vector<RecordStore::Id>{0});
  const auto shard = decoded->records()->find_shard(writer.shard());
  REQUIRE(shard);
  CHECK_FALSE(second.quiet_s(*shard));
  clock.now_s += 10;
  CHECK(first.quiet_s(*shard) == 10.0);
  write("retry");
  write("leave");
  records.clear();
  second.poll(records);
  CHECK(records == std::vector<RecordStore::Id>{0, 1, 2});
  CHECK(second.quiet_s(*shard) == 0.0);
  CHECK(second.open_shards() == 0);
  records.clear();
  first.poll_shard(writer.shard(), records);
  CHECK(records == std::vector<RecordStore::Id>{1, 2});
  CHECK(first.quiet_s(*shard) == 0.0);
  CHECK(decoded->records()->size() == 3);
  // Behind "leave" nothing is expected: it is found, if late.
  write("retry");
  records.clear();
  for (int look = 0; look < 17; ++look) {
    second.poll(records);
  }
  CHECK(records == std::vector<RecordStore::Id>{3});
}

TEST_CASE("all heartbeats of a journal are one record") {
  RecordStore records;
  const Json beat = {{"type", "heartbeat"}, {"shard", "a.jsonl"}};
  CHECK(records.add(beat) == 0);
  CHECK(records.add({{"type", "leave"}, {"shard", "a.jsonl"}}) == 1);
  CHECK(records.add(beat) == 0);
  CHECK(records.size() == 2);
}

TEST_CASE("the place of a process comes from Slurm's variables, or is this process") {
  ::unsetenv("SLURM_JOB_ID");
  CHECK_FALSE(this_job().slurm);
  CHECK(this_job().cluster == "local");
  ::setenv("SLURM_JOB_ID", "99", 1);
  ::setenv("SLURM_CLUSTER_NAME", "hpc", 1);
  ::setenv("SLURM_RESTART_COUNT", "3", 1);
  CHECK(this_job() == JobPlace{"hpc", "99", 3, true});
  ::setenv("SLURM_RESTART_COUNT", "3x", 1);
  CHECK_THROWS_AS(this_job(), ConfigError);
  ::unsetenv("SLURM_RESTART_COUNT");
  CHECK(this_job().restart == 0);
  ::unsetenv("SLURM_JOB_ID");
  ::unsetenv("SLURM_CLUSTER_NAME");
}
