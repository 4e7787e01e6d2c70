// Kernels of the Parzen estimator, their densities and draws.
#include "sweep/parzen.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <numeric>

namespace regatta {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

/// Probability of a standard normal variable below x.
double normal_below(double x) {
  return 0.5 * std::erfc(-x / std::numbers::sqrt2);
}

/// Its logarithm; where erfc comes near the smallest number, by the asymptotic series.
double log_normal_below(double x) {
  constexpr double kFar = -20.0;
  if (x > kFar) {
    return std::log(normal_below(x));
  }
  double sum = 1.0;
  double term = 1.0;
  for (int i = 1; i < 20; ++i) {
    term *= -(2.0 * i - 1.0) / (x * x);
    sum += term;
  }
  return -0.5 * x * x - std::log(-x) - 0.5 * std::log(2.0 * std::numbers::pi) + std::log(sum);
}

/// Newest last: the newest 25 weigh 1, older ones less the older they are.
std::vector<double> weights_of(std::size_t count) {
  constexpr std::size_t kFull = 25;
  std::vector<double> weights(count, 1.0);
  if (count > kFull) {
    const std::size_t ramp = count - kFull;
    const double first = 1.0 / static_cast<double>(count);
    for (std::size_t i = 0; i < ramp; ++i) {
      const double t = ramp == 1 ? 0.0 : static_cast<double>(i) / static_cast<double>(ramp - 1);
      weights[i] = first + t * (1.0 - first);
    }
  }
  weights.push_back(1.0);  // the prior
  const double sum = std::accumulate(weights.begin(), weights.end(), 0.0);
  for (double& weight : weights) {
    weight /= sum;
  }
  return weights;
}

/// By observation: the larger gap to a neighbour; the range's ends are neighbours of a lone one only.
std::vector<double> gaps_of(const std::vector<double>& means, double low, double high) {
  std::vector<std::size_t> order(means.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return means[a] < means[b]; });
  std::vector<double> gaps(means.size());
  const std::size_t last = means.size() - 1;
  for (std::size_t i = 0; i <= last; ++i) {
    const double mean = means[order[i]];
    const double before = i > 0 ? mean - means[order[i - 1]] : last == 0 ? mean - low : 0.0;
    const double after = i < last ? means[order[i + 1]] - mean : last == 0 ? high - mean : 0.0;
    gaps[order[i]] = std::max(before, after);
  }
  return gaps;
}

}  // namespace

double log_normal_mass(double a, double b) {
  if (a > 0.0) {
    return log_normal_mass(-b, -a);
  }
  if (b <= 0.0) {
    const double of_b = log_normal_below(b);
    return of_b + std::log1p(-std::exp(log_normal_below(a) - of_b));
  }
  return std::log1p(-normal_below(a) - normal_below(-b));
}

ParzenEstimator::ParzenEstimator(const std::vector<const Axis*>& axes, const std::vector<Coordinates>& observations)
    : weights_(weights_of(observations.size())) {
  for (std::size_t d = 0; d < axes.size(); ++d) {
    std::vector<double> values;
    for (const Coordinates& observation : observations) {
      values.push_back(observation[d]);
    }
    dimensions_.push_back(axes[d]->range() ? ranged(*axes[d], values) : chosen(*axes[d], values));
  }
}

ParzenEstimator::Dimension ParzenEstimator::ranged(const Axis& axis, const std::vector<double>& values) {
  constexpr double kMostKernels = 100.0;
  const NumberRange& range = *axis.range();
  const auto scaled = [&range](double value) { return range.log ? std::log(value) : value; };
  Dimension dimension;
  dimension.axis = &axis;
  dimension.low = scaled(range.low - range.step / 2);
  dimension.high = scaled(range.high + range.step / 2);
  for (const double value : values) {
    dimension.means.push_back(scaled(value));
  }
  const double width = dimension.high - dimension.low;
  if (!values.empty()) {
    dimension.widths = gaps_of(dimension.means, dimension.low, dimension.high);
  }
  const double least = width / std::min(kMostKernels, static_cast<double>(values.size()) + 2.0);
  for (double& each : dimension.widths) {
    each = std::clamp(each, least, width);
  }
  dimension.means.push_back(0.5 * (dimension.low + dimension.high));
  dimension.widths.push_back(width);
  for (std::size_t i = 0; i < dimension.means.size(); ++i) {
    const double mean = dimension.means[i];
    const double own = dimension.widths[i];
    const double inside = log_normal_mass((dimension.low - mean) / own, (dimension.high - mean) / own);
    const double scale = std::log(own) + 0.5 * std::log(2.0 * std::numbers::pi);
    dimension.norms.push_back(range.step > 0.0 ? inside : inside + scale);
  }
  return dimension;
}

