#include "volume/inspect/label_places.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include "volume/grid/right_angles.hpp"
#include "volume/grid/robust.hpp"

namespace regatta {
namespace {

/// Centres about their mean; `use` names the labels that count.
std::vector<Point3> centred(const LabelPlaces& places, const std::vector<std::size_t>& use) {
  Point3 mean{};
  for (const std::size_t label : use) {
    for (std::size_t axis = 0; axis < 3; ++axis) {
      mean[axis] += places.centres[label][axis] / static_cast<double>(use.size());
    }
  }
  std::vector<Point3> out;
  for (const std::size_t label : use) {
    const Point3& p = places.centres[label];
    out.push_back({p[0] - mean[0], p[1] - mean[1], p[2] - mean[2]});
  }
  return out;
}

Point3 turned_point(const Linear& turn, const Point3& p) {
  return {turn[0] * p[0] + turn[1] * p[1] + turn[2] * p[2], turn[3] * p[0] + turn[4] * p[1] + turn[5] * p[2],
          turn[6] * p[0] + turn[7] * p[1] + turn[8] * p[2]};
}

double correlation_of_places(const std::vector<Point3>& a, const std::vector<Point3>& b, const Linear& turn) {
  double aa = 0, bb = 0, ab = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const Point3 t = turned_point(turn, b[i]);
    for (std::size_t axis = 0; axis < 3; ++axis) {
      aa += a[i][axis] * a[i][axis];
      bb += t[axis] * t[axis];
      ab += a[i][axis] * t[axis];
    }
  }
  return aa > 0 && bb > 0 ? ab / std::sqrt(aa * bb) : 0.0;
}

/// Whether the places lie in more than one direction: a line fits its own turns too well to tell them apart.
bool are_spread_out(const std::vector<Point3>& places) {
  constexpr double kMostAlongALine =
      0.85;  // sum of squared eigenvalues by the squared sum: second one 0.3^2 of the first
  std::array<double, 9> moments{};
  for (const Point3& p : places) {
    for (std::size_t i = 0; i < 9; ++i) {
      moments[i] += p[i / 3] * p[i % 3];
    }
  }
  const double trace = moments[0] + moments[4] + moments[8];
  double squares = 0.0;
  for (const double moment : moments) {
    squares += moment * moment;
  }
  return squares < kMostAlongALine * trace * trace;
}

/// Labels that at least half of the labelled subjects have.
std::vector<bool> usual_labels(std::span<const LabelPlaces> subjects, std::size_t labels, std::size_t labelled) {
  std::vector<bool> usual(labels, false);
  for (std::size_t label = 0; label < labels; ++label) {
    const auto have = std::count_if(subjects.begin(), subjects.end(),
                                    [&](const LabelPlaces& s) { return label < s.present.size() && s.present[label]; });
    usual[label] = 2 * static_cast<std::size_t>(have) >= labelled;
  }
  return usual;
}

}  // namespace

std::vector<PlacesVerdict> check_label_places(std::span<const LabelPlaces> subjects, const std::string& orientation) {
  std::vector<PlacesVerdict> out(subjects.size());
  std::size_t labels = 0;
  std::size_t labelled = 0;
  for (const LabelPlaces& s : subjects) {
    labels = std::max(labels, s.present.size());
    labelled += std::count(s.present.begin(), s.present.end(), true) > 0 ? 1 : 0;
  }
  if (labelled < kLeastLabelled) {
    return out;
  }
  const std::vector<bool> usual = usual_labels(subjects, labels, labelled);
  std::vector<std::vector<std::size_t>> use(subjects.size());
  std::vector<std::array<std::vector<double>, 3>> found(labels);
  for (std::size_t i = 0; i < subjects.size(); ++i) {
    for (std::size_t label = 0; label < subjects[i].present.size(); ++label) {
      if (subjects[i].present[label] && usual[label]) {
        use[i].push_back(label);
      }
    }
    const std::vector<Point3> places = centred(subjects[i], use[i]);
    for (std::size_t k = 0; k < use[i].size(); ++k) {
      for (std::size_t axis = 0; axis < 3; ++axis) {
        found[use[i][k]][axis].push_back(places[k][axis]);
      }
    }
  }
  LabelPlaces middle;  // the usual places
  for (const auto& axes : found) {
    middle.centres.push_back({median_of(axes[0]), median_of(axes[1]), median_of(axes[2])});
  }
  const Linear mirror = mirror_of(side_axis(orientation));
  const std::vector<Linear> turns = right_angles();
  for (std::size_t i = 0; i < subjects.size(); ++i) {
    if (use[i].size() < kLeastPlaces) {
      continue;
    }
    PlacesVerdict& v = out[i];
    const std::vector<Point3> places = centred(subjects[i], use[i]);
    const std::vector<Point3> expected = centred(middle, use[i]);
    v.judged = true;
    v.as_is = correlation_of_places(places, expected, turns.front());
    v.mirrored = correlation_of_places(places, expected, mirror);
    v.best_other = -1.0;
    for (std::size_t k = 1; k < turns.size(); ++k) {
      for (const Linear& turn : {turns[k], product(turns[k], mirror)}) {
        if (const double fit = correlation_of_places(places, expected, turn); fit > v.best_other) {
          v.best_other = fit;
          v.best_code = code_of(turn, orientation);
        }
      }
    }
    const bool spread_out = are_spread_out(expected);
    const double symmetry = correlation_of_places(expected, expected, mirror);
    const bool sides = symmetry < (spread_out ? kMostSymmetricPlaces : kMostAlongSides);
    v.wrong_axes = spread_out && v.best_other > std::max(v.as_is, v.mirrored) + kPlacesMargin;
    v.sides_exchanged = sides && !v.wrong_axes && v.mirrored > v.as_is + kPlacesMargin;
  }
  return out;
}

}  // namespace regatta
