#include "regatta/kernels/keypoint.hpp"

#include <algorithm>
#include <cmath>

#include "kernels/keypoint_form.hpp"

namespace regatta::kernels {
namespace {

struct Corner {
  std::size_t voxel;
  double weight;
};

std::array<Corner, 8> corners_of(const float* point, const VolumeSize& size) {
  const std::int64_t lengths[3] = {size.d, size.h, size.w};
  std::int64_t low[3];
  double fraction[3];
  for (int axis = 0; axis < 3; ++axis) {
    const auto last = static_cast<double>(lengths[axis] - 1);
    const double at = std::clamp(static_cast<double>(point[axis]), 0.0, last);
    low[axis] = static_cast<std::int64_t>(std::min(std::floor(at), last - 1.0));
    fraction[axis] = at - static_cast<double>(low[axis]);
  }
  std::array<Corner, 8> corners{};
  for (int k = 0; k < 8; ++k) {
    const int up[3] = {k >> 2, k >> 1 & 1, k & 1};
    std::int64_t voxel = 0;
    double weight = 1.0;
    for (int axis = 0; axis < 3; ++axis) {
      voxel = voxel * lengths[axis] + low[axis] + up[axis];
      weight *= up[axis] == 1 ? fraction[axis] : 1.0 - fraction[axis];
    }
    corners[static_cast<std::size_t>(k)] = {static_cast<std::size_t>(voxel), weight};
  }
  return corners;
}

/// From voxels to the unit of the result, by rows.
std::array<double, 9> unit_of(const KeypointWork& work) {
  if (work.squared) {
    const auto half = [](std::int64_t length) { return 2.0 / static_cast<double>(length); };
    return {half(work.size.d), 0, 0, 0, half(work.size.h), 0, 0, 0, half(work.size.w)};
  }
  std::array<double, 9> axes = work.axes_mm;
  if (work.axes_on_device != nullptr) {
    std::copy_n(work.axes_on_device, 9, axes.begin());
  }
  return axes;
}

}  // namespace

double keypoint_reference(const KeypointWork& work, std::vector<double>* to_flow) {
  const auto voxels = static_cast<std::size_t>(work.size.voxels());
  if (to_flow != nullptr) {
    to_flow->assign(3 * voxels, 0.0);
  }
  const std::array<double, 9> unit = unit_of(work);
  const int real = work.count == nullptr ? work.points : std::min(work.points, static_cast<int>(*work.count));
  const double share = 1.0 / (std::max(real, 1) * (work.squared ? 3.0 : 1.0));
  double loss = 0.0;
  for (int p = 0; p < real; ++p) {
    const std::array<Corner, 8> corners = corners_of(work.fixed + 3 * p, work.size);
    double error[3];
    for (std::size_t c = 0; c < 3; ++c) {
      error[c] = static_cast<double>(work.fixed[3 * p + static_cast<int>(c)]) -
                 static_cast<double>(work.moving[3 * p + static_cast<int>(c)]);
      for (const Corner& corner : corners) {
        error[c] += corner.weight * static_cast<double>(work.flow[c * voxels + corner.voxel]);
      }
    }
    double in_unit[3] = {};
    double length = 0.0;
    for (std::size_t c = 0; c < 9; ++c) {
      in_unit[c / 3] += unit[c] * error[c % 3];
    }
    for (const double of : in_unit) {
      length += of * of;
    }
    loss += share * (work.squared ? length : std::sqrt(length));
    const double factor = share * (work.squared ? 2.0 : 1.0 / std::max(std::sqrt(length), kKeypointLeast));
    for (std::size_t c = 0; c < 9 && to_flow != nullptr; ++c) {
      for (const Corner& corner : corners) {
        (*to_flow)[c % 3 * voxels + corner.voxel] += factor * unit[c] * in_unit[c / 3] * corner.weight;
      }
    }
  }
  return loss;
}

std::size_t keypoint_scratch_bytes(int points) {
  return static_cast<std::size_t>((points + kKeypointThreads - 1) / kKeypointThreads) * sizeof(double);
}

}  // namespace regatta::kernels