ParzenEstimator::Dimension ParzenEstimator::chosen(const Axis& axis, const std::vector<double>& values) {
  Dimension dimension;
  dimension.axis = &axis;
  const std::size_t choices = axis.choices().size();
  const double prior = 1.0 / (static_cast<double>(values.size()) + 1.0);
  const double sum = prior * static_cast<double>(choices) + 1.0;
  for (const double value : values) {
    std::vector<double> row(choices, prior / sum);
    row[static_cast<std::size_t>(value)] = (prior + 1.0) / sum;
    dimension.choices.push_back(std::move(row));
  }
  dimension.choices.emplace_back(choices, 1.0 / static_cast<double>(choices));
  return dimension;
}

double ParzenEstimator::log_kernel(const Dimension& dimension, std::size_t kernel, double value) {
  if (!dimension.choices.empty()) {
    return std::log(dimension.choices[kernel][static_cast<std::size_t>(value)]);
  }
  const NumberRange& range = *dimension.axis->range();
  const auto scaled = [&range](double number) { return range.log ? std::log(number) : number; };
  const double mean = dimension.means[kernel];
  const double width = dimension.widths[kernel];
  if (range.step > 0.0) {
    const double half = range.step / 2;
    return log_normal_mass((scaled(value - half) - mean) / width, (scaled(value + half) - mean) / width) -
           dimension.norms[kernel];
  }
  const double z = (scaled(value) - mean) / width;
  return -0.5 * z * z - dimension.norms[kernel];
}

double ParzenEstimator::log_density(const Coordinates& point) const {
  std::vector<double> terms;
  double largest = -kInfinity;
  for (std::size_t kernel = 0; kernel < weights_.size(); ++kernel) {
    double term = std::log(weights_[kernel]);
    for (std::size_t d = 0; d < dimensions_.size(); ++d) {
      term += log_kernel(dimensions_[d], kernel, point[d]);
    }
    terms.push_back(term);
    largest = std::max(largest, term);
  }
  if (largest == -kInfinity) {
    return largest;
  }
  double sum = 0.0;
  for (const double term : terms) {
    sum += std::exp(term - largest);
  }
  return std::log(sum) + largest;
}

/// Where the truncated kernel's distribution function is u, by bisection; on the axis' own scale.
double ParzenEstimator::draw_kernel(const Dimension& dimension, std::size_t kernel, double u) {
  if (!dimension.choices.empty()) {
    const std::vector<double>& row = dimension.choices[kernel];
    double below = 0.0;
    for (std::size_t choice = 0; choice + 1 < row.size(); ++choice) {
      below += row[choice];
      if (u < below) {
        return static_cast<double>(choice);
      }
    }
    return static_cast<double>(row.size() - 1);
  }
  constexpr int kHalvings = 64;
  const double mean = dimension.means[kernel];
  const double width = dimension.widths[kernel];
  double low = (dimension.low - mean) / width;
  double high = (dimension.high - mean) / width;
  const double wanted = normal_below(low) + u * (normal_below(high) - normal_below(low));
  for (int i = 0; i < kHalvings; ++i) {
    const double middle = 0.5 * (low + high);
    (normal_below(middle) < wanted ? low : high) = middle;
  }
  const double value = mean + width * 0.5 * (low + high);
  return dimension.axis->range()->log ? std::exp(value) : value;
}

Coordinates ParzenEstimator::draw(const std::function<double(std::uint32_t draw)>& uniform) const {
  const double u = uniform(0);
  std::size_t kernel = 0;
  for (double below = weights_[0]; u >= below && kernel + 1 < weights_.size(); below += weights_[kernel]) {
    ++kernel;
  }
  Coordinates point;
  for (std::size_t d = 0; d < dimensions_.size(); ++d) {
    const Dimension& dimension = dimensions_[d];
    const double value = draw_kernel(dimension, kernel, uniform(static_cast<std::uint32_t>(d) + 1));
    // Rounded as every value of the axis, so that libm's last bit does not matter, and to its steps.
    point.push_back(dimension.axis->range() ? dimension.axis->nearest(value).get<double>() : value);
  }
  return point;
}

}  // namespace regatta
