// What the fault programs share: child processes that run with a fault, many at a time, and the table of what was seen.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "faults/fault_shim.hpp"

namespace regatta::faults {

/// Runs and passes of one kind of fault.
struct Row {
  std::string test;
  std::int64_t runs = 0;
  std::int64_t passes = 0;
  double worst_s = 0.0;  ///< longest run
  std::vector<std::string> failures;
};

/// A kind of fault at the n-th call.
struct Kind {
  std::string name;
  Fault fault = Fault::kNone;
  int error = 0;
  long length = 1;  ///< calls that are hit, from the n-th on
};

/// ENOSPC, EDQUOT, EIO, ESTALE, EINTR, a short write, a stall, death before and after, a full disk for 40 calls.
const std::vector<Kind>& all_kinds();

Plan plan_of(const Kind& kind, const std::filesystem::path& root, long n);

struct Options {
  std::filesystem::path work;  ///< an empty folder
  std::filesystem::path json;  ///< results; empty: none
  bool full = false;           ///< every n, all seeds; else a bounded part
  long every = 1;              ///< of a full run: each `every`-th n, from the seed on
  std::string only;            ///< tests whose names contain this; empty: all
  int jobs = 2;
  std::uint64_t seed = 1;
};

/// --work DIR [--full] [--every N] [--test TEXT] [--jobs N] [--seed N] [--json FILE]. @throws ConfigError
Options read_arguments(int argc, char** argv);

struct ChildEnd {
  int code = -1;  ///< exit status, or minus the signal
  std::string log;
};

/// Runs `body` in a forked process, its output in `log`; the shim knows `plan` in there.
ChildEnd run_child(const Plan& plan, const std::filesystem::path& log, const std::function<int()>& body,
                   const std::function<void(int pid)>& meanwhile = {});

/// Runs cases 0..count-1, each in a forked process of its own and a folder of its own, `jobs` at a time. A case returns
/// what is wrong; empty: it passes. A test that was not asked for (`Options::only`) has no runs.
Row run_cases(const Options& options, const std::string& test, std::int64_t count,
              const std::function<std::string(std::int64_t, const std::filesystem::path&)>& body);

/// Which of 1..last: each `every`-th of a full run, else `at_most` spread evenly; shifted by the seed.
std::vector<long> chosen(const Options& options, long last, long at_most);

/// Prints the table with the 95 % upper bound of the failure rate and writes the JSON. @return exit code
int finish(const Options& options, const std::string& program, const std::vector<Row>& rows);

}  // namespace regatta::faults
