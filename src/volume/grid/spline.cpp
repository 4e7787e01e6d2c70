#include "volume/grid/spline.hpp"

#include <array>
#include <cmath>

#include "volume/grid/parallel.hpp"

namespace regatta {
namespace {

constexpr int kTaps = 4;

/// Filters every line of one axis; lines are shared out over threads.
void filter_axis(std::vector<float>& volume, const Shape3& shape, std::size_t axis, int threads) {
  std::int64_t stride = 1;
  for (std::size_t a = axis + 1; a < 3; ++a) {
    stride *= shape[a];
  }
  const std::int64_t size = shape[axis];
  parallel_for(voxel_count(shape) / size, threads, [&](std::int64_t begin, std::int64_t end) {
    std::vector<double> line(static_cast<std::size_t>(size));
    for (std::int64_t number = begin; number < end; ++number) {
      float* at = volume.data() + number / stride * size * stride + number % stride;
      for (std::int64_t i = 0; i < size; ++i) {
        line[static_cast<std::size_t>(i)] = double{at[i * stride]};
      }
      filter_line(line, cubic_pole());
      for (std::int64_t i = 0; i < size; ++i) {
        at[i * stride] = static_cast<float>(line[static_cast<std::size_t>(i)]);
      }
    }
  });
}

std::int64_t mirrored(std::int64_t i, std::int64_t size) {
  if (size == 1) {
    return 0;
  }
  const std::int64_t period = 2 * size - 2;
  const std::int64_t folded = ((i % period) + period) % period;
  return folded < size ? folded : period - folded;
}

/// The four voxels of a line about x, and their weights.
void cubic_taps(double x, std::int64_t size, std::array<std::int64_t, kTaps>& at, std::array<double, kTaps>& weight) {
  const double base = std::floor(x);
  const double t = x - base;
  const double u = 1.0 - t;
  weight = {u * u * u / 6.0, (4.0 - 3.0 * t * t * (2.0 - t)) / 6.0, (4.0 - 3.0 * u * u * (2.0 - u)) / 6.0,
            t * t * t / 6.0};
  for (std::size_t k = 0; k < kTaps; ++k) {
    at[k] = mirrored(static_cast<std::int64_t>(base) - 1 + static_cast<std::int64_t>(k), size);
  }
}

}  // namespace

double quadratic_pole() {
  return 2.0 * std::sqrt(2.0) - 3.0;
}

double cubic_pole() {
  return std::sqrt(3.0) - 2.0;
}

void filter_line(std::vector<double>& line, double pole) {
  const std::size_t size = line.size();
  if (size < 2) {
    return;
  }
  const double gain = (1.0 - pole) * (1.0 - 1.0 / pole);
  for (double& value : line) {
    value *= gain;
  }
  const std::size_t period = 2 * size - 2;
  double sum = 0.0;
  double power = 1.0;
  for (std::size_t k = 0; k < period; ++k) {
    sum += power * line[k < size ? k : period - k];
    power *= pole;
  }
  line[0] = sum / (1.0 - power);
  for (std::size_t i = 1; i < size; ++i) {
    line[i] += pole * line[i - 1];
  }
  line[size - 1] = pole / (pole * pole - 1.0) * (line[size - 1] + pole * line[size - 2]);
  for (std::size_t i = size - 1; i-- > 0;) {
    line[i] = pole * (line[i + 1] - line[i]);
  }
}

std::vector<float> cubic_coefficients(std::span<const float> voxels, const Shape3& shape, int threads) {
  std::vector<float> out(voxels.begin(), voxels.end());
  for (std::size_t axis = 0; axis < 3; ++axis) {
    filter_axis(out, shape, axis, threads);
  }
  return out;
}

float sample_cubic(const float* coefficients, const Shape3& shape, const Point3& p) {
  std::array<std::array<std::int64_t, kTaps>, 3> at{};
  std::array<std::array<double, kTaps>, 3> weight{};
  for (std::size_t axis = 0; axis < 3; ++axis) {
    cubic_taps(p[axis], shape[axis], at[axis], weight[axis]);
  }
  double sum = 0.0;
  for (std::size_t i = 0; i < kTaps; ++i) {
    for (std::size_t j = 0; j < kTaps; ++j) {
      const float* line = coefficients + (at[0][i] * shape[1] + at[1][j]) * shape[2];
      double along = 0.0;
      for (std::size_t k = 0; k < kTaps; ++k) {
        along += weight[2][k] * double{line[at[2][k]]};
      }
      sum += weight[0][i] * weight[1][j] * along;
    }
  }
  return static_cast<float>(sum);
}

}  // namespace regatta
