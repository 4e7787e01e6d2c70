// The 90th percentile of what was seen.
#include "launch/slice_forecast.hpp"

#include <algorithm>
#include <cmath>

namespace regatta {
namespace {

constexpr std::size_t kRemembered = 200;
constexpr double kHigh = 0.9;

}  // namespace

void SliceForecast::remember(std::vector<double>& values, double value) {
  if (!std::isfinite(value) || value < 0) {
    return;
  }
  if (values.size() == kRemembered) {
    values.erase(values.begin());
  }
  values.push_back(value);
}

double SliceForecast::high(std::vector<double> values, double otherwise) {
  if (values.empty()) {
    return otherwise;
  }
  const auto rank = static_cast<std::ptrdiff_t>(std::ceil(kHigh * static_cast<double>(values.size()))) - 1;
  std::nth_element(values.begin(), values.begin() + rank, values.end());
  return values[static_cast<std::size_t>(rank)];
}

bool SliceForecast::fits_a_part(double left_s) const {
  return load_s() + work_s() + save_s() <= left_s;
}

bool SliceForecast::fits_whole(double left_s, std::int64_t steps_left) const {
  const double ms = high(ms_per_step_, 0.0);
  return steps_left > 0 && ms > 0 && load_s() + save_s() + static_cast<double>(steps_left) * ms / 1000.0 <= left_s;
}

}  // namespace regatta
