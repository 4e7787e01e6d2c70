// Slurm's word about the end of this job.
#include "launch/time_left.hpp"

#include <cstdlib>
#include <ctime>

#include "regatta/base/error.hpp"
#include "regatta/base/log.hpp"
#include "regatta/base/run_program.hpp"
#include "regatta/base/text.hpp"

namespace regatta {
namespace {

constexpr double kAskEvery_s = 300.0;

/// SLURM_JOB_END_TIME: seconds since 1970.
std::optional<double> left_by_environment() {
  const char* text = std::getenv("SLURM_JOB_END_TIME");
  const auto end = parse_duration(text == nullptr ? "" : text);  // a bare number of seconds
  return end ? std::optional(*end - static_cast<double>(std::time(nullptr))) : std::nullopt;
}

}  // namespace

SlurmTimeLeft::SlurmTimeLeft(JobPlace place, double lead_s, const Clock& clock)
    : place_(std::move(place)), lead_s_(lead_s), clock_(clock) {}

std::optional<double> SlurmTimeLeft::seconds() {
  const double now_s = clock_.monotonic_s();
  if (now_s - asked_s_ >= kAskEvery_s) {
    asked_s_ = now_s;
    if (const auto left_s = ask()) {
      end_s_ = now_s + *left_s - lead_s_;
    }
  }
  return end_s_ ? std::optional(*end_s_ - now_s) : std::nullopt;
}

std::optional<double> SlurmTimeLeft::ask() const {
  if (const auto squeue = find_program("squeue")) {
    try {
      const std::string answer = run_program_for_text({*squeue, "--noheader", "--jobs", place_.job, "--format=%L"}, "");
      const std::string line(trim(std::string_view(answer)));
      if (const auto left_s = parse_duration(line)) {
        return left_s;
      }
      if (line == "UNLIMITED") {
        return std::nullopt;
      }
    } catch (const Error& error) {
      log_debug("squeue: ", error.what());
    }
  }
  return left_by_environment();
}

}  // namespace regatta
