#include "volume/grid/otsu.hpp"

#include <algorithm>
#include <array>
#include <cstddef>

namespace regatta {

float otsu_threshold(std::span<const float> values) {
  constexpr std::size_t kBins = 256;
  const auto [low, high] = std::minmax_element(values.begin(), values.end());
  const double width = (static_cast<double>(*high) - *low) / kBins;
  if (width <= 0.0) {
    return *high;
  }
  std::array<double, kBins> counts{};
  for (const float value : values) {
    const auto bin = static_cast<std::size_t>((static_cast<double>(value) - *low) / width);
    ++counts[std::min(bin, kBins - 1)];
  }
  double total = 0.0;
  for (std::size_t bin = 0; bin < kBins; ++bin) {
    total += static_cast<double>(bin) * counts[bin];
  }
  double below = 0.0;
  double below_sum = 0.0;
  double best = -1.0;
  std::size_t best_bin = 0;
  const auto all = static_cast<double>(values.size());
  for (std::size_t bin = 0; bin + 1 < kBins; ++bin) {
    below += counts[bin];
    below_sum += static_cast<double>(bin) * counts[bin];
    if (below == 0.0 || below == all) {
      continue;
    }
    const double difference = below_sum / below - (total - below_sum) / (all - below);
    const double between = below * (all - below) * difference * difference;
    if (between > best) {
      best = between;
      best_bin = bin;
    }
  }
  return static_cast<float>(*low + width * static_cast<double>(best_bin + 1));
}

}  // namespace regatta
