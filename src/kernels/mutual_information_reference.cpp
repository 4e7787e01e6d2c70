#include <algorithm>
#include <cmath>

#include "kernels/mutual_information_form.hpp"

namespace regatta::kernels {
namespace {

/// The bins' weights of an intensity, and their derivatives with respect to it.
struct Membership {
  std::vector<double> weights, slopes;

  Membership(double intensity, const ParzenPair& pair) {
    const auto bins = static_cast<std::size_t>(pair.bins);
    const double steps = pair.bins - 1;
    const double at = std::isnan(intensity) ? intensity : std::clamp(intensity, 0.0, 1.0) * steps;
    const double narrowness = 1.0 / (pair.sigma_ratio * pair.sigma_ratio);
    const double nearest = at - std::round(at);
    double sum = 0.0;
    for (std::size_t k = 0; k < bins; ++k) {
      const double distance = at - static_cast<double>(k);
      weights.push_back(std::exp(-0.5 * narrowness * (distance * distance - nearest * nearest)));
      sum += weights.back();
    }
    double mean = 0.0;  // of the exponents' derivatives
    for (std::size_t k = 0; k < bins; ++k) {
      weights[k] /= sum;
      mean -= weights[k] * narrowness * (at - static_cast<double>(k)) * steps;
    }
    const bool inside = intensity >= 0.0 && intensity <= 1.0;
    for (std::size_t k = 0; k < bins; ++k) {
      const double slope = -narrowness * (at - static_cast<double>(k)) * steps - mean;
      slopes.push_back(inside ? weights[k] * slope : 0.0);
    }
  }
};

/// The information of a joint histogram, [bins, bins], that adds up to 1. Overwrites it with the derivatives.
double information(std::vector<double>& p, std::size_t bins) {
  std::vector<double> rows(bins);
  std::vector<double> columns(bins);
  for (std::size_t j = 0; j < bins; ++j) {
    for (std::size_t k = 0; k < bins; ++k) {
      rows[j] += p[j * bins + k];
      columns[k] += p[j * bins + k];
    }
  }
  std::vector<double> to_rows(bins);
  std::vector<double> to_columns(bins);
  double sum = 0.0;
  for (std::size_t j = 0; j < bins; ++j) {
    for (std::size_t k = 0; k < bins; ++k) {
      double& at = p[j * bins + k];
      const double independent = rows[j] * columns[k] + kInformationFloor;
      const double inner = at / independent + kInformationFloor;
      const double to_independent = -at * at / (inner * independent * independent);
      sum += at * std::log(inner);
      to_rows[j] += to_independent * columns[k];
      to_columns[k] += to_independent * rows[j];
      at = std::log(inner) + at / (inner * independent);
    }
  }
  for (std::size_t j = 0; j < bins; ++j) {
    for (std::size_t k = 0; k < bins; ++k) {
      p[j * bins + k] += to_rows[j] + to_columns[k];
    }
  }
  return sum;
}

/// Indexes of a group's voxels; -1: a zero beside the volume.
using Group = std::vector<std::int64_t>;

std::vector<Group> groups_of(const VolumeSize& size, int edge) {
  std::vector<Group> groups;
  if (edge == 0) {
    for (std::int64_t n = 0; n < size.n; ++n) {
      Group& group = groups.emplace_back();
      for (std::int64_t i = 0; i < size.voxels(); ++i) {
        group.push_back(n * size.voxels() + i);
      }
    }
    return groups;
  }
  const CubeAxis d = cube_axis(size.d, edge);
  const CubeAxis h = cube_axis(size.h, edge);
  const CubeAxis w = cube_axis(size.w, edge);
  for (std::int64_t cube = 0; cube < cube_count(size, edge); ++cube) {
    const std::int64_t first_w = cube % w.cubes * edge - w.before;
    const std::int64_t first_h = cube / w.cubes % h.cubes * edge - h.before;
    const std::int64_t first_d = cube / (w.cubes * h.cubes) % d.cubes * edge - d.before;
    const std::int64_t n = cube / (w.cubes * h.cubes * d.cubes);
    Group& group = groups.emplace_back();
    for (std::int64_t i = 0; i < std::int64_t{edge} * edge * edge; ++i) {
      const std::int64_t z = first_d + i / edge / edge;
      const std::int64_t y = first_h + i / edge % edge;
      const std::int64_t x = first_w + i % edge;
      const bool inside = z >= 0 && z < size.d && y >= 0 && y < size.h && x >= 0 && x < size.w;
      group.push_back(inside ? n * size.voxels() + z * size.plane() + y * size.w + x : -1);
    }
  }
  return groups;
}

double intensity_of(const float* image, std::int64_t voxel) {
  return voxel < 0 ? 0.0 : static_cast<double>(image[voxel]);
}

}  // namespace

double mutual_information_reference(const ParzenPair& pair, int edge, std::vector<double>* to_fixed,
                                    std::vector<double>* to_warped) {
  for (std::vector<double>* to : {to_fixed, to_warped}) {
    if (to != nullptr) {
      to->assign(static_cast<std::size_t>(pair.size.all()), 0.0);
    }
  }
  const auto bins = static_cast<std::size_t>(pair.bins);
  const std::vector<Group> groups = groups_of(pair.size, edge);
  double sum = 0.0;
  for (const Group& group : groups) {
    std::vector<double> p(bins * bins);
    for (const std::int64_t i : group) {
      const Membership a(intensity_of(pair.fixed, i), pair);
      const Membership b(intensity_of(pair.warped, i), pair);
      for (std::size_t j = 0; j < bins * bins; ++j) {
        p[j] += a.weights[j / bins] * b.weights[j % bins] / static_cast<double>(group.size());
      }
    }
    sum += information(p, bins);
    const double share = -1.0 / (static_cast<double>(groups.size()) * static_cast<double>(group.size()));
    for (const std::int64_t i : group) {
      if (i < 0 || (to_fixed == nullptr && to_warped == nullptr)) {
        continue;
      }
      const Membership a(intensity_of(pair.fixed, i), pair);
      const Membership b(intensity_of(pair.warped, i), pair);
      for (std::size_t j = 0; j < bins * bins; ++j) {
        if (to_fixed != nullptr) {
          (*to_fixed)[static_cast<std::size_t>(i)] += share * p[j] * a.slopes[j / bins] * b.weights[j % bins];
        }
        if (to_warped != nullptr) {
          (*to_warped)[static_cast<std::size_t>(i)] += share * p[j] * a.weights[j / bins] * b.slopes[j % bins];
        }
      }
    }
  }
  return -sum / static_cast<double>(groups.size());
}

std::size_t mutual_information_scratch_bytes(const VolumeSize& size) {
  return static_cast<std::size_t>(size.n) * kParzenTable * (kParzenBlocks * sizeof(float) + sizeof(double));
}

std::size_t mutual_information_slope_count(const VolumeSize& size) {
  return static_cast<std::size_t>(size.n) * kParzenTable;
}

std::size_t local_mutual_information_scratch_bytes(const VolumeSize& size, int edge) {
  return static_cast<std::size_t>((cube_count(size, edge) + kCubesOfBlock - 1) / kCubesOfBlock) * sizeof(double);
}

}  // namespace regatta::kernels
