// Which subjects' scans are looked at together, and whose grid they share where scans lie where their headers say.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "regatta/volume/dataset.hpp"

namespace regatta {

/// For each subject the one whose packed grid it shares: subjects are joined by pairs and by groups; of those that are
/// joined it is the pairs' atlas, else the first fixed scan, else the first subject.
std::vector<std::int64_t> space_references(const std::vector<SubjectEntry>& subjects, const DatasetOptions& options,
                                           const std::vector<ArchivePair>& pairs);

/// Of each subject the packed grid of the one that it shares; none where it is that one itself. Headers are read, and
/// the voxels of those shared grids that are centred on a foreground.
/// @param options  with the shape settled
/// @throws DataError naming the first subject whose file does not say where the scan lies
std::vector<std::optional<Grid>> shared_grids(const DatasetFile& dataset, const PreprocessOptions& options,
                                              int threads);

}  // namespace regatta
