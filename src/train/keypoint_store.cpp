#include "train/keypoint_store.hpp"

#include <algorithm>
#include <span>

#include <ATen/ops/empty.h>

#include "regatta/base/error.hpp"
#include "train/voxel_axes.hpp"

namespace regatta {

KeypointStore::KeypointStore(const std::vector<ArchiveSubject>& subjects, const std::vector<ArchivePair>& pairs,
                             const Shape3& shape, const at::Device& device)
    : shape_(shape) {
  std::vector<double> values;
  const auto keep = [&](std::span<const Point3> points) {
    const Place place = {static_cast<std::int64_t>(values.size() / 3), static_cast<std::int64_t>(points.size())};
    if (places_.emplace(points.data(), place).second) {
      for (const Point3& point : points) {
        values.insert(values.end(), point.begin(), point.end());
      }
    }
  };
  for (const ArchivePair& pair : pairs) {
    const KeypointLists lists = keypoints_of(subjects, pair);
    if (!lists.fixed.empty()) {
      keep(lists.moving);
      keep(lists.fixed);
      most_ = std::max(most_, static_cast<std::int64_t>(lists.fixed.size()));
    }
  }
  if (most_ > 0) {
    const at::Tensor host = at::empty({static_cast<std::int64_t>(values.size() / 3), 3}, at::dtype(at::kDouble));
    std::copy(values.begin(), values.end(), host.mutable_data_ptr<double>());
    points_ = host.to(device);
  }
}

/// [K, 3] float32
at::Tensor KeypointStore::list_of(std::span<const Point3> points, const Flips& flips) const {
  const auto found = places_.find(points.data());
  REGATTA_REQUIRE(found != places_.end(), BugError, "key-points of a pair that was not loaded");
  const at::Tensor list = points_.narrow(0, found->second.first, found->second.count);
  if (flips == Flips{}) {
    return list.to(at::kFloat);
  }
  const at::Tensor mirrored = list.clone();
  for (std::size_t axis = 0; axis < 3; ++axis) {
    if (flips[axis]) {
      mirrored.select(1, static_cast<std::int64_t>(axis)).neg_().add_(static_cast<double>(shape_[axis] - 1));
    }
  }
  return mirrored.to(at::kFloat);
}

void KeypointStore::gather(const std::vector<ArchiveSubject>& subjects, const ArchivePair& pair, const Flips& flips,
                           PairState& state) const {
  const KeypointLists lists = keypoints_of(subjects, pair);
  if (lists.fixed.empty()) {
    return;
  }
  state.most_keypoints = most_;
  state.moving_keypoints = list_of(lists.moving, flips);
  state.fixed_keypoints = list_of(lists.fixed, flips);
  // Each scan's own: where scans were aligned to an atlas, a packed voxel is as large as it is in the scan.
  state.moving_axes_mm = voxel_axes(subjects[static_cast<std::size_t>(pair.moving)].affine, flips);
  state.fixed_axes_mm = voxel_axes(subjects[static_cast<std::size_t>(pair.fixed)].affine, flips);
}

}  // namespace regatta
