// The table of schedules.
#include <algorithm>
#include <array>
#include <string_view>

#include "regatta/base/error.hpp"
#include "regatta/train/optimizer.hpp"

namespace regatta {

#define REGATTA_SCHEDULE(name, has_horizon, help) double name(const OptimOptions&, std::int64_t);
namespace schedules {
#include "regatta/config/schedules.def"
}  // namespace schedules
#undef REGATTA_SCHEDULE

namespace {

struct Schedule {
  std::string_view name;
  double (*rate)(const OptimOptions&, std::int64_t epoch);
};

constexpr std::array kSchedules = {
#define REGATTA_SCHEDULE(name, has_horizon, help) Schedule{#name, schedules::name},
#include "regatta/config/schedules.def"
#undef REGATTA_SCHEDULE
};

}  // namespace

double learning_rate(const OptimOptions& optim, std::int64_t epoch) {
  const auto* found = std::find_if(kSchedules.begin(), kSchedules.end(),
                                   [&](const Schedule& row) { return optim.schedule == row.name; });
  REGATTA_REQUIRE(found != kSchedules.end(), BugError, "/optim/schedule: '", optim.schedule, "'");
  return found->rate(optim, epoch);
}

}  // namespace regatta
