// Parzen estimator over several axes at once: a mixture over observations of products over axes, one kernel for each
// observation and a wide one for the prior. As in Optuna 5.0.0.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "regatta/sweep/axis.hpp"

namespace regatta {

/// A point as numbers, by axis: the value itself, or the place among the choices (see `Axis::number_of`).
using Coordinates = std::vector<double>;

/// log of the probability of a standard normal variable in [a, b], a <= b. Accurate in both tails.
double log_normal_mass(double a, double b);

class ParzenEstimator {
 public:
  /// Kernels: in the logarithm for log axes; width max of the gaps to both neighbours, the outermost only to their
  /// inner one, at least range / min(100, n + 2); truncated to the range. A stepped axis takes the mass of half a step
  /// to both sides, and its range is half a step wider. A choice has (1 / (n + 1) + [it was observed]), normalised.
  /// @param axes  at least one
  /// @param observations  oldest first: beyond 25 the older ones weigh less
  ParzenEstimator(const std::vector<const Axis*>& axes, const std::vector<Coordinates>& observations);

  /// Of a point inside the ranges. Cost: kernels x axes.
  double log_density(const Coordinates& point) const;

  /// @param uniform  numbers in [0, 1): draw 0 chooses the kernel, draw 1 + d the value on axis d
  Coordinates draw(const std::function<double(std::uint32_t draw)>& uniform) const;

 private:
  /// One axis: its kernels, or of each kernel the probabilities of the choices.
  struct Dimension {
    const Axis* axis = nullptr;
    double low = 0.0;  ///< of the widened range, in the logarithm for log axes
    double high = 0.0;
    std::vector<double> means;
    std::vector<double> widths;
    std::vector<double> norms;  ///< of a kernel's density: logarithm of its divisor
    std::vector<std::vector<double>> choices;
  };
  static Dimension ranged(const Axis& axis, const std::vector<double>& values);
  static Dimension chosen(const Axis& axis, const std::vector<double>& values);
  static double log_kernel(const Dimension& dimension, std::size_t kernel, double value);
  static double draw_kernel(const Dimension& dimension, std::size_t kernel, double u);

  std::vector<Dimension> dimensions_;
  std::vector<double> weights_;  ///< by kernel, sum 1; the last is the prior
};

}  // namespace regatta
