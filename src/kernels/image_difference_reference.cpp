#include "regatta/kernels/image_difference.hpp"

#include <algorithm>
#include <cmath>

#include "kernels/image_difference_form.hpp"

namespace regatta::kernels {

double image_difference_reference(const ImageDifference& work, std::vector<double>* to_warped) {
  const auto count = static_cast<std::size_t>(work.size.all());
  const auto counts = [&](std::size_t i) { return work.mask == nullptr || work.mask[i] != 0; };
  double voxels = 0.0;
  for (std::size_t i = 0; i < count; ++i) {
    voxels += counts(i) ? 1.0 : 0.0;
  }
  const double share = 1.0 / std::max(voxels, 1.0);
  if (to_warped != nullptr) {
    to_warped->assign(count, 0.0);
  }
  double sum = 0.0;
  for (std::size_t i = 0; i < count; ++i) {
    if (counts(i)) {
      const double difference = static_cast<double>(work.warped[i]) - static_cast<double>(work.fixed[i]);
      const double sign = difference > 0.0 ? 1.0 : difference < 0.0 ? -1.0 : 0.0;
      const bool squared = work.penalty == Penalty::kSquared;
      sum += squared ? difference * difference : std::abs(difference);
      if (to_warped != nullptr) {
        (*to_warped)[i] = share * (squared ? 2.0 * difference : sign);
      }
    }
  }
  return share * sum;
}

std::size_t image_difference_scratch_bytes(const VolumeSize& size) {
  return 2 * static_cast<std::size_t>(difference_blocks(size)) * sizeof(double);
}

}  // namespace regatta::kernels
