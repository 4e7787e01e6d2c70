#include "regatta/kernels/compose.hpp"

#include <cmath>

#include "kernels/trilinear_reference.hpp"

namespace regatta::kernels {
namespace {

/// Calls visit(volume, voxel).
template <class Visit>
void visit_voxels(const VolumeSize& size, Visit visit) {
  const std::int64_t voxels = size.voxels();
  for (std::int64_t n = 0; n < size.n; ++n) {
    for (std::int64_t p = 0; p < voxels; ++p) {
      visit(n, p);
    }
  }
}

std::size_t component(const VolumeSize& size, std::int64_t n, std::size_t c, std::int64_t p) {
  return static_cast<std::size_t>((3 * n + static_cast<std::int64_t>(c)) * size.voxels() + p);
}

std::array<double, 3> displacement_of(const std::vector<double>& field, const VolumeSize& size, std::int64_t n,
                                      std::int64_t p) {
  return {field[component(size, n, 0, p)], field[component(size, n, 1, p)], field[component(size, n, 2, p)]};
}

}  // namespace

std::vector<double> compose_reference(const std::vector<double>& outer, const std::vector<double>& inner,
                                      const VolumeSize& size, Outside outside, bool add_inner) {
  std::vector<double> field(inner.size(), 0.0);
  visit_voxels(size, [&](std::int64_t n, std::int64_t p) {
    const std::array<double, 3> u = displacement_of(inner, size, n, p);
    for (std::size_t c = 0; c < 3; ++c) {
      double value = add_inner ? u[c] : 0.0;
      visit_corners(p, u, size, outside,
                    [&](const Corner& corner) { value += corner.weight * outer[component(size, n, c, corner.voxel)]; });
      field[component(size, n, c, p)] = value;
    }
  });
  return field;
}

ComposeGradients compose_gradient_reference(const std::vector<double>& outer, const std::vector<double>& inner,
                                            const std::vector<double>& to_field, const VolumeSize& size,
                                            Outside outside, bool add_inner) {
  ComposeGradients out = {std::vector<double>(outer.size(), 0.0), std::vector<double>(inner.size(), 0.0)};
  visit_voxels(size, [&](std::int64_t n, std::int64_t p) {
    const std::array<double, 3> g = displacement_of(to_field, size, n, p);
    for (std::size_t c = 0; c < 3; ++c) {
      out.to_inner[component(size, n, c, p)] += add_inner ? g[c] : 0.0;
    }
    visit_corners(p, displacement_of(inner, size, n, p), size, outside, [&](const Corner& corner) {
      for (std::size_t c = 0; c < 3; ++c) {
        out.to_outer[component(size, n, c, corner.voxel)] += corner.weight * g[c];
        for (std::size_t axis = 0; axis < 3; ++axis) {
          out.to_inner[component(size, n, axis, p)] +=
              corner.changes[axis] * g[c] * outer[component(size, n, c, corner.voxel)];
        }
      }
    });
  });
  return out;
}

std::vector<double> squaring_reference(const std::vector<float>& velocity, const VolumeSize& size, int steps,
                                       bool scale, Outside outside, const std::vector<double>& to_field,
                                       std::vector<double>* to_velocity) {
  const double factor = scale ? std::ldexp(1.0, -steps) : 1.0;
  std::vector<std::vector<double>> fields(1);
  for (const float value : velocity) {
    fields[0].push_back(factor * value);
  }
  for (int step = 0; step < steps; ++step) {
    fields.push_back(compose_reference(fields.back(), fields.back(), size, outside, true));
  }
  if (!to_field.empty()) {
    std::vector<double> gradient = to_field;
    for (std::size_t step = fields.size() - 1; step > 0; --step) {
      const ComposeGradients parts =
          compose_gradient_reference(fields[step - 1], fields[step - 1], gradient, size, outside, true);
      for (std::size_t i = 0; i < gradient.size(); ++i) {
        gradient[i] = parts.to_outer[i] + parts.to_inner[i];
      }
    }
    for (double& value : gradient) {
      value *= factor;
    }
    *to_velocity = std::move(gradient);
  }
  return fields.back();
}

}  // namespace regatta::kernels
