#include <string>
#include <vector>

#include "gpu/kernels/bench.hpp"
#include "gpu/kernels/random_values.hpp"
#include "regatta/kernels/gradient_guard.hpp"

namespace regatta::kernels {

void bench_gradient_guard(Bench& bench) {
  for (const std::size_t count : {std::size_t{301411}, std::size_t{46771251}}) {
    const DeviceArray<float> gradient(normal_values(count, 1, 0.1F));
    const DeviceArray<float> loss(std::vector<float>{1.0F});
    const DeviceArray<AdamStep> step(std::vector<AdamStep>{{1e-4, 5.0}});
    DeviceArray<float> singles(std::vector<float>(3));
    DeviceArray<double> doubles(std::vector<double>(2 + GuardState::kRemembered));
    DeviceArray<unsigned char> scratch(gradient_guard_scratch_bytes());
    bench.time({"gradient_guard", std::to_string(count), "", 4.0 * static_cast<double>(count)}, [&](Stream stream) {
      gradient_guard(
          {gradient.get(), static_cast<std::int64_t>(count), loss.get(), step.get(), 5.0},
          {singles.get(), singles.get() + 1, doubles.get(), doubles.get() + 1, doubles.get() + 2, singles.get() + 2},
          scratch.get(), bench.chip(), stream);
    });
  }
}

}  // namespace regatta::kernels
