// The key-points of a data set on the device, put there once: a step's lists are parts of one tensor, and no step waits
// for an upload.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <vector>

#include <ATen/core/Tensor.h>

#include "regatta/nn/loss.hpp"
#include "regatta/train/pair_order.hpp"
#include "regatta/volume/archive.hpp"

namespace regatta {

class KeypointStore {
 public:
  KeypointStore() = default;

  /// @param subjects  those of the archive; their lists must stay where they are
  /// @param pairs     that will be asked for
  KeypointStore(const std::vector<ArchiveSubject>& subjects, const std::vector<ArchivePair>& pairs, const Shape3& shape,
                const at::Device& device);

  /// Puts a pair's points, mirrored, and the axes of both scans' voxels into the state; nothing for a pair without
  /// points. Queues work on the device without waiting for it.
  void gather(const std::vector<ArchiveSubject>& subjects, const ArchivePair& pair, const Flips& flips,
              PairState& state) const;

 private:
  struct Place {
    std::int64_t first = 0;
    std::int64_t count = 0;
  };

  at::Tensor list_of(std::span<const Point3> points, const Flips& flips) const;

  Shape3 shape_{};
  at::Tensor points_;                      ///< [all lists' points, 3] float64
  std::map<const Point3*, Place> places_;  ///< by the list's address in host memory
  std::int64_t most_ = 0;                  ///< of one pair
};

}  // namespace regatta
