#include <cmath>

#include "kernels/field_form.hpp"
#include "regatta/kernels/diffusion.hpp"

namespace regatta::kernels {

double diffusion_reference(const std::vector<float>& flow, const VolumeSize& size, Penalty penalty, double weight,
                           std::vector<double>* to_flow, DiffusionUnits units) {
  if (to_flow != nullptr) {
    to_flow->assign(flow.size(), 0.0);
  }
  const std::int64_t sizes[3] = {size.d, size.h, size.w};
  const std::int64_t steps[3] = {size.plane(), size.w, 1};
  double loss = 0.0;
  for (int axis = 0; axis < 3; ++axis) {
    const double pairs = static_cast<double>(3 * size.all() / sizes[axis] * (sizes[axis] - 1));
    const double share = weight / (3.0 * pairs);
    for (std::int64_t i = 0; i < 3 * size.all(); ++i) {
      if (i / steps[axis] % sizes[axis] + 1 < sizes[axis]) {
        const auto here = static_cast<std::size_t>(i);
        const auto next = static_cast<std::size_t>(i + steps[axis]);
        const std::int64_t component = i / size.voxels() % 3;
        const double unit = units == DiffusionUnits::kVoxels
                                ? 1.0
                                : static_cast<double>(sizes[axis]) / static_cast<double>(sizes[component] - 1);
        const double difference = unit * (static_cast<double>(flow[next]) - static_cast<double>(flow[here]));
        const double sign = difference > 0.0 ? 1.0 : difference < 0.0 ? -1.0 : 0.0;
        const bool squared = penalty == Penalty::kSquared;
        loss += share * (squared ? difference * difference : std::abs(difference));
        if (to_flow != nullptr) {
          const double slope = share * unit * (squared ? 2.0 * difference : sign);
          (*to_flow)[next] += slope;
          (*to_flow)[here] -= slope;
        }
      }
    }
  }
  return loss;
}

std::size_t diffusion_scratch_bytes(const VolumeSize& size) {
  const FieldGrid grid = field_grid(size);
  return static_cast<std::size_t>(grid.x * grid.y * grid.z) * sizeof(double);
}

}  // namespace regatta::kernels
