#include <algorithm>
#include <array>

#include "kernels/field_form.hpp"
#include "kernels/field_penalty_form.hpp"

namespace regatta::kernels {
namespace {

using Steps = std::array<std::int64_t, 3>;  ///< from a voxel to its successor along each axis

/// Calls visit(volume's first element, voxel) for those at least `before` from the first and `after` from the last.
template <class Visit>
void visit_inner(const VolumeSize& size, std::int64_t before, std::int64_t after, Visit visit) {
  for (std::int64_t n = 0; n < size.n; ++n) {
    for (std::int64_t d = before; d < size.d - after; ++d) {
      for (std::int64_t h = before; h < size.h - after; ++h) {
        for (std::int64_t w = before; w < size.w - after; ++w) {
          visit(3 * n * size.voxels(), (d * size.h + h) * size.w + w);
        }
      }
    }
  }
}

double folding(const std::vector<float>& flow, const VolumeSize& size, std::vector<double>* to_flow) {
  const Steps steps = {size.plane(), size.w, 1};
  const double share = 1.0 / inner_voxels(FieldPenalty::kFolding, size);
  double loss = 0.0;
  visit_inner(size, 0, 1, [&](std::int64_t volume, std::int64_t i) {
    double j[3][3];
    for (int c = 0; c < 3; ++c) {
      for (int axis = 0; axis < 3; ++axis) {
        const auto here = static_cast<std::size_t>(volume + c * size.voxels() + i);
        const auto next = here + static_cast<std::size_t>(steps[static_cast<std::size_t>(axis)]);
        j[c][axis] = static_cast<double>(flow[next]) - static_cast<double>(flow[here]) + (c == axis ? 1.0 : 0.0);
      }
    }
    const auto cofactor = [&](int c, int axis) {
      const int a = (c + 1) % 3;
      const int b = (c + 2) % 3;
      const int x = (axis + 1) % 3;
      const int y = (axis + 2) % 3;
      return j[a][x] * j[b][y] - j[a][y] * j[b][x];
    };
    const double determinant = j[0][0] * cofactor(0, 0) + j[0][1] * cofactor(0, 1) + j[0][2] * cofactor(0, 2);
    loss += determinant > 0.0 ? 0.0 : -share * determinant;
    for (int c = 0; c < 3 && to_flow != nullptr && determinant < 0.0; ++c) {
      for (int axis = 0; axis < 3; ++axis) {
        const auto here = static_cast<std::size_t>(volume + c * size.voxels() + i);
        (*to_flow)[here + static_cast<std::size_t>(steps[static_cast<std::size_t>(axis)])] -= share * cofactor(c, axis);
        (*to_flow)[here] += share * cofactor(c, axis);
      }
    }
  });
  return loss;
}

double bending(const std::vector<float>& flow, const VolumeSize& size, std::vector<double>* to_flow) {
  const Steps steps = {size.plane(), size.w, 1};
  const double share = 1.0 / (3.0 * inner_voxels(FieldPenalty::kBending, size));
  double loss = 0.0;
  visit_inner(size, 2, 2, [&](std::int64_t volume, std::int64_t i) {
    for (std::int64_t c = 0; c < 3; ++c) {
      for (const std::int64_t a : steps) {
        for (const std::int64_t b : steps) {
          const std::int64_t here = volume + c * size.voxels() + i;
          const std::array<std::int64_t, 4> at = {here + a + b, here + a - b, here - a + b, here - a - b};
          constexpr std::array<double, 4> kParts = {0.25, -0.25, -0.25, 0.25};
          double second = 0.0;
          for (std::size_t k = 0; k < 4; ++k) {
            second += kParts[k] * static_cast<double>(flow[static_cast<std::size_t>(at[k])]);
          }
          loss += share * second * second;
          for (std::size_t k = 0; k < 4 && to_flow != nullptr; ++k) {
            (*to_flow)[static_cast<std::size_t>(at[k])] += 2.0 * share * second * kParts[k];
          }
        }
      }
    }
  });
  return loss;
}

}  // namespace

std::size_t field_penalty_scratch_bytes(FieldPenalty penalty, const VolumeSize& size) {
  const FieldGrid grid = field_grid(size, kPenaltyPlanes);
  const std::int64_t components = penalty == FieldPenalty::kBending ? 3 : 1;
  return static_cast<std::size_t>(grid.x * grid.y * grid.z * components) * sizeof(double);
}

double field_penalty_reference(FieldPenalty penalty, const std::vector<float>& flow, const VolumeSize& size,
                               std::vector<double>* to_flow) {
  if (to_flow != nullptr) {
    to_flow->assign(flow.size(), 0.0);
  }
  return penalty == FieldPenalty::kFolding ? folding(flow, size, to_flow) : bending(flow, size, to_flow);
}

}  // namespace regatta::kernels
