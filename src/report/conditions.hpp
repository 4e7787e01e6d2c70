// What trials of several sweeps must have in common before their numbers can be compared.
#pragma once

#include <string>
#include <vector>

#include "report/read_sweep.hpp"

namespace regatta {

/// Differences between sweeps that make their values incomparable: data, images, validation split, length of the
/// training. What a sweep varies itself is none. One text for each: "length of training: a has 10 epochs, b has 20
/// epochs".
std::vector<std::string> condition_differences(const std::vector<SweepRows>& sweeps);

}  // namespace regatta
