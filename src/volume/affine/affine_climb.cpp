// Enhanced correlation coefficient maximisation (Evangelidis and Psarakis 2008) in three dimensions: a Gauss-Newton
// step for the correlation of two images, which needs no line search and does not care about gain and offset.
#include "volume/affine/affine_climb.hpp"

#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>
#include <vector>

#include "volume/grid/parallel.hpp"

namespace regatta {
namespace {

constexpr int kParameters = 12;      ///< the nine of the matrix, row by row, then the translation
constexpr double kRadius_mm = 60.0;  ///< matrix entries are scaled by it, so that all parameters move points alike

using Vector = std::array<double, kParameters>;
using Matrix = std::array<double, kParameters * kParameters>;

/// Sums over the points where both images are known: t fixed, w moving, j derivative of w by the parameters.
struct Sums {
  double n = 0, masked = 0, t = 0, w = 0, tt = 0, ww = 0, tw = 0;
  Vector j{}, jt{}, jw{};
  Matrix jj{};  ///< upper triangle

  void add(const Sums& other) {
    n += other.n;
    masked += other.masked;
    t += other.t;
    w += other.w;
    tt += other.tt;
    ww += other.ww;
    tw += other.tw;
    for (std::size_t a = 0; a < kParameters; ++a) {
      j[a] += other.j[a];
      jt[a] += other.jt[a];
      jw[a] += other.jw[a];
    }
    for (std::size_t i = 0; i < jj.size(); ++i) {
      jj[i] += other.jj[i];
    }
  }

  double overlap() const { return masked > 0 ? n / masked : 0.0; }

  /// Pearson correlation; 0 where it is not defined.
  double ncc() const {
    if (n < 2) {
      return 0.0;
    }
    const double var_t = tt - t * t / n;
    const double var_w = ww - w * w / n;
    return var_t > 0 && var_w > 0 ? (tw - t * w / n) / std::sqrt(var_t * var_w) : 0.0;
  }
};

/// Trilinear value and its gradient by the voxel index; nothing outside the outer voxel centres.
struct Sample {
  double value = 0.0;
  Point3 gradient{};
};

std::optional<Sample> sample(const Level& level, const Point3& p) {
  std::array<std::int64_t, 3> low{};
  Point3 f{};
  for (std::size_t axis = 0; axis < 3; ++axis) {
    const auto last = level.grid.shape[axis] - 1;
    if (!(p[axis] >= 0.0 && p[axis] <= static_cast<double>(last)) || last < 1) {
      return std::nullopt;
    }
    low[axis] = std::min(static_cast<std::int64_t>(p[axis]), last - 1);
    f[axis] = p[axis] - static_cast<double>(low[axis]);
  }
  const std::int64_t row = level.grid.shape[2];
  const std::int64_t slab = level.grid.shape[1] * row;
  const float* v = level.values.data() + low[0] * slab + low[1] * row + low[2];
  const double v000 = v[0], v001 = v[1], v010 = v[row], v011 = v[row + 1];
  const double v100 = v[slab], v101 = v[slab + 1], v110 = v[slab + row], v111 = v[slab + row + 1];
  const double a00 = v000 + f[2] * (v001 - v000), a01 = v010 + f[2] * (v011 - v010);
  const double a10 = v100 + f[2] * (v101 - v100), a11 = v110 + f[2] * (v111 - v110);
  const double b0 = a00 + f[1] * (a01 - a00), b1 = a10 + f[1] * (a11 - a10);
  Sample s;
  s.value = b0 + f[0] * (b1 - b0);
  s.gradient[0] = b1 - b0;
  s.gradient[1] = (1 - f[0]) * (a01 - a00) + f[0] * (a11 - a10);
  s.gradient[2] = (1 - f[0]) * ((1 - f[1]) * (v001 - v000) + f[1] * (v011 - v010)) +
                  f[0] * ((1 - f[1]) * (v101 - v100) + f[1] * (v111 - v110));
  return s;
}

/// The sums of one slice of the fixed level.
Sums sums_of_slice(const Level& fixed, const Level& moving, const Map& map, const Affine& to_moving, std::int64_t d,
                   bool with_derivatives) {
  Sums s;
  const Shape3& shape = fixed.grid.shape;
  std::size_t index = static_cast<std::size_t>(d * shape[1] * shape[2]);
  for (std::int64_t h = 0; h < shape[1]; ++h) {
    for (std::int64_t w = 0; w < shape[2]; ++w, ++index) {
      if (fixed.mask[index] == 0) {
        continue;
      }
      ++s.masked;
      const Point3 x =
          map_point(fixed.grid.affine, {static_cast<double>(d), static_cast<double>(h), static_cast<double>(w)});
      const auto found = sample(moving, map_point(to_moving, map(x)));
      if (!found) {
        continue;
      }
      const double t = fixed.values[index];
      const double v = found->value;
      ++s.n;
      s.t += t;
      s.w += v;
      s.tt += t * t;
      s.ww += v * v;
      s.tw += t * v;
      if (!with_derivatives) {
        continue;
      }
      Point3 g{};  // by millimetres
      for (std::size_t i = 0; i < 3; ++i) {
        g[i] = to_moving[i] * found->gradient[0] + to_moving[4 + i] * found->gradient[1] +
               to_moving[8 + i] * found->gradient[2];
      }
      Vector j{};
      for (std::size_t i = 0; i < 3; ++i) {
        for (std::size_t k = 0; k < 3; ++k) {
          j[3 * i + k] = g[i] * (x[k] - map.centre[k]) / kRadius_mm;
        }
        j[9 + i] = g[i];
      }
      for (std::size_t a = 0; a < kParameters; ++a) {
        s.j[a] += j[a];
        s.jt[a] += j[a] * t;
        s.jw[a] += j[a] * v;
        for (std::size_t b = a; b < kParameters; ++b) {
          s.jj[a * kParameters + b] += j[a] * j[b];
        }
      }
    }
  }
  return s;
}

/// Slices are summed one by one and added in their order: the same for any number of threads.
Sums sums_of(const Level& fixed, const Level& moving, const Map& map, bool with_derivatives, int threads) {
  const Affine to_moving = invert(moving.grid.affine);
  std::vector<Sums> slices(static_cast<std::size_t>(fixed.grid.shape[0]));
  parallel_for(fixed.grid.shape[0], threads, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t d = begin; d < end; ++d) {
      slices[static_cast<std::size_t>(d)] = sums_of_slice(fixed, moving, map, to_moving, d, with_derivatives);
    }
  });
  Sums all;
  for (const Sums& slice : slices) {
    all.add(slice);
  }
  return all;
}

