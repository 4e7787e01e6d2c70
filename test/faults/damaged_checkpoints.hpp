// What a training does with checkpoints that are flipped, cut and damaged.
#pragma once

#include "faults/training_run.hpp"

namespace regatta::faults {

Row bit_flips(const Options& options, const Whole& whole);
Row truncations(const Options& options, const Whole& whole);
Row all_but_the_oldest(const Options& options, const Whole& whole);
Row all_damaged(const Options& options, const Whole& whole);

}  // namespace regatta::faults
