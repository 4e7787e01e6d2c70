// Group commit in a thread, with a disk that refuses for a while.
#include "launch/journal_thread.hpp"

#include <chrono>
#include <csignal>

#include <sys/resource.h>

#include "support/catch.hpp"
#include "support/temporary_folder.hpp"

namespace regatta {
namespace {

using test::TemporaryFolder;

bool waits_until(const std::function<bool()>& reached) {
  for (int i = 0; i < 1000 && !reached(); ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return reached();
}

TEST_CASE("records become durable without anybody waiting, in their order") {
  const TemporaryFolder folder;
  JournalWriter writer(folder.path(), JobPlace{});
  {
    JournalThread journal(writer);
    const auto first = journal.append("heartbeat");
    CHECK(waits_until([&] { return journal.is_durable(first); }));
    for (int i = 0; i < 200; ++i) {
      journal.append("extend", {{"trials", i}});
    }
  }
  JournalReader reader(folder.path());
  const auto records = reader.poll();
  REQUIRE(records.size() == 201);
  CHECK(records.back().at("trials") == 199);
}

TEST_CASE("a disk that refuses is tried again, and nothing is lost") {
  const TemporaryFolder folder;
  JournalWriter writer(folder.path(), JobPlace{});
  rlimit before{};
  ::getrlimit(RLIMIT_FSIZE, &before);
  ::signal(SIGXFSZ, SIG_IGN);
  rlimit small = before;
  small.rlim_cur = 50;
  ::setrlimit(RLIMIT_FSIZE, &small);
  {
    JournalThread journal(writer);
    const auto record = journal.append("extend", {{"trials", 7}});
    CHECK(waits_until([&] { return !journal.error().empty(); }));
    CHECK_FALSE(journal.is_durable(record));
    ::setrlimit(RLIMIT_FSIZE, &before);
    CHECK(waits_until([&] { return journal.is_durable(record); }));
    CHECK(journal.error().empty());
  }
  JournalReader reader(folder.path());
  const auto records = reader.poll();
  REQUIRE(records.size() == 1);
  CHECK(records[0].at("trials") == 7);
  CHECK(reader.skipped() == 1);
}

}  // namespace
}  // namespace regatta