/// Directions in the space of the twelve parameters that an iteration may take, as columns.
using Directions = std::vector<Vector>;

/// All twelve.
Directions affine_directions() {
  Directions all(kParameters);
  for (std::size_t i = 0; i < kParameters; ++i) {
    all[i][i] = 1.0;
  }
  return all;
}

/// Three turns, one scale, three translations: dA = (turn or 1) A.
Directions similarity_directions(const Map& map) {
  Directions all(7);
  const auto& a = map.linear;
  constexpr std::array<std::pair<std::size_t, std::size_t>, 3> kPlanes = {{{1, 2}, {2, 0}, {0, 1}}};
  for (std::size_t turn = 0; turn < 3; ++turn) {
    const auto [p, q] = kPlanes[turn];
    for (std::size_t k = 0; k < 3; ++k) {
      all[turn][3 * p + k] = -a[3 * q + k];
      all[turn][3 * q + k] = a[3 * p + k];
    }
  }
  std::copy(a.begin(), a.end(), all[3].begin());
  for (std::size_t i = 0; i < 3; ++i) {
    all[4 + i][9 + i] = 1.0;
  }
  return all;
}

/// Solves h x = b for symmetric positive h (Cholesky). @return false if it is not
bool solve(std::vector<double> h, std::vector<double>& x) {
  const std::size_t n = x.size();
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t j = 0; j <= i; ++j) {
      double sum = h[i * n + j];
      for (std::size_t k = 0; k < j; ++k) {
        sum -= h[i * n + k] * h[j * n + k];
      }
      if (i == j) {
        if (!(sum > 0.0)) {
          return false;
        }
        h[i * n + i] = std::sqrt(sum);
      } else {
        h[i * n + j] = sum / h[j * n + j];
      }
    }
  }
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t k = 0; k < i; ++k) {
      x[i] -= h[i * n + k] * x[k];
    }
    x[i] /= h[i * n + i];
  }
  for (std::size_t i = n; i-- > 0;) {
    for (std::size_t k = i + 1; k < n; ++k) {
      x[i] -= h[k * n + i] * x[k];
    }
    x[i] /= h[i * n + i];
  }
  return true;
}

double dot(const std::vector<double>& a, const std::vector<double>& b) {
  double sum = 0.0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    sum += a[i] * b[i];
  }
  return sum;
}

