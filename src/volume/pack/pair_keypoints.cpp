#include "volume/pack/pair_keypoints.hpp"

#include <map>
#include <memory>
#include <utility>

#include "regatta/base/text.hpp"
#include "regatta/volume/keypoints.hpp"
#include "volume/pack/packed_subject.hpp"

namespace regatta {

std::string outside_text(const std::string& whose, const std::vector<Point3>& points, const Shape3& shape) {
  const std::int64_t outside = count_outside(points, shape);
  return outside == 0 ? ""
                      : str(whose, ": ", outside, " of ", points.size(), " key-points lie outside the packed grid");
}

std::vector<ArchivePair> pairs_with_keypoints(const DatasetFile& dataset, const std::vector<ArchiveSubject>& rows,
                                              const Shape3& shape, std::vector<std::string>& warnings) {
  std::vector<ArchivePair> pairs = dataset.pairs;
  std::map<std::pair<std::int64_t, std::int64_t>, std::shared_ptr<const PairKeypoints>> known;  // folds repeat pairs
  for (ArchivePair& pair : pairs) {
    const auto files = dataset.keypoint_files(pair);
    if (!files) {
      continue;
    }
    std::shared_ptr<const PairKeypoints>& own = known[{pair.moving, pair.fixed}];
    if (!own) {
      const ArchiveSubject& moving = rows[static_cast<std::size_t>(pair.moving)];
      const ArchiveSubject& fixed = rows[static_cast<std::size_t>(pair.fixed)];
      own = std::make_shared<const PairKeypoints>(PairKeypoints{packed_keypoints(dataset, files->moving, moving),
                                                                packed_keypoints(dataset, files->fixed, fixed)});
      const std::string name = str("pair of moving '", moving.id, "' and fixed '", fixed.id, "'");
      for (const std::string& text :
           {outside_text(name + ", moving", own->moving, shape), outside_text(name + ", fixed", own->fixed, shape)}) {
        if (!text.empty()) {
          warnings.push_back(text);
        }
      }
    }
    pair.keypoints = own;
  }
  return pairs;
}

}  // namespace regatta
