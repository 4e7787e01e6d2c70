#include "regatta/kernels/adam.hpp"

#include <limits>
#include <string>
#include <vector>

#include "gpu/kernels/device_array.hpp"
#include "gpu/kernels/errors.hpp"
#include "gpu/kernels/random_values.hpp"
#include "regatta/kernels/device.hpp"
#include "support/catch.hpp"

namespace regatta::kernels {
namespace {

/// Parameters and moments as after some steps, on the host and on the device.
struct Both {
  std::size_t shift;  ///< elements by which the device's arrays are off their alignment
  std::vector<float> value, gradient, m, v, vmax;
  std::vector<Bf16> shadow;
  DeviceArray<float> device_value, device_gradient, device_m, device_v, device_vmax;
  DeviceArray<Bf16> device_shadow;

  Both(std::size_t count, std::size_t off)
      : shift(off),
        value(normal_values(count + shift, 1)),
        gradient(normal_values(count + shift, 2, 0.1F)),
        m(normal_values(count + shift, 3, 0.1F)),
        v(uniform_values(count + shift, 4, 0.0F, 0.02F)),
        vmax(uniform_values(count + shift, 5, 0.0F, 0.03F)),
        shadow(count + shift),
        device_value(value),
        device_gradient(gradient),
        device_m(m),
        device_v(v),
        device_vmax(vmax),
        device_shadow(count + shift) {}

  AdamArrays host(bool amsgrad) {
    return {value.data() + shift,
            gradient.data() + shift,
            m.data() + shift,
            v.data() + shift,
            amsgrad ? vmax.data() + shift : nullptr,
            shadow.data() + shift,
            static_cast<std::int64_t>(value.size() - shift)};
  }

  AdamArrays device(bool amsgrad) {
    return {device_value.get() + shift,
            device_gradient.get() + shift,
            device_m.get() + shift,
            device_v.get() + shift,
            amsgrad ? device_vmax.get() + shift : nullptr,
            device_shadow.get() + shift,
            static_cast<std::int64_t>(value.size() - shift)};
  }

  bool margins_hold() const {
    return device_value.margins_hold() && device_m.margins_hold() && device_v.margins_hold() &&
           device_vmax.margins_hold() && device_shadow.margins_hold();
  }
};

}  // namespace

TEST_CASE("adam on the device agrees with the reference") {
  if (!has_gpu()) {
    REGATTA_SKIP("no GPU");
  }
  const Capability chip = capability(0);
  for (const std::size_t count : {1, 7, 1023, 301411}) {
    for (const bool amsgrad : {false, true}) {
      for (const bool decoupled : {false, true}) {
        const std::size_t shift = count % 2;
        Both both(count, shift);
        const AdamRule rule = {.weight_decay = 0.01, .decoupled = decoupled};
        const AdamStep step = {1e-2, 3.0};
        DeviceArray<AdamStep> device_step(std::vector<AdamStep>{step});
        adam(both.device(amsgrad), rule, device_step.get(), nullptr, chip, nullptr);
        wait_for_gpu();
        adam_reference(both.host(amsgrad), rule, step, 0.0F);
        INFO("count " << count << ", amsgrad " << amsgrad << ", decoupled " << decoupled);
        CHECK(relative_error(both.device_value.values(), both.value) < 1e-6);
        CHECK(relative_error(both.device_m.values(), both.m) < 1e-6);
        CHECK(relative_error(both.device_v.values(), both.v) < 1e-6);
        CHECK(relative_error(both.device_vmax.values(), both.vmax) < 1e-6);
        std::vector<Bf16> rounded;
        for (const float value : both.device_value.values()) {
          rounded.push_back(to_bf16(value));
        }
        std::vector<Bf16> shadow = both.device_shadow.values();
        for (std::size_t i = 0; i < shift; ++i) {
          rounded[i] = shadow[i];
        }
        CHECK(same_bits(shadow, rounded));
        CHECK(both.margins_hold());
      }
    }
  }
}

TEST_CASE("a skipped update leaves the device's values and moments alone") {
  if (!has_gpu()) {
    REGATTA_SKIP("no GPU");
  }
  Both both(1001, 0);
  both.device_gradient.set(std::vector<float>(1001, std::numeric_limits<float>::quiet_NaN()));
  DeviceArray<AdamStep> step(std::vector<AdamStep>{{1e-2, 3.0}});
  DeviceArray<float> skip(std::vector<float>{1.0F});
  adam(both.device(true), {}, step.get(), skip.get(), capability(0), nullptr);
  wait_for_gpu();
  CHECK(same_bits(both.device_value.values(), both.value));
  CHECK(same_bits(both.device_m.values(), both.m));
  CHECK(same_bits(both.device_v.values(), both.v));
  CHECK(same_bits(both.device_vmax.values(), both.vmax));
  CHECK(to_float(both.device_shadow.values()[1000]) == to_float(to_bf16(both.value[1000])));
}

}  // namespace regatta::kernels
