#include "regatta/launch/sweep_times.hpp"

#include "regatta/base/duration.hpp"
#include "regatta/base/error.hpp"

namespace regatta {

std::string least_slice_text(const SweepTimes& times) {
  return str(times.load_s, " s to load, ", std::max(times.least_work_s, times.load_s), " s of work and ", times.save_s,
             " s to save");
}

double leave_after_s(const std::string& text, const SweepTimes& times) {
  const double seconds = duration_s(text, "--leave-after", BareNumber::kRefused);
  REGATTA_REQUIRE(seconds >= least_slice_s(times), ConfigError, "--leave-after ", text, ": no trial can start in ",
                  duration_text(seconds), ": a trial needs ", least_slice_text(times), ", together ",
                  duration_text(least_slice_s(times)));
  return seconds;
}

}  // namespace regatta
