// Median and median absolute deviation: what is usual in a set, whatever a few outliers are like.
#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

namespace regatta {

struct Spread {
  double median = 0.0;
  double sigma = 0.0;  ///< 1.4826 times the median absolute deviation: the standard deviation of normal values
};

inline double median_of(std::vector<double> values) {
  if (values.empty()) {
    return 0.0;
  }
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  const double upper = *middle;
  return values.size() % 2 == 1 ? upper : 0.5 * (upper + *std::max_element(values.begin(), middle));
}

inline Spread spread_of(std::vector<double> values) {
  Spread spread;
  spread.median = median_of(values);
  std::for_each(values.begin(), values.end(), [&](double& value) { value = std::abs(value - spread.median); });
  spread.sigma = 1.4826 * median_of(std::move(values));
  return spread;
}

/// In robust standard deviations. @param least  the smallest deviation that counts as usual: sets may be very uniform
inline double deviation(double value, const Spread& spread, double least) {
  return (value - spread.median) / std::max(spread.sigma, least);
}

}  // namespace regatta
