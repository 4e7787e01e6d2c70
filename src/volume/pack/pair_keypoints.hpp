// Key-points that pairs have of their own, on their way into the archive.
#pragma once

#include <string>
#include <vector>

#include "regatta/volume/dataset.hpp"

namespace regatta {

/// The data set's pairs with the key-points that its files give them.
/// @param rows      of all subjects, packed; not looked at where no pair has key-points of its own
/// @param warnings  gets a line for each list with points outside the grid of this shape
/// @throws DataError naming the file
std::vector<ArchivePair> pairs_with_keypoints(const DatasetFile& dataset, const std::vector<ArchiveSubject>& rows,
                                              const Shape3& shape, std::vector<std::string>& warnings);

/// "WHOSE: 1 of 3 key-points lie outside the packed grid"; "" if none does.
std::string outside_text(const std::string& whose, const std::vector<Point3>& points, const Shape3& shape);

}  // namespace regatta
