#include "kernels/trilinear_reference.hpp"

namespace regatta::kernels {

WarpReference warp_reference(const std::vector<double>& source, const std::vector<float>& flow, const VolumeSize& size,
                             Outside outside) {
  const std::int64_t voxels = size.voxels();
  WarpReference out;
  out.warped.resize(static_cast<std::size_t>(size.all()));
  out.gradient.resize(static_cast<std::size_t>(3 * size.all()));
  for (std::int64_t i = 0; i < size.all(); ++i) {
    const std::int64_t n = i / voxels;
    const std::int64_t p = i % voxels;
    const auto component = [&](std::size_t c) {
      return static_cast<std::size_t>((3 * n + static_cast<std::int64_t>(c)) * voxels + p);
    };
    visit_corners(p, {flow[component(0)], flow[component(1)], flow[component(2)]}, size, outside,
                  [&](const Corner& corner) {
                    const double value = source[static_cast<std::size_t>(n * voxels + corner.voxel)];
                    out.warped[static_cast<std::size_t>(i)] += corner.weight * value;
                    for (std::size_t c = 0; c < 3; ++c) {
                      out.gradient[component(c)] += corner.changes[c] * value;
                    }
                  });
  }
  return out;
}

std::size_t quad_count(const VolumeSize& size) {
  return static_cast<std::size_t>(size.n * size.d * (size.h + 1) * (size.w + 1));
}

}  // namespace regatta::kernels
