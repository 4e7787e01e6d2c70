// Slurm's word about the end of this job.
#include "launch/time_left.hpp"

#include <cstdlib>
#include <ctime>
#include <string_view>

#include "regatta/base/error.hpp"
#include "regatta/base/log.hpp"
#include "regatta/base/run_program.hpp"
#include "regatta/base/text.hpp"

namespace regatta {
namespace {

constexpr double kAskTimeEvery_s = 300.0;
constexpr double kSignalLead_s = 300.0;  ///< of slurm/sweep.sbatch

/// Whole seconds in a variable of the environment; nothing if it is not set or no number.
std::optional<double> seconds_in(const char* name) {
  const char* text = std::getenv(name);
  const std::string_view digits = text == nullptr ? "" : text;
  const bool is_number =
      !digits.empty() && digits.size() < 16 && digits.find_first_not_of("0123456789") == std::string_view::npos;
  return is_number ? std::optional(static_cast<double>(std::atoll(text))) : std::nullopt;
}

}  // namespace

double signal_lead_s() {
  constexpr const char* kName = "REGATTA_SIGNAL_S";
  const char* text = std::getenv(kName);
  const auto seconds = seconds_in(kName);
  REGATTA_REQUIRE(text == nullptr || seconds, ConfigError, kName, ": '", one_line(text == nullptr ? "" : text, 40),
                  "': expected a number of seconds, the N of sbatch --signal=USR2@N");
  return seconds.value_or(kSignalLead_s);
}

SlurmTimeLeft::SlurmTimeLeft(JobPlace place, double lead_s, const Clock& clock)
    : place_(std::move(place)), lead_s_(lead_s), clock_(clock) {}

std::optional<double> SlurmTimeLeft::seconds() {
  ask_if_due();
  return end_s_ ? std::optional(*end_s_ - clock_.monotonic_s()) : std::nullopt;
}

std::optional<double> SlurmTimeLeft::limit_s() {
  ask_if_due();
  return limit_s_;
}

std::optional<double> SlurmTimeLeft::whole_s() {
  const auto limit = limit_s();
  return limit ? std::optional(*limit - lead_s_) : std::nullopt;
}

void SlurmTimeLeft::ask_if_due() {
  const double now_s = clock_.monotonic_s();
  if (now_s - asked_s_ >= kAskTimeEvery_s) {
    asked_s_ = now_s;
    ask();
  }
}

/// Without squeue's word the environment counts, which has the end in seconds since 1970.
void SlurmTimeLeft::ask() {
  const double now_s = clock_.monotonic_s();
  if (const auto squeue = find_program("squeue")) {
    try {
      const std::string answer = run_program_for_text(
          {*squeue, "--noheader", "--array", "--jobs", place_.job, "--states=RUNNING", "--format=%A %L %l"}, "");
      if (take_answer(answer, now_s)) {
        return;
      }
    } catch (const Error& error) {
      log_debug("squeue: ", error.what());
    }
  }
  if (const auto end = seconds_in("SLURM_JOB_END_TIME")) {
    end_s_ = now_s + *end - static_cast<double>(std::time(nullptr)) - lead_s_;
  }
}

/// Lines of job, time left and time limit, each of these a duration or UNLIMITED. The number of an array stands for all
/// its elements, one of which has it as its own.
bool SlurmTimeLeft::take_answer(const std::string& answer, double now_s) {
  for (const std::string& line : split(answer, '\n')) {
    const auto words = split(std::string(trim(std::string_view(line))), ' ');
    if (words.size() != 3 || words[0] != place_.job) {
      continue;
    }
    limit_s_ = parse_duration(words[2]);
    if (const auto left_s = parse_duration(words[1])) {
      end_s_ = now_s + *left_s - lead_s_;
      return true;
    }
    if (words[1] == "UNLIMITED") {
      end_s_.reset();
      return true;
    }
  }
  return false;
}

}  // namespace regatta
