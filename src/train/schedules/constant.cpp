#include "regatta/config/recipe.hpp"

namespace regatta::schedules {

double constant(const OptimOptions& optim, std::int64_t /*epoch*/) {
  return optim.lr;
}

}  // namespace regatta::schedules
