// squeue, at most once a minute.
#include "launch/slurm_probe.hpp"

#include "regatta/base/error.hpp"
#include "regatta/base/log.hpp"
#include "regatta/base/run_program.hpp"

namespace regatta {
namespace {

constexpr double kAskEvery_s = 60.0;

/// A job in the queue runs nothing, also if it has run before.
bool is_waiting(const std::string& state) {
  return state == "PENDING" || state == "REQUEUED" || state == "REQUEUE_HOLD" || state == "SPECIAL_EXIT";
}

}  // namespace

JobListing SlurmProbe::look_up(const JobPlace& place) {
  if (!place.slurm) {
    return JobListing::kUnknown;
  }
  if (clock_.monotonic_s() - asked_s_ >= kAskEvery_s) {
    asked_s_ = clock_.monotonic_s();
    ask();
  }
  if (!answered_) {
    return JobListing::kUnknown;
  }
  return jobs_.contains(place.job) ? JobListing::kListed : JobListing::kNotListed;
}

void SlurmProbe::ask() {
  answered_ = false;
  const auto squeue = find_program("squeue");
  if (!squeue) {
    return;
  }
  try {
    const std::string listing = run_program_for_text({*squeue, "--noheader", "--all", "--array", "--format=%A %T"}, "");
    jobs_.clear();
    for (const std::string& line : split(listing, '\n')) {
      const auto words = split(std::string(trim(line)), ' ');
      if (words.size() == 2 && !is_waiting(words[1])) {
        jobs_.insert(words[0]);
      }
    }
    answered_ = true;
  } catch (const Error& error) {
    log_warning("squeue: ", error.what());
  }
}

}  // namespace regatta
