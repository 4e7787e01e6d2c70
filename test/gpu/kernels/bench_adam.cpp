#include <string>
#include <vector>

#include "gpu/kernels/bench.hpp"
#include "gpu/kernels/random_values.hpp"
#include "regatta/kernels/adam.hpp"

namespace regatta::kernels {

void bench_adam(Bench& bench) {
  for (const std::size_t count : {std::size_t{301411}, std::size_t{46771251}}) {
    const DeviceArray<float> gradient(normal_values(count, 1, 0.1F));
    DeviceArray<float> value(std::vector<float>(count, 0.5F));
    DeviceArray<float> m(std::vector<float>(count, 0.0F));
    DeviceArray<float> v(std::vector<float>(count, 0.0F));
    DeviceArray<float> vmax(std::vector<float>(count, 0.0F));
    DeviceArray<Bf16> shadow(count);
    const DeviceArray<AdamStep> step(std::vector<AdamStep>{{1e-4, 5.0}});
    const auto n = static_cast<std::int64_t>(count);
    const auto queue = [&](float* largest, Bf16* rounded) {
      return [&, largest, rounded](Stream stream) {
        adam({value.get(), gradient.get(), m.get(), v.get(), largest, rounded, n}, {}, step.get(), nullptr,
             bench.chip(), stream);
      };
    };
    const double size = static_cast<double>(count);
    bench.time({"adam", std::to_string(count), "adam", 28.0 * size}, queue(nullptr, nullptr));
    bench.time({"adam", std::to_string(count), "amsgrad", 36.0 * size}, queue(vmax.get(), nullptr));
    bench.time({"adam", std::to_string(count), "amsgrad, bf16 copy", 38.0 * size}, queue(vmax.get(), shadow.get()));
  }
}

}  // namespace regatta::kernels