/// The step of the twelve parameters that should bring the correlation to its maximum; nothing if there is none.
std::optional<Vector> ecc_step(const Sums& s, const Directions& directions) {
  if (s.n < 100) {
    return std::nullopt;
  }
  const std::size_t n = directions.size();
  const auto centred = [&](std::size_t a, std::size_t b) {
    return s.jj[std::min(a, b) * kParameters + std::max(a, b)] - s.j[a] * s.j[b] / s.n;
  };
  std::vector<double> h(n * n);
  std::vector<double> bt(n);
  std::vector<double> bw(n);
  for (std::size_t p = 0; p < n; ++p) {
    for (std::size_t a = 0; a < kParameters; ++a) {
      const double da = directions[p][a];
      if (da == 0.0) {
        continue;
      }
      bt[p] += da * (s.jt[a] - s.j[a] * s.t / s.n);
      bw[p] += da * (s.jw[a] - s.j[a] * s.w / s.n);
      for (std::size_t q = 0; q < n; ++q) {
        for (std::size_t b = 0; b < kParameters; ++b) {
          h[p * n + q] += da * centred(a, b) * directions[q][b];
        }
      }
    }
  }
  double trace = 0.0;
  for (std::size_t p = 0; p < n; ++p) {
    trace += h[p * n + p];
  }
  for (std::size_t p = 0; p < n; ++p) {
    h[p * n + p] += 1e-6 * trace / static_cast<double>(n);
  }
  std::vector<double> ht = bt;
  std::vector<double> hw = bw;
  if (!solve(h, ht) || !solve(h, hw)) {
    return std::nullopt;
  }
  const double tw = s.tw - s.t * s.w / s.n;
  const double ww = s.ww - s.w * s.w / s.n;
  const double denominator = tw - dot(bt, hw);
  double lambda = 0.0;
  if (denominator > 0.0) {
    lambda = (ww - dot(bw, hw)) / denominator;
  } else {
    const double btt = dot(bt, ht);
    if (!(btt > 0.0)) {
      return std::nullopt;
    }
    lambda = std::max(std::sqrt(std::max(dot(bw, hw), 0.0) / btt), (dot(bt, hw) - tw) / btt);
  }
  Vector step{};
  for (std::size_t p = 0; p < n; ++p) {
    const double along = lambda * ht[p] - hw[p];
    for (std::size_t a = 0; a < kParameters; ++a) {
      step[a] += along * directions[p][a];
    }
  }
  return step;
}

Map moved(const Map& map, const Vector& step, double share) {
  Map next = map;
  for (std::size_t i = 0; i < 9; ++i) {
    next.linear[i] += share * step[i] / kRadius_mm;
  }
  for (std::size_t i = 0; i < 3; ++i) {
    next.shift[i] += share * step[9 + i];
  }
  return next;
}

/// Farthest that a step moves a point at kRadius_mm from the centre, in mm.
double length_of(const Vector& step) {
  double length = 0.0;
  for (std::size_t i = 0; i < 3; ++i) {
    const double row = std::hypot(step[3 * i], step[3 * i + 1], step[3 * i + 2]) + std::abs(step[9 + i]);
    length = std::max(length, row);
  }
  return length;
}

/// Correlation that a map is worth: one that loses the scan out of its field of view is worth nothing.
double worth(const Sums& sums) {
  return sums.overlap() >= kLeastOverlap ? sums.ncc() : -1.0;
}

}  // namespace

Match match_of(const Level& fixed, const Level& moving, const Map& map, int threads) {
  const Sums sums = sums_of(fixed, moving, map, false, threads);
  return {sums.ncc(), sums.overlap()};
}

Climb climb(const Level& fixed, const Level& moving, const Map& start, bool similarity, int most, int threads) {
  const double enough_mm = 0.01 * spacing_of(fixed.grid.affine)[0];
  Climb at{start, -2.0, 0.0, 0};
  Sums sums = sums_of(fixed, moving, at.map, true, threads);
  at.ncc = worth(sums);
  at.overlap = sums.overlap();
  while (at.iterations < most) {
    const auto step = ecc_step(sums, similarity ? similarity_directions(at.map) : affine_directions());
    if (!step) {
      break;
    }
    ++at.iterations;
    bool better = false;
    for (double share = 1.0; share > 0.1 && !better; share *= 0.5) {
      const Map next = moved(at.map, *step, share);
      const Sums there = sums_of(fixed, moving, next, true, threads);
      better = worth(there) > at.ncc;
      if (better) {
        at.map = next;
        at.ncc = worth(there);
        at.overlap = there.overlap();
        sums = there;
      }
    }
    if (!better || length_of(*step) < enough_mm) {
      break;
    }
  }
  return at;
}

}  // namespace regatta
