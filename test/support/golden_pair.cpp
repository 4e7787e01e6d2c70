#include "support/golden_pair.hpp"

#include <cmath>

#include <ATen/ops/zeros.h>

#include "support/catch.hpp"

namespace regatta::test {
namespace {

constexpr std::int64_t kD = 40;
constexpr std::int64_t kH = 48;
constexpr std::int64_t kW = 44;

/// Calls body(d, h, w, index) for every voxel, the coordinates as double.
template <class Body>
void for_each_voxel(Body body) {
  std::int64_t index = 0;
  for (std::int64_t d = 0; d < kD; ++d) {
    for (std::int64_t h = 0; h < kH; ++h) {
      for (std::int64_t w = 0; w < kW; ++w) {
        body(static_cast<double>(d), static_cast<double>(h), static_cast<double>(w), index++);
      }
    }
  }
}

/// A ball of label 1 and a flattened one of label 2 over it.
at::Tensor golden_labels(double z1, double y1, double radius2, double z2, double x2) {
  at::Tensor labels = at::zeros({1, 1, kD, kH, kW}, at::TensorOptions().dtype(at::kByte));
  auto* value = labels.data_ptr<std::uint8_t>();
  const auto square = [](double v) { return v * v; };
  for_each_voxel([&](double z, double y, double x, std::int64_t i) {
    if (square(z - z1) + square(y - y1) + square(x - 22) <= radius2) {
      value[i] = 1;
    }
    if (square(z - z2) / 4 + square(y - 10) + square(x - x2) <= 9) {
      value[i] = 2;
    }
  });
  return labels;
}

}  // namespace

at::Tensor golden_field(double factor) {
  at::Tensor flow = at::zeros({1, 3, kD, kH, kW}, at::TensorOptions().dtype(at::kFloat));
  float* u = flow.data_ptr<float>();
  const std::int64_t plane = kD * kH * kW;
  for_each_voxel([&](double z, double y, double x, std::int64_t i) {
    u[i] = static_cast<float>(factor * 2.0 * std::sin(.21 * z + .13 * y + .05 * x));
    u[i + plane] = static_cast<float>(factor * 1.5 * std::cos(.11 * z - .17 * y + .23 * x));
    u[i + 2 * plane] = static_cast<float>(factor * 2.5 * std::sin(.07 * z + .19 * y - .29 * x));
  });
  return flow;
}

PairState golden_pair(double factor) {
  PairState pair;
  pair.flow = golden_field(factor);
  pair.fixed_labels = golden_labels(20, 24, 100, 8, 30);
  pair.moving_labels = golden_labels(21, 26, 121, 9, 31);
  pair.label_count = 4;
  return pair;
}

double named(const Measured& measured, const std::string& name) {
  for (const auto& [key, value] : measured) {
    if (key == name) {
      return value;
    }
  }
  FAIL("no value " << name);
  return 0.0;
}

Measured measure(const std::string& metric, const PairState& pair) {
  return find_metric(metric).make()->measure(pair);
}

}  // namespace regatta::test
