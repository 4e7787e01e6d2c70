#include "volume/grid/right_angles.hpp"

#include <algorithm>
#include <cmath>

namespace regatta {

char opposite(char letter) {
  const std::string letters = "RLAPSI";
  return letters[letters.find(letter) ^ 1U];
}

Linear product(const Linear& a, const Linear& b) {
  Linear out{};
  for (std::size_t i = 0; i < 3; ++i) {
    for (std::size_t j = 0; j < 3; ++j) {
      for (std::size_t k = 0; k < 3; ++k) {
        out[3 * i + j] += a[3 * i + k] * b[3 * k + j];
      }
    }
  }
  return out;
}

Linear mirror_of(std::size_t axis) {
  Linear out = {1, 0, 0, 0, 1, 0, 0, 0, 1};
  out[4 * axis] = -1;
  return out;
}

std::vector<Linear> right_angles() {
  std::vector<Linear> out;
  std::array<std::size_t, 3> order = {0, 1, 2};
  do {
    for (unsigned signs = 0; signs < 8; ++signs) {
      Linear turn{};
      for (std::size_t axis = 0; axis < 3; ++axis) {
        turn[3 * order[axis] + axis] = ((signs >> axis) & 1U) != 0 ? -1.0 : 1.0;
      }
      const double determinant = turn[0] * (turn[4] * turn[8] - turn[5] * turn[7]) -
                                 turn[1] * (turn[3] * turn[8] - turn[5] * turn[6]) +
                                 turn[2] * (turn[3] * turn[7] - turn[4] * turn[6]);
      if (determinant > 0.0) {
        out.push_back(turn);
      }
    }
  } while (std::next_permutation(order.begin(), order.end()));
  return out;
}

std::string code_of(const Linear& turn, const std::string& orientation) {
  std::string code = orientation;
  for (std::size_t axis = 0; axis < 3; ++axis) {
    for (std::size_t stored = 0; stored < 3; ++stored) {
      if (std::abs(turn[3 * stored + axis]) > 0.5) {
        code[stored] = turn[3 * stored + axis] > 0 ? orientation[axis] : opposite(orientation[axis]);
      }
    }
  }
  return code;
}

std::size_t side_axis(const std::string& orientation) {
  return orientation.find_first_of("RL");
}

}  // namespace regatta
