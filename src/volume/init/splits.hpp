// Splits and pairs of a found set.
#pragma once

#include "volume/layouts/layout.hpp"

namespace regatta {

/// Gives every subject without a split one: a group validates if the hash of its name is below `val`, so that further
/// subjects do not move others. Where that leaves too few (one group; two where pairs are between groups), the groups
/// of the lowest hashes do.
void draw_splits(FoundSet& found, double val);

/// The pairs of the data set file. Pairs of the set whose subjects are in different splits are dropped with a note.
/// Where the set names none: the atlas onto everybody, or all ordered pairs to train on and a ring of pairs to validate
/// on (each subject once moving, once fixed).
/// @throws DataError if there is no pair to train or to validate on
PairRule choose_pairs(FoundSet& found);

}  // namespace regatta
