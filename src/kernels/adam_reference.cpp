#include <algorithm>
#include <cmath>

#include "regatta/kernels/adam.hpp"

namespace regatta::kernels {

void adam_reference(const AdamArrays& arrays, const AdamRule& rule, const AdamStep& step, float skip) {
  const double correction1 = 1.0 - std::pow(rule.beta1, step.update);
  const double correction2 = 1.0 - std::pow(rule.beta2, step.update);
  for (std::int64_t i = 0; i < arrays.count; ++i) {
    if (skip == 0.0F) {
      double value = arrays.value[i];
      double gradient = arrays.gradient[i];
      if (rule.decoupled) {
        value -= step.rate * rule.weight_decay * value;
      } else {
        gradient += rule.weight_decay * value;
      }
      const double m = rule.beta1 * arrays.m[i] + (1.0 - rule.beta1) * gradient;
      const double v = rule.beta2 * arrays.v[i] + (1.0 - rule.beta2) * gradient * gradient;
      double second = v;
      if (arrays.vmax != nullptr) {
        second = std::max(v, static_cast<double>(arrays.vmax[i]));
        arrays.vmax[i] = static_cast<float>(second);
      }
      value -= step.rate / correction1 * m / (std::sqrt(second / correction2) + rule.eps);
      arrays.m[i] = static_cast<float>(m);
      arrays.v[i] = static_cast<float>(v);
      arrays.value[i] = static_cast<float>(value);
    }
    if (arrays.shadow != nullptr) {
      arrays.shadow[i] = to_bf16(arrays.value[i]);
    }
  }
}

}  // namespace regatta::kernels
