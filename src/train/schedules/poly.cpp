#include <algorithm>
#include <cmath>

#include "regatta/base/error.hpp"
#include "regatta/config/recipe.hpp"

namespace regatta::schedules {

/// TransMorph's: lr (1 - epoch/horizon)^power, rounded to 8 decimals as numpy rounds; epochs after the horizon keep the
/// rate of its last one (a training that was extended).
double poly(const OptimOptions& optim, std::int64_t epoch) {
  REGATTA_REQUIRE(optim.horizon_epochs > 0, BugError, "schedule without a horizon");
  const double at = static_cast<double>(std::min(epoch, optim.horizon_epochs - 1));
  const double rate = optim.lr * std::pow(1.0 - at / static_cast<double>(optim.horizon_epochs), optim.power);
  return std::nearbyint(rate * 1e8) / 1e8;
}

}  // namespace regatta::schedules
