// Deviations from a reference. NaN counts as infinitely far.
#pragma once

#include <cmath>
#include <cstddef>
#include <limits>
#include <vector>

namespace regatta::kernels {

/// ||a - reference|| / ||reference||; infinite if an element of `a` is not finite or the sizes differ.
template <class A, class B>
double relative_error(const std::vector<A>& a, const std::vector<B>& reference) {
  double far = a.size() == reference.size() ? 0.0 : std::numeric_limits<double>::infinity();
  double size = 0.0;
  for (std::size_t i = 0; i < a.size() && i < reference.size(); ++i) {
    const double difference = static_cast<double>(a[i]) - static_cast<double>(reference[i]);
    far += std::isfinite(difference) ? difference * difference : std::numeric_limits<double>::infinity();
    size += static_cast<double>(reference[i]) * static_cast<double>(reference[i]);
  }
  return std::sqrt(far / (size + std::numeric_limits<double>::min()));
}

}  // namespace regatta::kernels
