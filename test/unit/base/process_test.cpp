#include <csignal>

#include <sys/wait.h>
#include <unistd.h>

#include "regatta/base/process.hpp"
#include "support/catch.hpp"

using namespace regatta;

TEST_CASE("this process is alive, and a pid that was used again is not") {
  ProcessIdentity self = this_process();
  CHECK(liveness(self) == Liveness::kAlive);
  self.start_ticks += 1;
  CHECK(liveness(self) == Liveness::kGone);
}

TEST_CASE("a process on another host is unknown, one of an earlier boot is gone") {
  ProcessIdentity other = this_process();
  other.host += "x";
  CHECK(liveness(other) == Liveness::kUnknown);
  other = this_process();
  other.boot = "earlier";
  CHECK(liveness(other) == Liveness::kGone);
}

TEST_CASE("a zombie counts as gone") {
  const pid_t child = ::fork();
  if (child == 0) {
    ::pause();
    ::_exit(0);
  }
  const ProcessIdentity identity = identify_process(child);
  REQUIRE(liveness(identity) == Liveness::kAlive);
  ::kill(child, SIGKILL);
  siginfo_t info{};
  REQUIRE(::waitid(P_PID, static_cast<id_t>(child), &info, WEXITED | WNOWAIT) == 0);
  CHECK(liveness(identity) == Liveness::kGone);
  REQUIRE(::waitpid(child, nullptr, 0) == child);
}
