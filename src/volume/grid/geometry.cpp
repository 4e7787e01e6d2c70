#include "regatta/volume/geometry.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <limits>
#include <string_view>

#include "regatta/base/error.hpp"

namespace regatta {
namespace {

constexpr std::string_view kPositive = "RAS";
constexpr std::string_view kNegative = "LPI";

/// World axis (0 R, 1 A, 2 S) and sign of each letter; false if it is not an orientation code.
bool parse_orientation(const std::string& code, std::array<int, 3>& world, std::array<bool, 3>& negative) {
  if (code.size() != 3) {
    return false;
  }
  std::array<bool, 3> seen{};
  for (std::size_t axis = 0; axis < 3; ++axis) {
    const std::size_t up = kPositive.find(code[axis]);
    const std::size_t down = kNegative.find(code[axis]);
    if (up == std::string_view::npos && down == std::string_view::npos) {
      return false;
    }
    negative[axis] = up == std::string_view::npos;
    const std::size_t direction = negative[axis] ? down : up;
    world[axis] = static_cast<int>(direction);
    if (seen[direction]) {
      return false;
    }
    seen[direction] = true;
  }
  return true;
}

/// For each voxel axis the world axis it runs along and whether against it.
void closest_axes(const Affine& a, std::array<int, 3>& world, std::array<bool, 3>& negative) {
  const Spacing3 length = spacing_of(a);
  std::array<int, 3> order = {0, 1, 2};
  double best = -1.0;
  do {
    double sum = 0.0;
    for (std::size_t axis = 0; axis < 3; ++axis) {
      sum += std::abs(a[static_cast<std::size_t>(order[axis]) * 4 + axis]) / length[axis];
    }
    if (sum > best + 1e-9) {
      best = sum;
      world = order;
    }
  } while (std::next_permutation(order.begin(), order.end()));
  for (std::size_t axis = 0; axis < 3; ++axis) {
    negative[axis] = a[static_cast<std::size_t>(world[axis]) * 4 + axis] < 0.0;
  }
}

}  // namespace

std::int64_t voxel_count(const Shape3& shape) {
  return shape[0] * shape[1] * shape[2];
}

std::string shape_text(const Shape3& shape) {
  return join(shape, "x");
}

std::string spacing_text(const Spacing3& spacing) {
  char text[96];
  std::snprintf(text, sizeof text, "%.6gx%.6gx%.6g", spacing[0], spacing[1], spacing[2]);
  return text;
}

Affine identity_affine() {
  return {1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1};
}

Affine multiply(const Affine& a, const Affine& b) {
  Affine out{};
  for (std::size_t row = 0; row < 4; ++row) {
    for (std::size_t column = 0; column < 4; ++column) {
      for (std::size_t k = 0; k < 4; ++k) {
        out[row * 4 + column] += a[row * 4 + k] * b[k * 4 + column];
      }
    }
  }
  return out;
}

Point3 map_point(const Affine& a, const Point3& p) {
  return {a[0] * p[0] + a[1] * p[1] + a[2] * p[2] + a[3], a[4] * p[0] + a[5] * p[1] + a[6] * p[2] + a[7],
          a[8] * p[0] + a[9] * p[1] + a[10] * p[2] + a[11]};
}

Point3 map_vector(const Affine& a, const Point3& v) {
  return {a[0] * v[0] + a[1] * v[1] + a[2] * v[2], a[4] * v[0] + a[5] * v[1] + a[6] * v[2],
          a[8] * v[0] + a[9] * v[1] + a[10] * v[2]};
}

Affine invert(const Affine& a) {
  REGATTA_REQUIRE(is_usable(a), DataError, "affine ", join(a, " "), ": singular or not finite, cannot be inverted");
  const double scale = 1.0 / determinant(a);
  Affine out = identity_affine();
  out[0] = (a[5] * a[10] - a[6] * a[9]) * scale;
  out[1] = (a[2] * a[9] - a[1] * a[10]) * scale;
  out[2] = (a[1] * a[6] - a[2] * a[5]) * scale;
  out[4] = (a[6] * a[8] - a[4] * a[10]) * scale;
  out[5] = (a[0] * a[10] - a[2] * a[8]) * scale;
  out[6] = (a[2] * a[4] - a[0] * a[6]) * scale;
  out[8] = (a[4] * a[9] - a[5] * a[8]) * scale;
  out[9] = (a[1] * a[8] - a[0] * a[9]) * scale;
  out[10] = (a[0] * a[5] - a[1] * a[4]) * scale;
  const Point3 shift = map_vector(out, {a[3], a[7], a[11]});
  out[3] = -shift[0];
  out[7] = -shift[1];
  out[11] = -shift[2];
  return out;
}

double determinant(const Affine& a) {
  return a[0] * (a[5] * a[10] - a[6] * a[9]) - a[1] * (a[4] * a[10] - a[6] * a[8]) + a[2] * (a[4] * a[9] - a[5] * a[8]);
}

bool is_usable(const Affine& a) {
  if (!std::all_of(a.begin(), a.end(), [](double value) { return std::isfinite(value); })) {
    return false;
  }
  if (a[12] != 0.0 || a[13] != 0.0 || a[14] != 0.0 || a[15] != 1.0) {
    return false;
  }
  const Spacing3 length = spacing_of(a);
  const double box = length[0] * length[1] * length[2];
  return std::isnormal(box) && std::abs(determinant(a)) / box >= 1e-4;
}

Spacing3 spacing_of(const Affine& a) {
  Spacing3 out{};
  for (std::size_t axis = 0; axis < 3; ++axis) {
    out[axis] = std::sqrt(a[axis] * a[axis] + a[4 + axis] * a[4 + axis] + a[8 + axis] * a[8 + axis]);
  }
  return out;
}

Affine nearest_right_angled(const Affine& a, const Shape3& shape) {
  const Spacing3 length = spacing_of(a);
  Affine turn = identity_affine();  // the axes, of length 1
  for (std::size_t row = 0; row < 3; ++row) {
    for (std::size_t axis = 0; axis < 3; ++axis) {
      turn[row * 4 + axis] = a[row * 4 + axis] / length[axis];
    }
  }
  for (int round = 0; round < 40; ++round) {  // Newton's iteration, quadratic: the mean with the inverse's transpose
    const Affine inverse = invert(turn);
    double change = 0.0;
    for (std::size_t row = 0; row < 3; ++row) {
      for (std::size_t axis = 0; axis < 3; ++axis) {
        const double next = 0.5 * (turn[row * 4 + axis] + inverse[axis * 4 + row]);
        change = std::max(change, std::abs(next - turn[row * 4 + axis]));
        turn[row * 4 + axis] = next;
      }
    }
    if (change < 1e-15) {
      break;
    }
  }
  Affine out = identity_affine();
  Point3 middle{};
  for (std::size_t axis = 0; axis < 3; ++axis) {
    middle[axis] = static_cast<double>(shape[axis] - 1) / 2.0;
    for (std::size_t row = 0; row < 3; ++row) {
      out[row * 4 + axis] = turn[row * 4 + axis] * length[axis];
    }
  }
  const Point3 wanted = map_point(a, middle);
  const Point3 offset = map_vector(out, middle);
  for (std::size_t row = 0; row < 3; ++row) {
    out[row * 4 + 3] = wanted[row] - offset[row];
  }
  return out;
}

double largest_shift(const Affine& a, const Affine& b, const Shape3& shape) {
  const Affine back = invert(a);
  double largest = 0.0;
  for (int corner = 0; corner < 8; ++corner) {
    Point3 p{};
    for (std::size_t axis = 0; axis < 3; ++axis) {
      p[axis] = ((corner >> axis) & 1) != 0 ? static_cast<double>(shape[axis] - 1) : 0.0;
    }
    const Point3 q = map_point(back, map_point(b, p));
    for (std::size_t axis = 0; axis < 3; ++axis) {
      const double shift = std::abs(q[axis] - p[axis]);
      if (!(shift <= largest)) {
        largest = std::isnan(shift) ? std::numeric_limits<double>::infinity() : shift;
      }
    }
  }
  return largest;
}

bool same_grid(const Affine& a, const Affine& b, const Shape3& shape, double tolerance) {
  return largest_shift(a, b, shape) <= tolerance;
}

std::string orientation_of(const Affine& a) {
  std::array<int, 3> world{};
  std::array<bool, 3> negative{};
  closest_axes(a, world, negative);
  std::string code(3, ' ');
  for (std::size_t axis = 0; axis < 3; ++axis) {
    const auto letter = static_cast<std::size_t>(world[axis]);
    code[axis] = negative[axis] ? kNegative[letter] : kPositive[letter];
  }
  return code;
}

bool is_orientation(const std::string& code) {
  std::array<int, 3> world{};
  std::array<bool, 3> negative{};
  return parse_orientation(code, world, negative);
}

Affine affine_of_orientation(const std::string& code) {
  std::array<int, 3> world{};
  std::array<bool, 3> negative{};
  REGATTA_REQUIRE(parse_orientation(code, world, negative), ConfigError, "orientation '", one_line(code, 20),
                  "': expected three letters, one each of R|L, A|P and S|I");
  Affine out{};
  for (std::size_t axis = 0; axis < 3; ++axis) {
    out[static_cast<std::size_t>(world[axis]) * 4 + axis] = negative[axis] ? -1.0 : 1.0;
  }
  out[15] = 1.0;
  return out;
}

AxisMap axes_to(const Affine& a, const std::string& code) {
  std::array<int, 3> wanted{};
  std::array<bool, 3> wanted_negative{};
  REGATTA_REQUIRE(parse_orientation(code, wanted, wanted_negative), ConfigError, "orientation '", one_line(code, 20),
                  "': expected three letters, one each of R|L, A|P and S|I");
  std::array<int, 3> world{};
  std::array<bool, 3> negative{};
  closest_axes(a, world, negative);
  AxisMap map;
  for (std::size_t axis = 0; axis < 3; ++axis) {
    const auto found = std::find(world.begin(), world.end(), wanted[axis]);
    const auto source = static_cast<std::size_t>(found - world.begin());
    map.source[axis] = static_cast<int>(source);
    map.flip[axis] = negative[source] != wanted_negative[axis];
  }
  return map;
}

}  // namespace regatta
