// The spawner with real processes: /bin/sh as the child.
#include "launch/spawner.hpp"

#include <algorithm>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <thread>

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "regatta/base/error.hpp"
#include "regatta/base/files.hpp"
#include "regatta/base/text.hpp"
#include "support/catch.hpp"
#include "support/temporary_folder.hpp"

namespace regatta {
namespace {

using test::TemporaryFolder;

/// Runs shell commands as a child of the spawner.
SpawnOrder shell(const TemporaryFolder& folder, const std::string& commands) {
  SpawnOrder order;
  order.argv = {"/bin/sh", "-c", commands};
  order.log = (folder / "log.txt").string();
  return order;
}

struct Ends {
  Ends() { REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd) == 0); }
  ~Ends() {
    ::close(fd[0]);
    ::close(fd[1]);
  }
  int fd[2] = {-1, -1};
};

std::vector<ChildExit> wait_for_exits(Spawner& spawner, std::size_t count) {
  std::vector<ChildExit> all;
  for (int i = 0; i < 500 && all.size() < count; ++i) {
    const auto some = spawner.exits();
    all.insert(all.end(), some.begin(), some.end());
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return all;
}

bool is_alive(std::int64_t pid) {
  const std::string path = str("/proc/", pid, "/stat");
  std::error_code error;
  if (!std::filesystem::exists(path, error)) {
    return false;
  }
  const std::string stat = read_file(path);
  return stat.find(") Z ") == std::string::npos;
}

bool dies_soon(std::int64_t pid) {
  for (int i = 0; i < 500 && is_alive(pid); ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return !is_alive(pid);
}

TEST_CASE("exit codes and signals of children come back, with what they print in their log") {
  const TemporaryFolder folder;
  const Ends ends;
  Spawner spawner;
  const pid_t first = spawner.start(shell(folder, "echo to stdout; echo to stderr >&2; exit 13"), ends.fd[1]);
  auto exits = wait_for_exits(spawner, 1);
  REQUIRE(exits.size() == 1);
  CHECK(exits[0].pid == first);
  CHECK(exits[0].code == 13);
  CHECK(exits[0].signal == 0);
  CHECK(read_file(folder / "log.txt") == "to stdout\nto stderr\n");
  spawner.start(shell(folder, "echo again; kill -9 $$"), ends.fd[1]);
  exits = wait_for_exits(spawner, 1);
  REQUIRE(exits.size() == 1);
  CHECK(exits[0].signal == SIGKILL);
  CHECK(read_file(folder / "log.txt") == "to stdout\nto stderr\nagain\n");
}

TEST_CASE("a child has descriptors 0 to 3 only, and 3 is its channel") {
  const TemporaryFolder folder;
  const Ends ends;
  const int stray = ::open("/dev/null", O_RDONLY);  // without close-on-exec
  Spawner spawner;
  spawner.start(shell(folder, "ls /proc/$$/fd; echo hello >&3"), ends.fd[1]);
  REQUIRE(wait_for_exits(spawner, 1).size() == 1);
  ::close(stray);
  CHECK(read_file(folder / "log.txt") == "0\n1\n2\n3\n");
  char text[6] = {};
  CHECK(::read(ends.fd[0], text, 6) == 6);
  CHECK(std::string(text, 5) == "hello");
}

TEST_CASE("a child does not see MPI's variables, and sees what its order sets") {
  const TemporaryFolder folder;
  const Ends ends;
  for (const char* name : {"OMPI_COMM_WORLD_RANK", "PMIX_RANK", "PMI_RANK", "PRTE_X"}) {
    ::setenv(name, "3", 1);
  }
  ::setenv("OMP_NUM_THREADS", "64", 1);
  ::setenv("KEPT", "yes", 1);
  Spawner spawner;
  SpawnOrder order = shell(folder, "env | grep -E '^(OMPI_|PMIX_|PMI_|PRTE_|OMP_NUM_THREADS|KEPT)' | sort");
  order.environment = {{"OMP_NUM_THREADS", "2"}};
  spawner.start(order, ends.fd[1]);
  REQUIRE(wait_for_exits(spawner, 1).size() == 1);
  CHECK(read_file(folder / "log.txt") == "KEPT=yes\nOMP_NUM_THREADS=2\n");
  for (const char* name : {"OMPI_COMM_WORLD_RANK", "PMIX_RANK", "PMI_RANK", "PRTE_X", "OMP_NUM_THREADS", "KEPT"}) {
    ::unsetenv(name);
  }
}

TEST_CASE("a child ignores USR2, TERM and INT, stays in the process group, and runs where it is told to") {
  const TemporaryFolder folder;
  const Ends ends;
  Spawner spawner;
  SpawnOrder order = shell(folder,
                           "kill -USR2 $$; kill -TERM $$; kill -INT $$; grep Cpus_allowed_list /proc/$$/status; "
                           "cut -d' ' -f5 /proc/$$/stat");
  order.cpus = {0};
  spawner.start(order, ends.fd[1]);
  const auto exits = wait_for_exits(spawner, 1);
  REQUIRE(exits.size() == 1);
  CHECK(exits[0].code == 0);
  CHECK(read_file(folder / "log.txt") == str("Cpus_allowed_list:\t0\n", static_cast<std::int64_t>(::getpgrp()), "\n"));
}

TEST_CASE("a program that cannot be started is an error with the system's reason") {
  const TemporaryFolder folder;
  const Ends ends;
  Spawner spawner;
  SpawnOrder order = shell(folder, "");
  order.argv = {"/no/such/program"};
  CHECK_THROWS_WITH(spawner.start(order, ends.fd[1]), Catch::Contains("/no/such/program: cannot start: No such file"));
  order = shell(folder, "exit 0");
  order.log = "/no/such/folder/log.txt";
  CHECK_THROWS_AS(spawner.start(order, ends.fd[1]), CommError);
  spawner.start(shell(folder, "exit 4"), ends.fd[1]);  // and the spawner continues
  REQUIRE(wait_for_exits(spawner, 1).size() == 1);
}

TEST_CASE("kill reaches a child that runs, and nobody once it has ended") {
  const TemporaryFolder folder;
  const Ends ends;
  Spawner spawner;
  const pid_t child = spawner.start(shell(folder, "exec sleep 100"), ends.fd[1]);
  spawner.kill(child, SIGKILL);
  const auto exits = wait_for_exits(spawner, 1);
  REQUIRE(exits.size() == 1);
  CHECK(exits[0].signal == SIGKILL);
  spawner.kill(::getpid(), SIGKILL);  // not a child of the spawner: we live on
  CHECK(wait_for_exits(spawner, 0).empty());
}

TEST_CASE("children die with the spawner, and the rank sees that it is gone") {
  const TemporaryFolder folder;
  const Ends ends;
  auto spawner = std::make_unique<Spawner>();
  const pid_t first = spawner->start(shell(folder, "exec sleep 100"), ends.fd[1]);
  ::kill(spawner->pid(), SIGKILL);
  CHECK(dies_soon(first));
  CHECK_THROWS_AS(wait_for_exits(*spawner, 1), CommError);
  spawner = std::make_unique<Spawner>();
  const pid_t second = spawner->start(shell(folder, "exec sleep 100"), ends.fd[1]);
  spawner.reset();
  CHECK(dies_soon(second));
}

TEST_CASE("spawner and child die when the rank is killed with SIGKILL") {
  const TemporaryFolder folder;
  int report[2] = {-1, -1};
  REQUIRE(::pipe(report) == 0);
  const pid_t rank = ::fork();
  if (rank == 0) {
    int ends[2] = {-1, -1};
    ::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends);
    Spawner spawner;
    const pid_t pids[2] = {spawner.pid(), spawner.start(shell(folder, "exec sleep 100"), ends[1])};
    if (::write(report[1], pids, sizeof pids) == sizeof pids) {
      ::pause();
    }
    ::_exit(1);
  }
  pid_t pids[2] = {0, 0};
  REQUIRE(::read(report[0], pids, sizeof pids) == sizeof pids);
  CHECK(is_alive(pids[0]));
  CHECK(is_alive(pids[1]));
  ::kill(rank, SIGKILL);
  ::waitpid(rank, nullptr, 0);
  CHECK(dies_soon(pids[0]));
  CHECK(dies_soon(pids[1]));
  ::close(report[0]);
  ::close(report[1]);
}

}  // namespace
}  // namespace regatta
