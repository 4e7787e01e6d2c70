#include "regatta/kernels/jacobian.hpp"

#include <cmath>
#include <limits>
#include <vector>

#include "gpu/kernels/device_array.hpp"
#include "gpu/kernels/random_values.hpp"
#include "gpu/kernels/volumes.hpp"
#include "support/catch.hpp"

namespace regatta::kernels {
namespace {

std::vector<double> on_device(const std::vector<float>& flow, const std::vector<std::uint8_t>& mask,
                              const VolumeSize& size, const JacobianLog& log) {
  const DeviceArray<float> field(flow);
  const DeviceArray<std::uint8_t> inside(mask);
  DeviceArray<double> sums(kJacobianSums);
  DeviceArray<unsigned char> scratch(jacobian_scratch_bytes(size));
  jacobian_sums(field.get(), mask.empty() ? nullptr : inside.get(), size, log, sums.get(), scratch.get(), nullptr);
  wait_for_gpu();
  CHECK(sums.margins_hold());
  CHECK(scratch.margins_hold());
  return sums.values();
}

void check(const std::vector<float>& flow, const std::vector<std::uint8_t>& mask, const VolumeSize& size,
           const JacobianLog& log = {}) {
  INFO(size.n << "x" << size.d << "x" << size.h << "x" << size.w << (mask.empty() ? "" : ", masked"));
  const auto expected = jacobian_sums_reference(flow, mask, size, log);
  const std::vector<double> sums = on_device(flow, mask, size, log);
  CHECK(sums[static_cast<std::size_t>(JacobianSum::kFolds)] == expected[0]);
  CHECK(sums[static_cast<std::size_t>(JacobianSum::kVoxels)] == expected[1]);
  for (std::size_t i = 2; i < sums.size(); ++i) {
    CHECK(sums[i] == Approx(expected[i]).epsilon(1e-11).margin(1e-9));
  }
  CHECK(same_bits(on_device(flow, mask, size, log), sums));
}

}  // namespace

TEST_CASE("sums over Jacobian determinants on the device are those of the reference, folds to the voxel") {
  if (!has_gpu()) {
    REGATTA_SKIP("no GPU");
  }
  std::vector<VolumeSize> sizes = small_sizes();
  sizes.push_back({1, 2, 2, 2});
  sizes.push_back({2, 9, 40, 33});
  for (const VolumeSize& size : sizes) {
    const std::vector<float> rough = normal_values(static_cast<std::size_t>(3 * size.all()), 3);
    const std::vector<float> smooth = smooth_flow(size, 4, 6.0);
    const std::vector<std::uint8_t> mask = head_labels(size, 0.0, 3);
    for (const auto* flow : {&rough, &smooth}) {
      check(*flow, {}, size);
      check(*flow, mask, size);
      check(*flow, {}, size, {.margin = 0, .least = 1e-3, .most = 2.0, .shift = 0.5});
    }
  }
  check(smooth_flow(kFullSize, 4, 60.0), {}, kFullSize);
}

TEST_CASE("on the device a missing displacement folds and makes the logarithms NaN") {
  if (!has_gpu()) {
    REGATTA_SKIP("no GPU");
  }
  const VolumeSize size = small_sizes()[0];
  std::vector<float> flow(static_cast<std::size_t>(3 * size.all()), 0.0F);
  const std::vector<double> still = on_device(flow, {}, size, {});
  CHECK(still[0] == 0.0);
  for (std::size_t i = 2; i < still.size(); ++i) {
    CHECK(std::abs(still[i]) < 1e-12);
  }
  flow[flow.size() / 2] = std::numeric_limits<float>::quiet_NaN();
  const std::vector<double> sums = on_device(flow, {}, size, {});
  CHECK(sums[0] == jacobian_sums_reference(flow, {}, size, {})[0]);
  CHECK(sums[0] > 0.0);
  CHECK(std::isnan(sums[2]));
}

}  // namespace regatta::kernels
