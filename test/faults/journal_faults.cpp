// Faults of the journal, of claims and of atomic files, at the n-th file-system call and at a power cut. No LibTorch.
#include <functional>
#include <optional>

#include <nlohmann/json.hpp>

#include "faults/campaign.hpp"
#include "faults/power_cut.hpp"
#include "regatta/base/error.hpp"
#include "regatta/base/files.hpp"
#include "regatta/base/run_main.hpp"
#include "regatta/sweep/claims.hpp"
#include "regatta/sweep/journal.hpp"

namespace regatta::faults {
namespace {

namespace fs = std::filesystem;

constexpr int kRounds = 12;
constexpr long kClaimMark = 1000;
constexpr long kVersionMark = 2000;

/// What was promised: told outside the folder under test, and in its trace.
class Promises {
 public:
  explicit Promises(const fs::path& path) : path_(path) {}
  void keep(long value) {
    text_ += str(value, '\n');
    fault_shim_mark(value);
    write_file_atomically(path_, text_);
  }

 private:
  fs::path path_;
  std::string text_;
};

std::vector<long> promises_in(const fs::path& path) {
  std::vector<long> values;
  std::error_code error;
  if (fs::exists(path, error)) {
    for (const std::string& line : split(read_file(path), '\n')) {
      if (!line.empty()) {
        values.push_back(std::stol(line));
      }
    }
  }
  return values;
}

/// Calls `action` until it succeeds, as the journal's thread does. @return false if it never did
bool until_done(const std::function<void()>& action) {
  for (int tries = 0; tries < 60; ++tries) {
    try {
      action();
      return true;
    } catch (const DataError&) {
    }
  }
  return false;
}

/// A coordinator's writes: 12 rounds of records with a group commit, a claim and a file that is replaced.
int write_all(const fs::path& root, const fs::path& promised) {
  Promises promises(promised);
  const SweepFiles files{root};
  bool well = until_done([&] {
    make_directories(files.root);
    make_directories(files.claim(1, 1).parent_path());
  });
  std::optional<JournalWriter> journal;
  well = well && until_done([&] { journal.emplace(files.root / "journal", JobPlace{"local", "job", 0, false}); });
  for (int round = 1; well && round <= kRounds; ++round) {
    for (int i = 0; i < 1 + round % 3; ++i) {
      journal->append("report", {{"trial", round}, {"text", std::string(static_cast<std::size_t>(37 * round), 'x')}});
    }
    well = until_done([&] { journal->commit(); });
    if (!well) {
      break;
    }
    promises.keep(journal->durable());
    const Owner owner{this_process(), JobPlace{"local", "job", 0, false}, journal->shard()};
    bool is_ours = false;
    well = until_done([&] { is_ours = is_ours || try_claim(files, round, 1, owner); });
    if (is_ours) {
      promises.keep(kClaimMark + round);
    }
    well =
        well && until_done([&] { write_file_atomically(files.root / "job.json", str("{\"version\":", round, "}")); });
    if (well) {
      promises.keep(kVersionMark + round);
    }
  }
  return well ? 0 : 3;
}

/// What is wrong with a state of the disk, given what had been promised by then; empty: nothing.
std::string check(const fs::path& root, const std::vector<long>& promises) {
  const SweepFiles files{root};
  long records = 0;
  long version = 0;
  for (const long value : promises) {
    if (value > kVersionMark) {
      version = value - kVersionMark;
    } else if (value > kClaimMark) {
      if (!read_claim(files, value - kClaimMark, 1)) {
        return str("claim ", value - kClaimMark, " is lost");
      }
    } else {
      records = value;
    }
  }
  for (int trial = 1; trial <= kRounds; ++trial) {
    read_claim(files, trial, 1);  // throws if it is there and torn
  }
  JournalReader reader(files.root / "journal");
  std::int64_t expected = 0;
  for (const Json& record : reader.poll()) {
    const auto seq = record.at("seq").get<std::int64_t>();
    if (seq <= expected) {
      return str("record ", seq, " is read twice");
    }
    if (seq > expected + 1 && expected < records) {
      return str("record ", expected + 1, " of ", records, " promised ones is lost");
    }
    expected = seq;
  }
  if (expected < records) {
    return str("record ", expected + 1, " of ", records, " promised ones is lost");
  }
  std::error_code error;
  if (version > 0 || fs::exists(files.root / "job.json", error)) {
    const long found = read_json(files.root / "job.json").at("version").get<long>();
    if (found < version) {
      return str("job.json is of version ", found, ", promised ", version);
    }
  }
  return "";
}

Row faults_at_each_call(const Options& options, const Kind& kind, long calls) {
  const std::vector<long> numbers = chosen(options, calls, 60);
  const bool dies = kind.fault == Fault::kKillBefore || kind.fault == Fault::kKillAfter;
  return run_cases(options, "journal: " + kind.name, static_cast<std::int64_t>(numbers.size()),
                   [&](std::int64_t number, const fs::path& folder) -> std::string {
                     const long n = numbers[static_cast<std::size_t>(number)];
                     const fs::path root = folder / "sweep";
                     const ChildEnd end = run_child(plan_of(kind, root, n), folder / "log",
                                                    [&] { return write_all(root, folder / "promised"); });
                     if (end.code != (dies ? -9 : 0)) {
                       return str("call ", n, ": ended with ", end.code, ": ", one_line(end.log, 300));
                     }
                     const std::string fault = check(root, promises_in(folder / "promised"));
                     return fault.empty() ? "" : str("call ", n, ": ", fault);
                   });
}

/// The model of the disk finds what a writer without fsync would lose.
Row missing_fsync(const Options& options, const fs::path& root, const std::vector<TraceRecord>& trace) {
  return run_cases(options, "journal: without fsync a loss is noticed", 1,
                   [&](std::int64_t, const fs::path& folder) -> std::string {
                     Disk disk(root);
                     std::vector<long> promises;
                     for (const TraceRecord& record : trace) {
                       if (record.call != kSync || record.file == 0) {
                         disk.apply(record);
                       }
                       if (record.call == 0) {
                         promises.push_back(record.offset);
                       }
                     }
                     disk.write_state(folder / "state", 0);
                     try {
                       return check(folder / "state" / "sweep", promises).empty() ? "nothing was noticed" : "";
                     } catch (const Error&) {
                       return "";
                     }
                   });
}

void power_cuts(const Options& options, std::vector<Row>& rows) {
  const fs::path root = options.work / "traced";
  Plan plan = plan_of({"trace", Fault::kNone, 0, 1}, root, 1);
  std::snprintf(plan.trace, sizeof plan.trace, "%s", (options.work / "trace").c_str());
  fs::create_directories(root);
  run_child(plan, options.work / "log", [&] { return write_all(root / "sweep", options.work / "promised"); });
  const std::vector<TraceRecord> trace = read_trace(options.work / "trace");
  const std::uint64_t seeds = options.full ? 100 : 4;
  rows.push_back(missing_fsync(options, root, trace));
  rows.push_back(run_cases(options, "journal: power cut", static_cast<std::int64_t>(trace.size()),
                           [&](std::int64_t number, const fs::path& folder) -> std::string {
                             Disk disk(root);
                             std::vector<long> promises;
                             for (std::int64_t i = 0; i <= number; ++i) {
                               const TraceRecord& record = trace[static_cast<std::size_t>(i)];
                               disk.apply(record);
                               if (record.call == 0) {
                                 promises.push_back(record.offset);
                               }
                             }
                             for (std::uint64_t seed = 0; seed < seeds; ++seed) {
                               disk.write_state(folder / "state", seed < 2 ? seed : seed + options.seed * 1000003);
                               const std::string fault = check(folder / "state" / "sweep", promises);
                               if (!fault.empty()) {
                                 return str("cut after record ", number, ", seed ", seed, ": ", fault);
                               }
                             }
                             return "";
                           }));
}

int campaign(int argc, char** argv) {
  const Options options = read_arguments(argc, argv);
  Plan counting;
  std::snprintf(counting.root, sizeof counting.root, "%s", (options.work / "counted").c_str());
  const ChildEnd counted = run_child(counting, options.work / "log", [&] {
    const int code = write_all(options.work / "counted", options.work / "promised");
    write_file_atomically(options.work / "calls", str(fault_shim_calls()));
    return code;
  });
  REGATTA_REQUIRE(counted.code == 0, BugError, "the undisturbed run ended with ", counted.code, ": ", counted.log);
  const long calls = std::stol(read_file(options.work / "calls"));
  std::vector<Row> rows;
  for (const Kind& kind : all_kinds()) {
    rows.push_back(faults_at_each_call(options, kind, calls));
  }
  power_cuts(options, rows);
  return finish(options, "journal_faults", rows);
}

}  // namespace
}  // namespace regatta::faults

int main(int argc, char** argv) {
  return regatta::run_main([&] { return static_cast<regatta::ExitCode>(regatta::faults::campaign(argc, argv)); });
}
