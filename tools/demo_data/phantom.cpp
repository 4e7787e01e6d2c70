#include "phantom.hpp"

#include <array>
#include <cmath>
#include <limits>

#include "coarse.hpp"
#include "regatta/base/error.hpp"
#include "regatta/base/random.hpp"
#include "regatta/volume/volume_file.hpp"

namespace regatta::demo {
namespace {

constexpr int kRegions = 30;

/// AAL numbers the structures in pairs, odd on the left and even on the right: four neighbours of a side become one.
std::int16_t merged(std::int32_t label) {
  if (label <= 0) {
    return 0;
  }
  const std::int32_t structure = (label - 1) / 2;
  const std::int32_t side = (label - 1) % 2;
  return static_cast<std::int16_t>(1 + structure / 4 * 2 + side);
}

}  // namespace

Brain read_colin(const std::filesystem::path& folder) {
  const Volume image = read_volume(folder / "ch2bet.nii.gz");
  const LabelVolume labels = read_label_volume(folder / "aal.nii.gz");
  REGATTA_REQUIRE(image.grid.shape == labels.grid.shape, DataError, folder.string(), ": ch2bet.nii.gz is ",
                  shape_text(image.grid.shape), ", aal.nii.gz ", shape_text(labels.grid.shape));
  Brain brain{"Colin-27 with AAL labels",
              coarse_grid(image.grid, kHalf),
              block_means(image.voxels, image.grid.shape, kHalf),
              {}};
  for (const std::int32_t label : block_firsts(labels.labels, image.grid.shape, kHalf)) {
    brain.labels.push_back(merged(label));
  }
  return brain;
}

Brain make_phantom(std::uint64_t seed) {
  const CounterRng rng(seed, RandomPurpose::kSynthetic);
  const Shape3 shape = {90, 108, 90};
  Brain brain{"phantom", {shape, {2, 0, 0, -90, 0, 2, 0, -126, 0, 0, 2, -72, 0, 0, 0, 1}}, {}, {}};
  const Point3 centre = {45, 54, 45};
  const Point3 radius = {34, 43, 34};
  std::array<Point3, kRegions> seeds{};
  for (std::uint32_t region = 0; region < kRegions; ++region) {
    for (std::size_t axis = 0; axis < 3; ++axis) {
      seeds[region][axis] =
          centre[axis] + (1.6 * rng.uniform(region, static_cast<std::uint32_t>(1000 + axis)) - 0.8) * radius[axis];
    }
  }
  for (std::int64_t d = 0; d < shape[0]; ++d) {
    for (std::int64_t h = 0; h < shape[1]; ++h) {
      for (std::int64_t w = 0; w < shape[2]; ++w) {
        const Point3 p = {static_cast<double>(d), static_cast<double>(h), static_cast<double>(w)};
        double outside = 0.0;
        for (std::size_t axis = 0; axis < 3; ++axis) {
          outside += std::pow((p[axis] - centre[axis]) / radius[axis], 2);
        }
        if (outside > 1.0) {
          brain.image.push_back(0.0F);
          brain.labels.push_back(0);
          continue;
        }
        std::size_t nearest = 0;
        double best = std::numeric_limits<double>::max();
        for (std::size_t region = 0; region < kRegions; ++region) {
          const double distance = std::hypot(p[0] - seeds[region][0], p[1] - seeds[region][1], p[2] - seeds[region][2]);
          if (distance < best) {
            best = distance;
            nearest = region;
          }
        }
        brain.labels.push_back(static_cast<std::int16_t>(nearest + 1));
        brain.image.push_back(static_cast<float>(60.0 + 6.0 * static_cast<double>(nearest * 7 % kRegions)));
      }
    }
  }
  return brain;
}

}  // namespace regatta::demo
