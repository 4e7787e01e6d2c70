#include "support/golden_network.hpp"

#include <cmath>

#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>

#include "regatta/base/random.hpp"

namespace regatta::test {
namespace {

double golden_value(const Parameter& parameter, double s) {
  const at::Tensor& value = parameter.value;
  if (value.dim() >= 2) {
    return s / std::sqrt(static_cast<double>(value.numel() / value.size(0)));
  }
  if (parameter.name.ends_with(".weight")) {
    return value.numel() == 1 ? 0.25 : 1.0 + 0.1 * s;
  }
  return 0.1 * s;
}

}  // namespace

void set_golden_weights(Parameters& parameters) {
  const at::NoGradGuard no_grad;
  double t = 0.0;
  for (const Parameter& parameter : parameters.items()) {
    const at::Tensor made = at::empty(parameter.value.sizes(), at::TensorOptions().dtype(at::kFloat));
    for (std::int64_t i = 0; i < made.numel(); ++i) {
      const double s = std::sin(0.7 * static_cast<double>(i) + 0.3 * t);
      made.data_ptr<float>()[i] = static_cast<float>(golden_value(parameter, s));
    }
    parameter.value.copy_(made);
    t += 1.0;
  }
}

at::Tensor golden_image(std::int64_t D, std::int64_t H, std::int64_t W, double c) {
  at::Tensor image = at::empty({1, 1, D, H, W}, at::TensorOptions().dtype(at::kFloat));
  float* value = image.data_ptr<float>();
  for (std::int64_t d = 0; d < D; ++d) {
    for (std::int64_t h = 0; h < H; ++h) {
      for (std::int64_t w = 0; w < W; ++w) {
        *value++ = static_cast<float>(0.5 + 0.5 * std::sin(0.05 * static_cast<double>(d + 2 * h + 3 * w) + c));
      }
    }
  }
  return image;
}

at::Tensor noise(std::int64_t D, std::int64_t H, std::int64_t W, std::uint64_t seed) {
  const CounterRng rng(seed, RandomPurpose::kSynthetic);
  at::Tensor volume = at::empty({1, 1, D, H, W}, at::TensorOptions().dtype(at::kDouble));
  for (std::int64_t i = 0; i < volume.numel(); ++i) {
    volume.data_ptr<double>()[i] = rng.uniform(static_cast<std::uint64_t>(i));
  }
  return volume;
}

double relative_difference(const at::Tensor& a, const at::Tensor& b) {
  const at::Tensor wide = b.detach().to(at::kDouble);
  return a.detach().to(at::kDouble).sub(wide).norm().item<double>() / wide.norm().item<double>();
}

}  // namespace regatta::test
