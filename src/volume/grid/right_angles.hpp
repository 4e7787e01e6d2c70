// The 48 ways in which the axes of a grid can be exchanged and reversed.
#pragma once

#include <array>
#include <string>
#include <vector>

namespace regatta {

using Linear = std::array<double, 9>;  ///< 3x3, row-major

Linear product(const Linear& a, const Linear& b);

/// Reverses one axis.
Linear mirror_of(std::size_t axis);

/// The 24 turns by right angles, first the one that changes nothing; with their mirror images they are all 48.
std::vector<Linear> right_angles();

/// The letter of the other end: L for R.
char opposite(char letter);

/// The orientation code of a scan whose content lies at turn * x where that of others, which have the code
/// `orientation`, lies at x.
std::string code_of(const Linear& turn, const std::string& orientation);

/// The axis that runs between left and right.
std::size_t side_axis(const std::string& orientation);

}  // namespace regatta
