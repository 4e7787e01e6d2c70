#include "regatta/kernels/softsign.hpp"

#include <vector>

#include "gpu/kernels/bf16_values.hpp"
#include "gpu/kernels/device_array.hpp"
#include "gpu/kernels/errors.hpp"
#include "support/catch.hpp"

namespace regatta::kernels {
namespace {

std::vector<float> values(std::int64_t count, std::uint64_t seed) {
  std::vector<float> out(static_cast<std::size_t>(count));
  in_parallel(count, [&](std::int64_t i) { out[static_cast<std::size_t>(i)] = 3.0F * random_value(seed, i); });
  return out;
}

std::vector<double> doubles(const std::vector<float>& from) {
  return {from.begin(), from.end()};
}

}  // namespace

TEST_CASE("softsign of fields and its derivative agree with float64") {
  if (!has_gpu()) {
    REGATTA_SKIP("no GPU");
  }
  for (const VolumeSize& size : {VolumeSize{2, 13, 17, 19}, VolumeSize{2, 8, 6, 10}, VolumeSize{1, 37, 45, 70}}) {
    const Softsign softsign = {size, {79.5F, 95.5F, -111.5F}};
    const std::vector<float> input = values(3 * size.all(), 1);
    const std::vector<float> upstream = values(3 * size.all(), 2);
    const DeviceArray<float> device_input(input);
    const DeviceArray<float> device_upstream(upstream);
    DeviceArray<float> output(input.size());
    DeviceArray<float> gradient(input.size());
    output.poison();
    gradient.poison();
    softsign_forward(softsign, device_input.get(), output.get(), nullptr);
    softsign_backward(softsign, device_input.get(), device_upstream.get(), gradient.get(), nullptr);
    wait_for_gpu();
    CHECK(relative_error(output.values(), softsign_reference(softsign, doubles(input))) < 1e-6);
    CHECK(relative_error(gradient.values(), softsign_gradient_reference(softsign, doubles(input), doubles(upstream))) <
          1e-6);
    CHECK(output.margins_hold());
    CHECK(gradient.margins_hold());
    softsign_forward(softsign, output.get(), output.get(), nullptr);  // in place
    wait_for_gpu();
    const std::vector<double> once = softsign_reference(softsign, doubles(input));
    CHECK(relative_error(output.values(), softsign_reference(softsign, once)) < 1e-6);
  }
}

}  // namespace regatta::kernels
