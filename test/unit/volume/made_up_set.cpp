#include "made_up_set.hpp"

#include <algorithm>
#include <cmath>

#include "regatta/base/random.hpp"
#include "regatta/base/text.hpp"

namespace regatta::test {
namespace {

struct Part {
  Point3 at;      ///< mm from the middle: right, front, top
  Point3 radius;  ///< mm
  double value;
  std::uint8_t label;  ///< 0: none of its own
};

/// The parts of a head. Left and right differ as in brains: one side's part is larger and lies further back.
std::vector<Part> parts_of(std::uint64_t number) {
  std::vector<Part> parts = {
      {{0, 0, 0}, {58, 74, 62}, 0.55, 1},     {{-26, 14, 6}, {12, 22, 14}, 0.25, 2},
      {{27, 6, 4}, {15, 25, 15}, 0.25, 3},    {{0, 48, -6}, {20, 10, 14}, 0.3, 4},
      {{4, -10, 38}, {16, 20, 9}, -0.3, 5},   {{-22, -40, -22}, {18, 14, 12}, 0.2, 0},
      {{24, -44, -20}, {15, 14, 13}, 0.2, 0}, {{-30, 34, 22}, {9, 12, 8}, -0.2, 0},
  };
  const CounterRng rng(21, RandomPurpose::kSynthetic);
  std::uint32_t draw = 100;
  const auto jitter = [&](double size) { return size * (2.0 * rng.uniform(number, draw++) - 1.0); };
  for (Part& part : parts) {
    for (std::size_t axis = 0; axis < 3; ++axis) {
      part.at[axis] += part.label == 1 ? 0.0 : jitter(2.0);
      part.radius[axis] *= 1.0 + jitter(0.06);
    }
    part.value *= 1.0 + jitter(0.1);
  }
  return parts;
}

/// From a point of the scan to one of the head at rest.
Affine pose_of(std::uint64_t number) {
  const CounterRng rng(22, RandomPurpose::kSynthetic);
  const auto draw = [&](std::uint32_t which) { return 2.0 * rng.uniform(number, which) - 1.0; };
  Affine all = identity_affine();
  for (std::size_t axis = 0; axis < 3; ++axis) {
    const double angle = 0.17 * draw(static_cast<std::uint32_t>(axis));
    Affine turn = identity_affine();
    const std::size_t p = (axis + 1) % 3;
    const std::size_t q = (axis + 2) % 3;
    turn[4 * p + p] = turn[4 * q + q] = std::cos(angle);
    turn[4 * p + q] = -std::sin(angle);
    turn[4 * q + p] = std::sin(angle);
    Affine scale = identity_affine();
    scale[5 * axis] = 1.0 + 0.08 * draw(static_cast<std::uint32_t>(3 + axis));
    all = multiply(all, multiply(turn, scale));
  }
  for (std::size_t axis = 0; axis < 3; ++axis) {
    all[4 * axis + 3] = 8.0 * draw(static_cast<std::uint32_t>(6 + axis));
  }
  return all;
}

}  // namespace

MadeUpScan made_up_scan(std::uint64_t number) {
  MadeUpScan scan;
  scan.row.id = str("s", number);
  scan.row.split = "train";
  scan.row.affine = {4, 0, 0, 0, 0, 4, 0, 0, 0, 0, 5, 0, 0, 0, 0, 1};
  scan.row.original_affine = {4, 0, 0, 0, 0, 4, 0, 0, 0, 0, 5, 0, 0, 0, 0, 1};
  scan.row.original_shape = kSetShape;
  scan.row.image_source = str("s", number, ".nii.gz");
  const CounterRng rng(23 + number, RandomPurpose::kSynthetic);
  scan.row.intensity[0].high = 800.0 + 400.0 * rng.uniform(1);
  const std::vector<Part> parts = parts_of(number);
  const Affine pose = pose_of(number);
  std::uint64_t voxel = 1000;
  for (std::int64_t d = 0; d < kSetShape[0]; ++d) {
    for (std::int64_t h = 0; h < kSetShape[1]; ++h) {
      for (std::int64_t w = 0; w < kSetShape[2]; ++w, ++voxel) {
        const Point3 x = {(static_cast<double>(d) - 19.5) * kSetSpacing[0],
                          (static_cast<double>(h) - 23.5) * kSetSpacing[1],
                          (static_cast<double>(w) - 17.5) * kSetSpacing[2]};
        const Point3 p = map_point(pose, x);
        double value = 0.0;
        std::uint8_t label = 0;
        for (const Part& part : parts) {
          double r = 0.0;
          for (std::size_t axis = 0; axis < 3; ++axis) {
            r += std::pow((p[axis] - part.at[axis]) / part.radius[axis], 2);
          }
          if (r < 1.0) {
            value += part.value;
            label = part.label != 0 ? part.label : label;
          }
        }
        value += 0.05 * (rng.uniform(voxel) - 0.5);
        scan.image.push_back(static_cast<std::uint8_t>(std::lround(255.0 * std::clamp(value, 0.0, 1.0))));
        scan.labels.push_back(label);
      }
    }
  }
  return scan;
}

std::vector<std::uint8_t> turned(const std::vector<std::uint8_t>& voxels, const Shape3& shape, const AxisMap& turn) {
  std::vector<std::uint8_t> out;
  out.reserve(voxels.size());
  for (std::int64_t d = 0; d < shape[0]; ++d) {
    for (std::int64_t h = 0; h < shape[1]; ++h) {
      for (std::int64_t w = 0; w < shape[2]; ++w) {
        const Shape3 to = {d, h, w};
        Shape3 from{};
        bool inside = true;
        for (std::size_t axis = 0; axis < 3; ++axis) {
          const auto source = static_cast<std::size_t>(turn.source[axis]);
          const std::int64_t off = 2 * to[axis] - (shape[axis] - 1);  // from the middle, in half voxels
          const std::int64_t twice = (turn.flip[axis] ? -off : off) + shape[source] - 1;
          from[source] = twice / 2;
          inside = inside && twice >= 0 && from[source] < shape[source];
        }
        out.push_back(inside ? voxels[static_cast<std::size_t>((from[0] * shape[1] + from[1]) * shape[2] + from[2])]
                             : 0);
      }
    }
  }
  return out;
}

void turn_scan(MadeUpScan& scan, const AxisMap& turn) {
  scan.image = turned(scan.image, kSetShape, turn);
  scan.labels = turned(scan.labels, kSetShape, turn);
}

void write_set(const std::filesystem::path& path, const std::vector<MadeUpScan>& scans, const Shape3& shape,
               const Spacing3& spacing, const std::string& orientation) {
  ArchiveHeader header;
  header.name = "made up";
  header.shape = shape;
  header.spacing = spacing;
  header.orientation = orientation;
  header.subjects = static_cast<std::int64_t>(scans.size());
  if (std::any_of(scans.begin(), scans.end(), [](const MadeUpScan& scan) { return !scan.labels.empty(); })) {
    header.label_ids = {0, 10, 20, 30, 40, 50};
  }
  header.masks = std::any_of(scans.begin(), scans.end(), [](const MadeUpScan& scan) { return !scan.mask.empty(); });
  ArchiveWriter writer(path, header);
  std::vector<ArchivePair> pairs;
  for (std::size_t i = 0; i < scans.size(); ++i) {
    writer.add(scans[i].row, std::as_bytes(std::span(scans[i].image)), scans[i].labels, scans[i].mask);
    if (i > 0) {
      pairs.push_back({scans[i].row.split, 0, static_cast<std::int64_t>(i)});
    }
  }
  writer.set_pairs(pairs);
  writer.finish();
}

}  // namespace regatta::test
