// Splits and pairs of a found set.
#pragma once

#include "volume/layouts/layout.hpp"

namespace regatta {

/// Gives every subject without a split one: a group validates if the hash of its name is below `val`, so that further
/// subjects hardly move others. Where these are fewer subjects than `val` of them (rounded), or too few to validate on
/// (one group; two where pairs are between groups), the groups of the next higher hashes do as well.
void draw_splits(FoundSet& found, double val);

/// Of a set of two scans, with which nothing can be trained: both are of split test, and paired as listed, with the
/// atlas onto the other, or both ways.
PairRule settle_one_pair(FoundSet& found);

/// The pairs of the data set file. Pairs of the set whose subjects are in different splits are dropped with a note.
/// Where the set names none: the atlas onto everybody, or all ordered pairs to train on and a ring of pairs to validate
/// on (each subject once moving, once fixed). Paths of pairs' key-points stay relative to the tree.
/// @throws DataError if there is no pair to train or to validate on
PairRule choose_pairs(FoundSet& found);

}  // namespace regatta
