// Which subjects are registered to which: the pair rules, folds for cross-validation, and no subject in two splits.
#pragma once

#include <vector>

#include "regatta/volume/dataset.hpp"

namespace regatta {

/// Pairs in the order train, val, test, then train0, val0, train1, ... of the folds.
/// @throws ConfigError with the JSON pointer: a rule without pairs, unknown ids, fewer groups than folds, a group whose
///         scans lie in two splits, a listed pair that trains on what another split is kept for
std::vector<ArchivePair> make_pairs(const std::vector<SubjectEntry>& subjects, const DatasetOptions& options);

/// @throws ConfigError for an id that no subject has
std::int64_t subject_index(const std::vector<SubjectEntry>& subjects, const std::string& id,
                           const std::string& pointer);

/// Atlases belong to no split. A subject that others are aligned to is not one for that alone.
bool is_atlas(const SubjectEntry& subject, const DatasetOptions& options);

/// The subject that all are aligned to. @throws ConfigError if the options and splits name none or several
std::int64_t affine_atlas_of(const std::vector<SubjectEntry>& subjects, const DatasetOptions& options);

}  // namespace regatta
