#include "attempt.hpp"

#include <algorithm>
#include <array>
#include <fstream>

#include <sys/wait.h>
#include <unistd.h>

#include "regatta/base/error.hpp"
#include "support/catch.hpp"

namespace regatta::test {
namespace {

/// A field of /proc/self/status, in bytes.
std::uint64_t memory(const std::string& field) {
  std::ifstream in("/proc/self/status");
  std::string word;
  while (in >> word) {
    if (word == field + ":") {
      std::uint64_t kib = 0;
      in >> kib;
      return kib << 10;
    }
  }
  return 0;
}

[[noreturn]] void run_child(const std::function<void()>& body, int out) {
  ::alarm(120);
  const std::uint64_t before = memory("VmRSS");
  int code = 0;
  std::string text;
  try {
    body();
  } catch (const Error& error) {
    code = static_cast<int>(error.code());
    text = error.what();
  } catch (const std::exception& error) {
    code = 1;
    text = error.what();
  }
  const std::uint64_t peak = memory("VmHWM");
  text = str(peak - std::min(peak, before), ' ', text);
  const bool written = ::write(out, text.data(), text.size()) == static_cast<ssize_t>(text.size());
  ::_exit(written ? code : 99);
}

}  // namespace

Attempt attempt(const std::function<void()>& body) {
  std::array<int, 2> ends{};
  REQUIRE(::pipe(ends.data()) == 0);
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    run_child(body, ends[1]);
  }
  ::close(ends[1]);
  std::string said;
  std::array<char, 4096> buffer{};
  for (ssize_t got = 0; (got = ::read(ends[0], buffer.data(), buffer.size())) > 0;) {
    said.append(buffer.data(), static_cast<std::size_t>(got));
  }
  ::close(ends[0]);
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  Attempt out;
  out.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 256 + WTERMSIG(status);
  const std::size_t space = said.find(' ');
  if (space != std::string::npos) {
    out.peak_bytes = std::stoull(said.substr(0, space));
    out.text = said.substr(space + 1);
  }
  return out;
}

void require_refused(const Attempt& attempt, const std::string& part, std::uint64_t implied_bytes) {
  INFO(attempt.text << "\nexit code " << attempt.exit_code << ", peak " << attempt.peak_bytes);
  CHECK(attempt.exit_code == static_cast<int>(ExitCode::kData));
  CHECK(attempt.text.find(part) != std::string::npos);
  CHECK(attempt.text.find('\n') == std::string::npos);
  CHECK(attempt.text.size() < 600);
  CHECK(attempt.peak_bytes <= 2 * implied_bytes + kSlackBytes);
}

}  // namespace regatta::test
