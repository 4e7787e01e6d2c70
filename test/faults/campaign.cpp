// Forks, waits, counts.
#include "faults/campaign.hpp"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <map>
#include <system_error>

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "regatta/base/clock.hpp"
#include "regatta/base/error.hpp"
#include "regatta/base/files.hpp"
#include "regatta/base/log.hpp"
#include "regatta/config/json.hpp"

namespace regatta::faults {
namespace {

namespace fs = std::filesystem;

double now_s() {
  return system_clock().monotonic_s();
}

std::string bound_text(double bound) {
  char text[32];
  std::snprintf(text, sizeof text, "%.2g", bound);
  return text;
}

}  // namespace

const std::vector<Kind>& all_kinds() {
  static const std::vector<Kind> kinds = {
      {"ENOSPC", Fault::kError, ENOSPC, 1},    {"EDQUOT", Fault::kError, EDQUOT, 1},
      {"EIO", Fault::kError, EIO, 1},          {"ESTALE", Fault::kError, ESTALE, 1},
      {"EINTR", Fault::kError, EINTR, 1},      {"short write", Fault::kShortWrite, 0, 1},
      {"stall", Fault::kStall, 0, 1},          {"kill before", Fault::kKillBefore, 0, 1},
      {"kill after", Fault::kKillAfter, 0, 1}, {"ENOSPC for 40 calls", Fault::kError, ENOSPC, 40}};
  return kinds;
}

Plan plan_of(const Kind& kind, const fs::path& root, long n) {
  Plan plan;
  std::snprintf(plan.root, sizeof plan.root, "%s", root.c_str());
  plan.fault = kind.fault;
  plan.error = kind.error;
  plan.stall_ms = 20;
  plan.from = n;
  plan.to = n + kind.length - 1;
  return plan;
}

Options read_arguments(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    const std::string name = argv[i];
    if (name == "--full") {
      options.full = true;
      continue;
    }
    REGATTA_REQUIRE(i + 1 < argc, ConfigError, name, ": a value expected");
    const std::string value = argv[++i];
    if (name == "--work") {
      options.work = fs::absolute(value);
    } else if (name == "--json") {
      options.json = value;
    } else if (name == "--jobs") {
      options.jobs = std::max(1, std::atoi(value.c_str()));
    } else if (name == "--every") {
      options.every = std::max(1, std::atoi(value.c_str()));
    } else if (name == "--test") {
      options.only = value;
    } else if (name == "--seed") {
      options.seed = std::strtoull(value.c_str(), nullptr, 10);
    } else {
      throw ConfigError(str(name, ": --work, --full, --every, --test, --jobs, --seed or --json expected"));
    }
  }
  REGATTA_REQUIRE(!options.work.empty(), ConfigError, "--work: missing");
  make_directories(options.work);
  return options;
}

ChildEnd run_child(const Plan& plan, const fs::path& log, const std::function<int()>& body,
                   const std::function<void(int pid)>& meanwhile) {
  std::cout.flush();
  const pid_t child = ::fork();
  REGATTA_REQUIRE(child >= 0, DataError, "cannot fork: ", std::strerror(errno));
  if (child == 0) {
    const int fd = ::open(log.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    ::dup2(fd, 1);
    ::dup2(fd, 2);
    fault_shim_arm(&plan);
    ::_exit(body());
  }
  if (meanwhile) {
    meanwhile(child);
  }
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return {WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status), read_file(log)};
}

Row run_cases(const Options& options, const std::string& test, std::int64_t count,
              const std::function<std::string(std::int64_t, const fs::path&)>& body) {
  struct Running {
    std::int64_t number;
    double since_s;
  };
  const double start_s = now_s();
  Row row;
  row.test = test;
  if (test.find(options.only) == std::string::npos) {
    return row;
  }
  std::map<pid_t, Running> running;
  std::int64_t started = 0;
  const auto folder_of = [&](std::int64_t number) { return options.work / str("case", number); };
  std::cout.flush();
  while (started < count || !running.empty()) {
    if (started < count && running.size() < static_cast<std::size_t>(options.jobs)) {
      const std::int64_t number = started++;
      const fs::path folder = folder_of(number);
      fs::create_directories(folder);
      const pid_t child = ::fork();
      REGATTA_REQUIRE(child >= 0, DataError, "cannot fork: ", std::strerror(errno));
      if (child == 0) {
        std::string fault;
        try {
          fault = body(number, folder);
        } catch (const std::exception& error) {
          fault = error.what();
        }
        write_file_atomically(folder / "fault.txt", fault);
        ::_exit(fault.empty() ? 0 : 1);
      }
      running[child] = {number, now_s()};
      continue;
    }
    int status = 0;
    const pid_t ended = ::waitpid(-1, &status, 0);
    const auto found = running.find(ended);
    if (found == running.end()) {
      continue;
    }
    ++row.runs;
    row.worst_s = std::max(row.worst_s, now_s() - found->second.since_s);
    const fs::path folder = folder_of(found->second.number);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
      ++row.passes;
    } else if (row.failures.size() < 10) {
      std::error_code error;
      row.failures.push_back(str("case ", found->second.number, ": ",
                                 fs::exists(folder / "fault.txt", error) ? read_file(folder / "fault.txt")
                                                                         : str("ended with status ", status)));
    }
    running.erase(found);
    fs::remove_all(folder);
  }
  log_info(test, ": ", row.passes, " of ", row.runs, " passed, ", duration_text(now_s() - start_s));
  return row;
}

std::vector<long> chosen(const Options& options, long last, long at_most) {
  std::vector<long> numbers;
  const long step = options.full ? options.every : std::max(1L, last / at_most);
  for (long n = 1 + static_cast<long>(options.seed) % step; n <= last; n += step) {
    numbers.push_back(n);
  }
  return numbers;
}

int finish(const Options& options, const std::string& program, const std::vector<Row>& rows) {
  bool good = true;
  Json list = Json::array();
  std::printf("%-44s %8s %8s %8s  %s\n", "test", "runs", "passes", "worst s", "failure rate, 95 % below");
  for (const Row& row : rows) {
    if (row.test.find(options.only) == std::string::npos) {
      continue;
    }
    const bool passed = row.passes == row.runs && row.runs > 0;
    const double bound = passed ? std::min(1.0, 3.0 / static_cast<double>(row.runs)) : 1.0;
    good = good && passed;
    std::printf("%-44s %8lld %8lld %8.2f  %s\n", row.test.c_str(), static_cast<long long>(row.runs),
                static_cast<long long>(row.passes), row.worst_s, passed ? bound_text(bound).c_str() : "FAILED");
    for (const std::string& failure : row.failures) {
      std::printf("    %s\n", failure.c_str());
    }
    list.push_back({{"test", row.test},
                    {"runs", row.runs},
                    {"passes", row.passes},
                    {"worst_s", row.worst_s},
                    {"failure_rate_below", bound},
                    {"failures", row.failures}});
  }
  std::fflush(stdout);
  if (!options.json.empty()) {
    const Json report = {{"program", program},   {"time", system_clock().utc_text()},
                         {"full", options.full}, {"every", options.every},
                         {"seed", options.seed}, {"tests", list}};
    write_file_atomically(options.json, dump_pretty(report));
  }
  return good ? 0 : 1;
}

}  // namespace regatta::faults
