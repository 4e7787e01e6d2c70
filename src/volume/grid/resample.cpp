#include "regatta/volume/resample.hpp"

#include "regatta/base/error.hpp"
#include "volume/grid/image_sampler.hpp"
#include "volume/grid/sampling.hpp"

namespace regatta {
namespace {

void require_values(std::size_t found, std::int64_t components, const Grid& grid, const char* what) {
  REGATTA_REQUIRE(static_cast<std::int64_t>(found) == components * voxel_count(grid.shape), BugError, what, ": ", found,
                  " values for a grid of ", shape_text(grid.shape));
}

/// Values at points of the source's index space; `place` gives the point of each target voxel.
template <class T, class Sampler, class Place>
std::vector<T> sample_grid(const Sampler& sampler, const Shape3& target, int threads, const Place& place) {
  std::vector<T> out(static_cast<std::size_t>(voxel_count(target)));
  for_each_voxel(target, threads, [&](std::int64_t index, const Point3& x) {
    out[static_cast<std::size_t>(index)] = sampler(place(index, x));
  });
  return out;
}

/// Nearest labels, 0 outside.
auto label_sampler(std::span<const std::int32_t> labels, const Shape3& shape) {
  return [labels, shape](const Point3& p) {
    return inside_view(shape, p) ? sample_nearest(labels.data(), shape, p) : std::int32_t{0};
  };
}

auto place_through_space(const Grid& source, const Grid& target) {
  const Affine to_source = multiply(invert(source.affine), target.affine);
  return [to_source](std::int64_t, const Point3& x) { return map_point(to_source, x); };
}

auto place_through_field(const Grid& moving, std::span<const float> field, const Grid& fixed) {
  require_values(field.size(), 3, fixed, "warp_with_field: field");
  const Affine to_moving = multiply(invert(moving.affine), fixed.affine);
  return [to_moving, field, voxels = voxel_count(fixed.shape)](std::int64_t index, const Point3& x) {
    const float* u = field.data() + index;
    return map_point(to_moving, {x[0] + double{u[0]}, x[1] + double{u[voxels]}, x[2] + double{u[2 * voxels]}});
  };
}

}  // namespace

std::vector<float> resample_to_grid(std::span<const float> voxels, const Grid& source, const Grid& target,
                                    Interpolation interpolation, float outside, int threads) {
  require_values(voxels.size(), 1, source, "resample_to_grid");
  const ImageSampler sampler(voxels, source.shape, interpolation, outside, threads);
  return sample_grid<float>(sampler, target.shape, threads, place_through_space(source, target));
}

std::vector<std::int32_t> resample_labels_to_grid(std::span<const std::int32_t> labels, const Grid& source,
                                                  const Grid& target, int threads) {
  require_values(labels.size(), 1, source, "resample_labels_to_grid");
  return sample_grid<std::int32_t>(label_sampler(labels, source.shape), target.shape, threads,
                                   place_through_space(source, target));
}

std::vector<float> displacement_on_grid(std::span<const float> field, const Grid& packed, const Affine& packed_moving,
                                        const Grid& target, int threads) {
  require_values(field.size(), 3, packed, "displacement_on_grid");
  const Affine to_packed = multiply(invert(packed.affine), target.affine);
  const Affine to_target = multiply(invert(target.affine), packed_moving);  // packed moving voxel to target voxel
  const std::int64_t packed_voxels = voxel_count(packed.shape);
  const std::int64_t voxels = voxel_count(target.shape);
  std::vector<float> out(static_cast<std::size_t>(3 * voxels));
  for_each_voxel(target.shape, threads, [&](std::int64_t index, const Point3& x) {
    const Point3 g = map_point(to_packed, x);
    Point3 moved{};
    for (std::size_t c = 0; c < 3; ++c) {
      moved[c] =
          g[c] + double{sample_linear(field.data() + static_cast<std::int64_t>(c) * packed_voxels, packed.shape, g)};
    }
    const Point3 y = map_point(to_target, moved);
    for (std::size_t c = 0; c < 3; ++c) {
      out[c * static_cast<std::size_t>(voxels) + static_cast<std::size_t>(index)] = static_cast<float>(y[c] - x[c]);
    }
  });
  return out;
}

std::vector<float> warp_with_field(std::span<const float> moving, const Grid& moving_grid, std::span<const float> field,
                                   const Grid& fixed, Interpolation interpolation, float outside, int threads) {
  require_values(moving.size(), 1, moving_grid, "warp_with_field: moving");
  const ImageSampler sampler(moving, moving_grid.shape, interpolation, outside, threads);
  return sample_grid<float>(sampler, fixed.shape, threads, place_through_field(moving_grid, field, fixed));
}

std::vector<std::int32_t> warp_labels_with_field(std::span<const std::int32_t> labels, const Grid& moving_grid,
                                                 std::span<const float> field, const Grid& fixed, int threads) {
  require_values(labels.size(), 1, moving_grid, "warp_labels_with_field: labels");
  return sample_grid<std::int32_t>(label_sampler(labels, moving_grid.shape), fixed.shape, threads,
                                   place_through_field(moving_grid, field, fixed));
}

}  // namespace regatta
