// Surface distances against a naive search and cases counted by hand.
#include "nn/ops/surface_distance.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include "support/catch.hpp"

namespace regatta::test {
namespace {

/// A mask of about one voxel in `rarity`.
std::vector<std::int32_t> scattered(const GridSize& size, std::uint64_t seed, std::uint64_t rarity) {
  std::vector<std::int32_t> field(static_cast<std::size_t>(size[0] * size[1] * size[2]), kFar);
  std::uint64_t state = seed;
  for (std::int32_t& value : field) {
    state = state * 6364136223846793005ULL + 1442695040888963407ULL;
    if ((state >> 33) % rarity == 0) {
      value = 0;
    }
  }
  return field;
}

std::int32_t nearest_by_search(const std::vector<std::int32_t>& sites, const GridSize& size, std::int64_t d,
                               std::int64_t h, std::int64_t w) {
  std::int32_t nearest = kFar;
  std::int64_t i = 0;
  for (std::int64_t p = 0; p < size[0]; ++p) {
    for (std::int64_t q = 0; q < size[1]; ++q) {
      for (std::int64_t r = 0; r < size[2]; ++r) {
        if (sites[static_cast<std::size_t>(i++)] == 0) {
          const std::int64_t square = (p - d) * (p - d) + (q - h) * (q - h) + (r - w) * (r - w);
          nearest = std::min(nearest, static_cast<std::int32_t>(square));
        }
      }
    }
  }
  return nearest;
}

}  // namespace

TEST_CASE("squared distances are exactly those of a search over all voxels, at unequal sizes") {
  for (const GridSize size : {GridSize{7, 11, 5}, GridSize{1, 13, 2}, GridSize{9, 1, 1}}) {
    for (const std::uint64_t rarity : {3, 40, 1000000}) {
      const std::vector<std::int32_t> sites = scattered(size, 5 + rarity, rarity);
      std::vector<std::int32_t> field = sites;
      squared_distances(field, size);
      std::size_t i = 0;
      std::size_t wrong = 0;
      for (std::int64_t d = 0; d < size[0]; ++d) {
        for (std::int64_t h = 0; h < size[1]; ++h) {
          for (std::int64_t w = 0; w < size[2]; ++w) {
            wrong += field[i++] == nearest_by_search(sites, size, d, h, w) ? 0U : 1U;
          }
        }
      }
      CHECK(wrong == 0);
    }
  }
}

TEST_CASE("a mask and its complement have the same surface, and nothing outside or inside has one") {
  CHECK(surface_area(0) == 0.0);
  CHECK(surface_area(255) == 0.0);
  double corners = 0.0;
  for (unsigned code = 0; code < 256; ++code) {
    CHECK(surface_area(static_cast<std::uint8_t>(code)) == surface_area(static_cast<std::uint8_t>(255 - code)));
    if (std::popcount(code) == 1) {
      corners += surface_area(static_cast<std::uint8_t>(code));
    }
  }
  CHECK(corners == Approx(std::sqrt(3.0)));             // an octahedron of edge sqrt(1/2) around a single voxel
  CHECK(surface_area(0x0F) == 1.0);                     // a flat wall
  CHECK(surface_area(0x11) == Approx(std::sqrt(0.5)));  // one edge
}

TEST_CASE("boxes hold every voxel of their label and no more") {
  std::vector<std::uint8_t> labels(3 * 4 * 5, 0);
  labels[static_cast<std::size_t>((1 * 4 + 2) * 5 + 3)] = 7;
  labels[static_cast<std::size_t>((2 * 4 + 0) * 5 + 4)] = 7;
  const auto boxes = boxes_of_labels(labels.data(), {3, 4, 5});
  CHECK(boxes[7].low == GridSize{1, 0, 3});
  CHECK(boxes[7].high == GridSize{3, 3, 5});
  CHECK(boxes[0].low == GridSize{0, 0, 0});
  CHECK(boxes[0].high == GridSize{3, 4, 5});
  CHECK(boxes[1].empty());
}

TEST_CASE("two single voxels are as far apart as their places, and an empty mask is infinitely far") {
  const GridSize size = {8, 4, 4};
  std::vector<std::uint8_t> a(128, 0);
  std::vector<std::uint8_t> b(128, 0);
  a[5] = 1;
  b[5 + 5 * 16] = 1;
  const VoxelBox box = join(boxes_of_labels(a.data(), size)[1], boxes_of_labels(b.data(), size)[1]);
  CHECK(robust_hausdorff(a.data(), b.data(), size, 1, box, 0.95) == 5.0);
  CHECK(robust_hausdorff(a.data(), a.data(), size, 1, box, 0.95) == 0.0);
  const std::vector<std::uint8_t> none(128, 0);
  CHECK(std::isinf(robust_hausdorff(a.data(), none.data(), size, 1, box, 0.95)));
  CHECK(std::isinf(robust_hausdorff(none.data(), a.data(), size, 1, box, 0.95)));
}

TEST_CASE("the share of the surface decides which distance counts") {
  // A rod of 40 voxels and the same with one voxel 3 away: the far piece is a small share of the second surface.
  const GridSize size = {40, 1, 8};
  std::vector<std::uint8_t> rod(320, 0);
  for (std::size_t d = 0; d < 40; ++d) {
    rod[d * 8] = 1;
  }
  std::vector<std::uint8_t> more = rod;
  more[20 * 8 + 4] = 1;
  const VoxelBox box = {{0, 0, 0}, {40, 1, 8}};
  CHECK(robust_hausdorff(rod.data(), more.data(), size, 1, box, 0.95) == 0.0);
  CHECK(robust_hausdorff(rod.data(), more.data(), size, 1, box, 1.0) == 4.0);
}

}  // namespace regatta::test
