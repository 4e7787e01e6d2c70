#include "regatta/kernels/gradient_guard.hpp"

#include <limits>
#include <vector>

#include "gpu/kernels/device_array.hpp"
#include "gpu/kernels/random_values.hpp"
#include "support/catch.hpp"

namespace regatta::kernels {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

struct Kept {
  std::vector<float> singles;   ///< bad, in_row, skip
  std::vector<double> doubles;  ///< skipped, halted_at, updates
};

GuardState state_of(float* singles, double* doubles) {
  return {singles, singles + 1, doubles, doubles + 1, doubles + 2, singles + 2};
}

}  // namespace

TEST_CASE("the guard on the device decides as the reference") {
  if (!has_gpu()) {
    REGATTA_SKIP("no GPU");
  }
  const Capability chip = capability(0);
  Kept kept = {{0.0F, 0.0F, 0.0F}, std::vector<double>(2 + GuardState::kRemembered)};
  DeviceArray<float> singles(kept.singles);
  DeviceArray<double> doubles(kept.doubles);
  DeviceArray<unsigned char> scratch(gradient_guard_scratch_bytes());
  const std::size_t count = 301411;
  const std::vector<float> good = normal_values(count, 1);
  struct Case {
    std::size_t where;
    float value, loss;
  };
  const std::vector<Case> cases = {{0, 1.0F, 1.0F},  {count - 1, kNan, 1.0F}, {5, -2e19F, 1.0F},
                                   {7, 1e19F, 1.0F}, {0, 1.0F, kNan},         {123457, kNan, 1.0F},
                                   {3, kNan, 1.0F},  {0, 0.0F, 1.0F},         {count / 2, kNan, 1.0F}};
  double update = 1.0;
  for (const Case& now : cases) {
    for (const std::size_t shift : {0, 1}) {
      std::vector<float> gradient = good;
      gradient[now.where] = now.value;
      const std::size_t first = now.where == 0 ? 0 : shift;
      const DeviceArray<float> device_gradient(gradient);
      const DeviceArray<float> loss(std::vector<float>{now.loss});
      const AdamStep step = {0.0, update};
      const DeviceArray<AdamStep> device_step(std::vector<AdamStep>{step});
      const auto n = static_cast<std::int64_t>(count - first);
      gradient_guard({device_gradient.get() + first, n, loss.get(), device_step.get(), 5.0},
                     state_of(singles.get(), doubles.get()), scratch.get(), chip, nullptr);
      wait_for_gpu();
      gradient_guard_reference({gradient.data() + first, n, &now.loss, &step, 5.0},
                               state_of(kept.singles.data(), kept.doubles.data()));
      INFO("update " << update);
      CHECK(same_bits(singles.values(), kept.singles));
      CHECK(same_bits(doubles.values(), kept.doubles));
      update += 1.0;
    }
  }
  CHECK(kept.doubles[1] > 0.0);  // the row of bad steps was long enough
  CHECK(singles.margins_hold());
  CHECK(doubles.margins_hold());
  CHECK(scratch.margins_hold());
}

}  // namespace regatta::kernels
