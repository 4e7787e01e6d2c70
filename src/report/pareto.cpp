#include "regatta/report/pareto.hpp"

#include <algorithm>
#include <cstddef>

namespace regatta {
namespace {

/// Those that no other dominates, each value once.
std::vector<Losses> non_dominated(std::vector<Losses> points) {
  std::sort(points.begin(), points.end());
  points.erase(std::unique(points.begin(), points.end()), points.end());
  std::vector<Losses> kept;
  for (const Losses& point : points) {
    if (std::none_of(kept.begin(), kept.end(), [&](const Losses& other) { return dominates(other, point); })) {
      kept.push_back(point);  // in lexical order nothing later dominates it
    }
  }
  return kept;
}

/// By slices along the last objective. @param points  all better than the reference at every objective
double sliced_volume(std::vector<Losses> points, const Losses& reference) {
  points = non_dominated(std::move(points));
  if (points.empty()) {
    return 0.0;
  }
  const std::size_t last = reference.size() - 1;
  if (last == 0) {
    return reference[0] - points.front()[0];
  }
  std::sort(points.begin(), points.end(), [last](const Losses& a, const Losses& b) { return a[last] < b[last]; });
  const Losses below(reference.begin(), reference.end() - 1);
  std::vector<Losses> slice;
  double volume = 0.0;
  for (std::size_t i = 0; i < points.size(); ++i) {
    slice.emplace_back(points[i].begin(), points[i].end() - 1);
    const double height = (i + 1 < points.size() ? points[i + 1][last] : reference[last]) - points[i][last];
    if (height > 0.0) {
      volume += height * sliced_volume(slice, below);
    }
  }
  return volume;
}

bool reaches(const Losses& point, const Losses& reference) {
  for (std::size_t i = 0; i < reference.size(); ++i) {
    if (point[i] >= reference[i]) {
      return false;
    }
  }
  return true;
}

}  // namespace

bool dominates(const Losses& a, const Losses& b) {
  bool better = false;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (a[i] > b[i]) {
      return false;
    }
    better = better || a[i] < b[i];
  }
  return better;
}

std::vector<int> fronts_of(const std::vector<Losses>& points) {
  std::vector<int> fronts(points.size(), 0);
  std::size_t left = points.size();
  for (int front = 1; left > 0; ++front) {
    std::vector<std::size_t> found;
    for (std::size_t i = 0; i < points.size(); ++i) {
      bool dominated = fronts[i] != 0;
      for (std::size_t other = 0; other < points.size() && !dominated; ++other) {
        dominated = fronts[other] == 0 && dominates(points[other], points[i]);
      }
      if (!dominated) {
        found.push_back(i);
      }
    }
    for (const std::size_t i : found) {
      fronts[i] = front;
    }
    left -= found.size();
  }
  return fronts;
}

double hypervolume(const std::vector<Losses>& points, const Losses& reference) {
  std::vector<Losses> reaching;
  std::copy_if(points.begin(), points.end(), std::back_inserter(reaching),
               [&](const Losses& point) { return reaches(point, reference); });
  return sliced_volume(std::move(reaching), reference);
}

std::vector<double> hypervolume_contributions(const std::vector<Losses>& points, const Losses& reference) {
  std::vector<double> contributions(points.size(), 0.0);
  for (std::size_t i = 0; i < points.size(); ++i) {
    if (!reaches(points[i], reference)) {
      continue;
    }
    double box = 1.0;
    for (std::size_t k = 0; k < reference.size(); ++k) {
      box *= reference[k] - points[i][k];
    }
    std::vector<Losses> inside;  // of the others, what lies in the box of this point
    for (std::size_t other = 0; other < points.size(); ++other) {
      if (other == i) {
        continue;
      }
      Losses corner = points[other];
      for (std::size_t k = 0; k < corner.size(); ++k) {
        corner[k] = std::max(corner[k], points[i][k]);
      }
      inside.push_back(std::move(corner));
    }
    contributions[i] = std::max(0.0, box - hypervolume(inside, reference));
  }
  return contributions;
}

}  // namespace regatta
