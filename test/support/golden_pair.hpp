// The pair of models.md's evaluation numbers: an analytic field and two label maps on 40x48x44.
#pragma once

#include <string>

#include "regatta/nn/metric.hpp"

namespace regatta::test {

/// Three waves of 2, 1.5 and 2.5 voxels times `factor`; at 3 it folds 40 % of the volume. [1, 3, 40, 48, 44] float32
at::Tensor golden_field(double factor);

/// Field, a ball of label 1 and a flattened one of label 2 in both volumes; label 3 is in none.
PairState golden_pair(double factor);

/// The value of that name; a failed test if there is none.
double named(const Measured& measured, const std::string& name);

Measured measure(const std::string& metric, const PairState& pair);

}  // namespace regatta::test
