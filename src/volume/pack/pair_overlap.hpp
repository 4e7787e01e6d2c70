// How well the packed scans of a pair lie on each other, from every fourth millimetre: a look that costs nothing beside
// packing, for pairs that are put wrongly.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "regatta/volume/archive.hpp"

namespace regatta {

class PairOverlaps {
 public:
  PairOverlaps(const Shape3& shape, const Spacing3& spacing);

  /// The next subject. @param image  packed voxels, 0..1
  void add(const ArchiveSubject& row, const std::function<float(std::size_t)>& image);

  /// Dice of the two foregrounds where both scans have voxels; 0 where these hold less than a quarter of either.
  double of(std::size_t moving, std::size_t fixed) const;

  /// One line about the pairs that overlap less than `kPoorOverlap`, with the worst of them; "" if there are none.
  std::string doubt(const std::vector<ArchiveSubject>& subjects, const std::vector<ArchivePair>& pairs) const;

 private:
  /// One bit a sample.
  struct View {
    std::vector<std::uint64_t> seen;    ///< inside the scan's field of view
    std::vector<std::uint64_t> inside;  ///< foreground
    std::int64_t count = 0;             ///< of the foreground
  };

  std::vector<Shape3> samples_;  ///< voxels of the packed grid
  Shape3 shape_{};
  std::vector<View> views_;
};

}  // namespace regatta
