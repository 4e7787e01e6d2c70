#include "diffeomorphism.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include "regatta/base/random.hpp"

namespace regatta::demo {
namespace {

// Second counters of the draws; each range its own.
constexpr std::uint32_t kCentres = 1U << 20;
constexpr std::uint32_t kModes = 2U << 20;
constexpr std::uint32_t kMixtures = 3U << 20;

std::size_t index_of(const Shape3& shape, std::int64_t d, std::int64_t h, std::int64_t w) {
  return static_cast<std::size_t>((d * shape[1] + h) * shape[2] + w);
}

/// Trilinear sample of one [D, H, W] array; zero outside, or the border's value.
float sample(const float* values, const Shape3& shape, Point3 p, bool clamp) {
  std::array<std::int64_t, 3> low{};
  std::array<double, 3> part{};
  for (std::size_t axis = 0; axis < 3; ++axis) {
    const double last = static_cast<double>(shape[axis] - 1);
    if (clamp) {
      p[axis] = std::clamp(p[axis], 0.0, last);
    } else if (p[axis] < 0 || p[axis] > last) {
      return 0.0F;
    }
    low[axis] = std::min(static_cast<std::int64_t>(p[axis]), shape[axis] - 2);
    part[axis] = p[axis] - static_cast<double>(low[axis]);
  }
  double sum = 0.0;
  for (int corner = 0; corner < 8; ++corner) {
    const std::int64_t d = corner >> 2 & 1;
    const std::int64_t h = corner >> 1 & 1;
    const std::int64_t w = corner & 1;
    const double weight =
        (d != 0 ? part[0] : 1 - part[0]) * (h != 0 ? part[1] : 1 - part[1]) * (w != 0 ? part[2] : 1 - part[2]);
    sum += weight * static_cast<double>(values[index_of(shape, low[0] + d, low[1] + h, low[2] + w)]);
  }
  return static_cast<float>(sum);
}

/// Calls visit(d, h, w, flat index) for every voxel.
template <class Visit>
void for_each_voxel(const Shape3& shape, Visit&& visit) {
  std::size_t flat = 0;
  for (std::int64_t d = 0; d < shape[0]; ++d) {
    for (std::int64_t h = 0; h < shape[1]; ++h) {
      for (std::int64_t w = 0; w < shape[2]; ++w) {
        visit(d, h, w, flat++);
      }
    }
  }
}

Point3 displaced(const Field& field, std::int64_t d, std::int64_t h, std::int64_t w, std::size_t flat) {
  const std::size_t voxels = field.u.size() / 3;
  return {static_cast<double>(d) + static_cast<double>(field.u[flat]),
          static_cast<double>(h) + static_cast<double>(field.u[voxels + flat]),
          static_cast<double>(w) + static_cast<double>(field.u[2 * voxels + flat])};
}

/// v <- v + v(p + v(p))
void square(Field& field) {
  const std::size_t voxels = field.u.size() / 3;
  std::vector<float> next(field.u.size());
  for_each_voxel(field.shape, [&](std::int64_t d, std::int64_t h, std::int64_t w, std::size_t flat) {
    const Point3 p = displaced(field, d, h, w, flat);
    for (std::size_t c = 0; c < 3; ++c) {
      next[c * voxels + flat] = field.u[c * voxels + flat] + sample(&field.u[c * voxels], field.shape, p, true);
    }
  });
  field.u = std::move(next);
}

/// Adds a Gaussian blob of velocity within three deviations of its centre.
void add_blob(Field& field, const Point3& centre, const Point3& velocity, double deviation) {
  const std::size_t voxels = field.u.size() / 3;
  std::array<std::int64_t, 3> from{};
  std::array<std::int64_t, 3> to{};
  for (std::size_t axis = 0; axis < 3; ++axis) {
    from[axis] = std::max<std::int64_t>(0, static_cast<std::int64_t>(centre[axis] - 3 * deviation));
    to[axis] = std::min(field.shape[axis], static_cast<std::int64_t>(centre[axis] + 3 * deviation) + 1);
  }
  for (std::int64_t d = from[0]; d < to[0]; ++d) {
    for (std::int64_t h = from[1]; h < to[1]; ++h) {
      for (std::int64_t w = from[2]; w < to[2]; ++w) {
        const double dd = static_cast<double>(d) - centre[0];
        const double dh = static_cast<double>(h) - centre[1];
        const double dw = static_cast<double>(w) - centre[2];
        const double weight = std::exp(-(dd * dd + dh * dh + dw * dw) / (2 * deviation * deviation));
        const std::size_t flat = index_of(field.shape, d, h, w);
        for (std::size_t c = 0; c < 3; ++c) {
          field.u[c * voxels + flat] += static_cast<float>(weight * velocity[c]);
        }
      }
    }
  }
}

}  // namespace

Field random_diffeomorphism(const Shape3& shape, const DeformationOptions& options, std::uint64_t seed,
                            std::uint32_t subject) {
  const CounterRng rng(seed, RandomPurpose::kSynthetic);
  Field field{shape, std::vector<float>(static_cast<std::size_t>(3 * voxel_count(shape)), 0.0F)};
  const double scale = options.strength_vox / std::sqrt(options.modes) / std::pow(2.0, options.squarings);
  std::vector<double> mixture;  // of this subject
  for (int mode = 0; mode < options.modes; ++mode) {
    mixture.push_back(scale * rng.normal(static_cast<std::uint64_t>(mode), kMixtures + subject));
  }
  for (int blob = 0; blob < options.blobs; ++blob) {
    const auto counter = static_cast<std::uint64_t>(blob) * 4;
    Point3 centre{};
    Point3 velocity{};
    for (std::size_t axis = 0; axis < 3; ++axis) {
      centre[axis] = rng.uniform(counter + axis, kCentres) * static_cast<double>(shape[axis] - 1);
      for (std::uint32_t mode = 0; mode < mixture.size(); ++mode) {
        velocity[axis] += mixture[mode] * rng.normal(counter + axis, kModes + mode);
      }
    }
    add_blob(field, centre, velocity, options.deviation_vox * (0.6 + 0.8 * rng.uniform(counter + 3, kCentres)));
  }
  for (int step = 0; step < options.squarings; ++step) {
    square(field);
  }
  return field;
}

std::vector<float> warp_linear(const std::vector<float>& values, const Field& field) {
  std::vector<float> out(values.size());
  for_each_voxel(field.shape, [&](std::int64_t d, std::int64_t h, std::int64_t w, std::size_t flat) {
    out[flat] = sample(values.data(), field.shape, displaced(field, d, h, w, flat), false);
  });
  return out;
}

std::vector<std::int16_t> warp_nearest(const std::vector<std::int16_t>& values, const Field& field) {
  std::vector<std::int16_t> out(values.size(), 0);
  for_each_voxel(field.shape, [&](std::int64_t d, std::int64_t h, std::int64_t w, std::size_t flat) {
    const Point3 p = displaced(field, d, h, w, flat);
    const std::array<std::int64_t, 3> at = {std::llround(p[0]), std::llround(p[1]), std::llround(p[2])};
    bool inside = true;
    for (std::size_t axis = 0; axis < 3; ++axis) {
      inside = inside && at[axis] >= 0 && at[axis] < field.shape[axis];
    }
    if (inside) {
      out[flat] = values[index_of(field.shape, at[0], at[1], at[2])];
    }
  });
  return out;
}

}  // namespace regatta::demo
