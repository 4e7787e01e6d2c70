#include "regatta/volume/transform.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include "regatta/base/error.hpp"
#include "volume/grid/image_sampler.hpp"
#include "volume/grid/sampling.hpp"
#include "volume/transform/field_inverse.hpp"

namespace regatta {
namespace {

Point3 displaced(const SpaceField& field, const Point3& point) {
  const Point3 x = map_point(field.to_index, point);
  if (!inside_view(field.grid.shape, x)) {
    return point;
  }
  const std::int64_t voxels = voxel_count(field.grid.shape);
  Point3 u{};
  for (std::size_t c = 0; c < 3; ++c) {
    u[c] = double{sample_linear(field.voxels.data() + static_cast<std::int64_t>(c) * voxels, field.grid.shape, x)};
  }
  const Point3 shift = map_vector(field.grid.affine, u);
  return {point[0] + shift[0], point[1] + shift[1], point[2] + shift[2]};
}

/// Sums of doubles that do not depend on how slices are shared out.
struct SliceTally {
  double residual = 0.0;
  double largest = 0.0;
  std::int64_t count = 0;
};

/// The label with the most weight among a cell's eight voxels.
std::int32_t vote(const std::int32_t* labels, const Shape3& shape, const Point3& p) {
  const Cell cell(shape, p);
  std::array<std::int32_t, 8> names{};
  std::array<double, 8> weights{};
  std::size_t known = 0;
  for (unsigned corner = 0; corner < 8; ++corner) {
    double weight = 1.0;
    Shape3 at{};
    for (std::size_t axis = 0; axis < 3; ++axis) {
      const bool upper = (corner >> axis & 1U) != 0;
      at[axis] = upper ? cell.high[axis] : cell.low[axis];
      weight *= upper ? cell.part[axis] : 1.0 - cell.part[axis];
    }
    const std::int32_t name = labels[(at[0] * shape[1] + at[1]) * shape[2] + at[2]];
    const auto found = std::find(names.begin(), names.begin() + static_cast<std::ptrdiff_t>(known), name);
    const auto place = static_cast<std::size_t>(found - names.begin());
    names[place] = name;
    weights[place] += weight;
    known = std::max(known, place + 1);
  }
  std::size_t best = 0;
  for (std::size_t i = 1; i < known; ++i) {
    if (weights[i] > weights[best] || (weights[i] == weights[best] && names[i] < names[best])) {
      best = i;
    }
  }
  return names[best];
}

/// Fills a volume on `fixed` with sampler(p), p in voxels of the moving grid; `sampler` is called within its field of
/// view alone. @return voxels that show nothing
template <class T, class Sampler>
std::int64_t fill(const Transform& transform, const Grid& moving, const Grid& fixed, T outside, int threads,
                  const Sampler& sampler, std::vector<T>& out) {
  out.resize(static_cast<std::size_t>(voxel_count(fixed.shape)));
  const Affine to_moving = invert(moving.affine);
  std::vector<std::int64_t> beyond(static_cast<std::size_t>(fixed.shape[0]));
  for_each_voxel(fixed.shape, threads, [&](std::int64_t index, const Point3& x) {
    const MappedPoint mapped = transform.map(map_point(fixed.affine, x));
    const Point3 p = map_point(to_moving, mapped.point);
    T& to = out[static_cast<std::size_t>(index)];
    if (mapped.found && inside_view(moving.shape, p)) {
      to = sampler(p);
    } else {
      to = outside;
      ++beyond[static_cast<std::size_t>(x[0])];
    }
  });
  std::int64_t sum = 0;
  for (const std::int64_t count : beyond) {
    sum += count;
  }
  return sum;
}

template <class T>
void require_voxels(std::span<const T> voxels, const Grid& grid) {
  REGATTA_REQUIRE(static_cast<std::int64_t>(voxels.size()) == voxel_count(grid.shape), BugError,
                  "warp: ", voxels.size(), " voxels for a grid of ", shape_text(grid.shape));
}

}  // namespace

Transform Transform::of_affine(const Affine& fixed_to_moving) {
  Transform out;
  out.parts_.push_back({fixed_to_moving, nullptr, false});
  return out;
}

Transform Transform::of_field(const Grid& grid, std::vector<float> field) {
  REGATTA_REQUIRE(static_cast<std::int64_t>(field.size()) == 3 * voxel_count(grid.shape), BugError,
                  "Transform::of_field: ", field.size(), " values for a grid of ", shape_text(grid.shape));
  Transform out;
  out.parts_.push_back({identity_affine(),
                        std::make_shared<const SpaceField>(SpaceField{grid, invert(grid.affine), std::move(field)}),
                        false});
  return out;
}

void Transform::append(const Transform& next) {
  parts_.insert(parts_.end(), next.parts_.begin(), next.parts_.end());
}

Transform Transform::inverse() const {
  Transform out;
  for (auto part = parts_.rbegin(); part != parts_.rend(); ++part) {
    out.parts_.push_back(part->field == nullptr ? Part{invert(part->affine), nullptr, false}
                                                : Part{part->affine, part->field, !part->inverted});
  }
  return out;
}

MappedPoint Transform::map(const Point3& point) const {
  MappedPoint out{point, true, 0.0};
  for (const Part& part : parts_) {
    if (part.field == nullptr) {
      out.point = map_point(part.affine, out.point);
    } else if (part.inverted) {
      const MappedPoint found = inverse_displaced(*part.field, out.point);
      out.point = found.point;
      out.found = out.found && found.found;
      out.residual_mm = std::max(out.residual_mm, found.residual_mm);
    } else {
      out.point = displaced(*part.field, out.point);
    }
  }
  return out;
}

bool Transform::has_inverted_field() const {
  return std::any_of(parts_.begin(), parts_.end(), [](const Part& part) { return part.inverted; });
}

std::optional<Affine> Transform::as_affine() const {
  Affine out = identity_affine();
  for (const Part& part : parts_) {
    if (part.field != nullptr) {
      return std::nullopt;
    }
    out = multiply(part.affine, out);
  }
  return out;
}

const Grid* Transform::first_grid() const {
  for (const Part& part : parts_) {
    if (part.field != nullptr) {
      return &part.field->grid;
    }
  }
  return nullptr;
}

ComposedField compose_field(const Transform& transform, const Grid& grid, int threads) {
  const auto voxels = static_cast<std::size_t>(voxel_count(grid.shape));
  ComposedField out;
  out.field.resize(3 * voxels);
  const Affine to_index = invert(grid.affine);
  std::vector<SliceTally> tallies(static_cast<std::size_t>(grid.shape[0]));
  for_each_voxel(grid.shape, threads, [&](std::int64_t index, const Point3& x) {
    const MappedPoint mapped = transform.map(map_point(grid.affine, x));
    const Point3 y = map_point(to_index, mapped.point);
    for (std::size_t c = 0; c < 3; ++c) {
      out.field[c * voxels + static_cast<std::size_t>(index)] = static_cast<float>(y[c] - x[c]);
    }
    SliceTally& tally = tallies[static_cast<std::size_t>(x[0])];
    if (mapped.found) {
      tally.residual += mapped.residual_mm;
      tally.largest = std::max(tally.largest, mapped.residual_mm);
      ++tally.count;
    }
  });
  std::int64_t found = 0;
  for (const SliceTally& tally : tallies) {
    found += tally.count;
    out.mean_residual_mm += tally.residual;
    out.largest_residual_mm = std::max(out.largest_residual_mm, tally.largest);
  }
  out.missing = static_cast<std::int64_t>(voxels) - found;
  out.mean_residual_mm /= static_cast<double>(std::max<std::int64_t>(found, 1));
  return out;
}

WarpedVolume warp_image(const Transform& transform, std::span<const float> moving, const Grid& moving_grid,
                        const Grid& fixed, Interpolation interpolation, float outside, int threads) {
  require_voxels(moving, moving_grid);
  WarpedVolume out;
  const ImageSampler sampler(moving, moving_grid.shape, interpolation, outside, threads);
  out.outside = fill(transform, moving_grid, fixed, outside, threads, sampler, out.voxels);
  return out;
}

WarpedLabels warp_labels(const Transform& transform, std::span<const std::int32_t> moving, const Grid& moving_grid,
                         const Grid& fixed, LabelSampling rule, int threads) {
  require_voxels(moving, moving_grid);
  WarpedLabels out;
  const Shape3& shape = moving_grid.shape;
  const auto sampler = [&](const Point3& p) {
    return rule == LabelSampling::kVote ? vote(moving.data(), shape, p) : sample_nearest(moving.data(), shape, p);
  };
  out.outside = fill(transform, moving_grid, fixed, std::int32_t{0}, threads, sampler, out.labels);
  return out;
}

}  // namespace regatta
