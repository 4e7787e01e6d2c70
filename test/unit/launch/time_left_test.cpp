// Slurm's word about the end of a job, with a script that stands for squeue.
#include "launch/time_left.hpp"

#include <cstdlib>
#include <fstream>

#include "regatta/base/error.hpp"
#include "support/catch.hpp"
#include "support/temporary_folder.hpp"

namespace regatta {
namespace {

namespace fs = std::filesystem;

class SetEnvironment {
 public:
  SetEnvironment(const char* name, const std::string& value) : name_(name) {
    const char* before = std::getenv(name);
    had_ = before != nullptr;
    before_ = had_ ? before : "";
    ::setenv(name, value.c_str(), 1);
  }
  ~SetEnvironment() { had_ ? ::setenv(name_, before_.c_str(), 1) : ::unsetenv(name_); }
  SetEnvironment(const SetEnvironment&) = delete;
  SetEnvironment& operator=(const SetEnvironment&) = delete;

 private:
  const char* name_;
  bool had_ = false;
  std::string before_;
};

TEST_CASE("the time left and the limit are those of the job itself, not of another element of its array") {
  const test::TemporaryFolder folder;
  std::ofstream(folder / "squeue") << "#!/bin/sh\n/bin/echo '12 1:00:00 2:00:00'\n/bin/echo '13 30:00 2:00:00'\n";
  fs::permissions(folder / "squeue", fs::perms::owner_all);
  const SetEnvironment path("PATH", folder.path().string());
  SlurmTimeLeft time({"box", "13", 0, true, "12"}, 300.0);
  CHECK(*time.seconds() == Approx(1800.0 - 300.0).margin(1.0));
  CHECK(time.limit_s() == 7200.0);
  CHECK(time.whole_s() == 6900.0);
}

TEST_CASE("without squeue the environment tells the end, and nothing tells the limit") {
  const test::TemporaryFolder empty;
  const SetEnvironment path("PATH", empty.path().string());
  const SetEnvironment end("SLURM_JOB_END_TIME", str(static_cast<std::int64_t>(std::time(nullptr)) + 1000));
  SlurmTimeLeft time({"box", "13", 0, true, ""}, 300.0);
  CHECK(*time.seconds() == Approx(700.0).margin(2.0));
  CHECK_FALSE(time.whole_s());
}

TEST_CASE("the seconds of the signal are a number, or are refused") {
  CHECK(signal_lead_s() == 300.0);
  {
    const SetEnvironment lead("REGATTA_SIGNAL_S", "60");
    CHECK(signal_lead_s() == 60.0);
  }
  const SetEnvironment lead("REGATTA_SIGNAL_S", "1min");
  CHECK_THROWS_WITH(signal_lead_s(), Catch::Contains("REGATTA_SIGNAL_S: '1min': expected a number of seconds"));
}

}  // namespace
}  // namespace regatta
