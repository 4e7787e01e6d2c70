#include <filesystem>
#include <thread>

#include <sys/stat.h>

#include "regatta/base/error.hpp"
#include "regatta/base/files.hpp"
#include "support/catch.hpp"
#include "support/temporary_folder.hpp"

using namespace regatta;
using regatta::test::TemporaryFolder;
namespace fs = std::filesystem;

namespace {

std::size_t entries(const fs::path& folder) {
  return static_cast<std::size_t>(std::distance(fs::directory_iterator(folder), fs::directory_iterator()));
}

}  // namespace

TEST_CASE("an atomic file appears whole or not at all") {
  const TemporaryFolder folder;
  write_file_atomically(folder / "a.txt", "old");
  {
    AtomicFile file(folder / "a.txt");
    file.write("half of the new");
    CHECK(read_file(folder / "a.txt") == "old");
  }
  CHECK(read_file(folder / "a.txt") == "old");
  CHECK(entries(folder.path()) == 1);
  write_file_atomically(folder / "a.txt", "new");
  CHECK(read_file(folder / "a.txt") == "new");
  CHECK(entries(folder.path()) == 1);
}

TEST_CASE("atomic files honour umask") {
  const TemporaryFolder folder;
  const mode_t before = ::umask(027);
  write_file_atomically(folder / "a.txt", "x");
  ::umask(before);
  struct stat info {};
  REQUIRE(::stat((folder / "a.txt").c_str(), &info) == 0);
  CHECK((info.st_mode & 0777) == 0640);
}

TEST_CASE("a name is claimed once, whoever tries at the same time") {
  const TemporaryFolder folder;
  for (int round = 0; round < 20; ++round) {
    const fs::path path = folder / ("t" + std::to_string(round));
    std::atomic<int> winners{0};
    std::vector<std::thread> threads;
    for (int i = 0; i < 8; ++i) {
      threads.emplace_back([&winners, &path, i] {
        if (claim_file(path, str("owner ", i))) {
          ++winners;
        }
      });
    }
    for (auto& thread : threads) {
      thread.join();
    }
    CHECK(winners == 1);
  }
  CHECK(entries(folder.path()) == 20);
}

TEST_CASE("reading names the path and the reason") {
  const TemporaryFolder folder;
  CHECK_THROWS_WITH(read_file(folder / "none"), Catch::Contains("none: cannot open: No such file"));
  CHECK_THROWS_WITH(read_file(folder.path()), Catch::Contains("is a directory"));
  write_file_atomically(folder / "a", "12345");
  CHECK_THROWS_WITH(read_file(folder / "a", 4), Catch::Contains("longer than 4 bytes"));
  CHECK_THROWS_WITH(write_file_atomically(folder / "no/such/a", "x"), Catch::Contains("cannot create"));
}

TEST_CASE("what passes by is tried five times, anything else once") {
  int calls = 0;
  retry_passing_errors([&] {
    if (++calls < 5) {
      throw PassingError("stale");
    }
  });
  CHECK(calls == 5);
  const auto fails_with = [&](const auto& error) {
    return [&calls, error] {
      ++calls;
      throw error;
    };
  };
  calls = 0;
  CHECK_THROWS_AS(retry_passing_errors(fails_with(PassingError("stale"))), PassingError);
  CHECK(calls == 5);
  calls = 0;
  CHECK_THROWS_AS(retry_passing_errors(fails_with(DataError("disk full"))), DataError);
  CHECK(calls == 1);
}

TEST_CASE("folders are made with their parents; a file in the place of one is named") {
  const TemporaryFolder folder;
  make_directories(folder.path() / "a" / "b" / "c");
  make_directories(folder.path() / "a" / "b" / "d" / "");
  CHECK(fs::is_directory(folder.path() / "a" / "b" / "c"));
  CHECK(fs::is_directory(folder.path() / "a" / "b" / "d"));
  write_file_atomically(folder / "file", "x");
  CHECK_THROWS_AS(make_directories(folder.path() / "file" / "below"), DataError);
  CHECK_THROWS_WITH(make_directories(folder / "file"), Catch::Contains("file: cannot make directory"));
  CHECK(free_bytes(folder.path()) > 0);
}
