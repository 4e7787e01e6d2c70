#include "regatta/kernels/label_overlap.hpp"

#include <limits>
#include <vector>

#include "gpu/kernels/device_array.hpp"
#include "gpu/kernels/volumes.hpp"
#include "support/catch.hpp"

namespace regatta::kernels {

TEST_CASE("label counts on the device are those of the reference") {
  if (!has_gpu()) {
    REGATTA_SKIP("no GPU");
  }
  std::vector<VolumeSize> sizes = small_sizes();
  sizes.push_back(kFullSize);
  for (const VolumeSize& size : sizes) {
    std::vector<float> flow = smooth_flow(size, 3, 4.0);
    for (std::size_t i = 0; i < flow.size(); i += 5) {
      flow[i] = 0.5F;  // halves
    }
    flow[7] = std::numeric_limits<float>::quiet_NaN();
    flow[8] = -std::numeric_limits<float>::infinity();
    flow[9] = 1e30F;
    flow[11] = -1e-20F;
    const std::vector<std::uint8_t> fixed = head_labels(size, 0.0, 46);
    std::vector<std::uint8_t> moving = head_labels(size, 0.1, 46);
    moving[5] = 255;
    const DeviceArray<float> device_flow(flow);
    const DeviceArray<std::uint8_t> device_fixed(fixed);
    const DeviceArray<std::uint8_t> device_moving(moving);
    for (const LabelWarp warp : {LabelWarp::kNearest, LabelWarp::kLargestWeight}) {
      INFO(size.n << "x" << size.d << "x" << size.h << "x" << size.w << ", warp " << static_cast<int>(warp));
      DeviceArray<std::int64_t> counts(kLabelRows * kLabelValues);
      label_counts(device_fixed.get(), device_moving.get(), device_flow.get(), size, warp, counts.get(), nullptr);
      wait_for_gpu();
      CHECK(counts.values() == label_counts_reference(fixed, moving, flow, size, warp));
      CHECK(counts.margins_hold());
    }
  }
}

}  // namespace regatta::kernels
