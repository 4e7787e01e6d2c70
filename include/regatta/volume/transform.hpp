// Maps of space: chains of affines and displacement fields, from a point of the fixed scan to the point of the moving
// scan that lies there, and what is made of them: their inverse, one field, warped images and points. Files of them
// are read by transform_file.hpp. All points are RAS millimetres.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "regatta/volume/geometry.hpp"
#include "regatta/volume/resample.hpp"

namespace regatta {

/// A displacement beyond a point's reach is none: within the field of view of its grid (half a voxel beyond the outer
/// voxels' centres) a point moves by the field's linear interpolation, elsewhere it stays, as in ITK.
struct SpaceField {
  Grid grid;
  Affine to_index{};          ///< RAS millimetres to voxels of `grid`
  std::vector<float> voxels;  ///< [3, D, H, W], voxels of `grid`, components in the order D, H, W
};

/// Where a point comes to lie.
struct MappedPoint {
  Point3 point{};
  bool found = true;         ///< false: an inverted field takes no point there; `point` is the closest that was found
  double residual_mm = 0.0;  ///< of inverted fields: how far from where it should come the point found is mapped
};

/// Points whose inverse is off by more have none.
inline constexpr double kInverseTolerance = 0.01;  ///< of the field's smallest spacing

class Transform {
 public:
  /// The identity.
  Transform() = default;

  static Transform of_affine(const Affine& fixed_to_moving);

  /// @param field  [3, D, H, W] on `grid`, in its voxels, components in the order D, H, W, pull-back
  static Transform of_field(const Grid& grid, std::vector<float> field);

  /// What comes after: `next` maps what this one gives.
  void append(const Transform& next);

  /// From moving to fixed. Fields are inverted point by point, by Newton's iteration.
  Transform inverse() const;

  MappedPoint map(const Point3& point) const;

  bool has_inverted_field() const;

  /// Of a chain of affines alone, their product; nothing of others.
  std::optional<Affine> as_affine() const;

  /// Of the first field in the chain; nullptr without one.
  const Grid* first_grid() const;

 private:
  struct Part {
    Affine affine{};
    std::shared_ptr<const SpaceField> field;  ///< none: the affine
    bool inverted = false;
  };

  std::vector<Part> parts_;  ///< the first is applied first
};

/// A chain as one field, and how well an inverse was met.
struct ComposedField {
  std::vector<float> field;  ///< [3, D, H, W] on the grid, in its voxels
  std::int64_t missing = 0;  ///< voxels that no point is mapped to; they hold the closest that was found
  double mean_residual_mm = 0.0;
  double largest_residual_mm = 0.0;  ///< both of the voxels that are not missing
};

/// @param threads  0: all cores that the process may use; the result does not depend on it
ComposedField compose_field(const Transform& transform, const Grid& grid, int threads = 0);

struct WarpedVolume {
  std::vector<float> voxels;
  std::int64_t outside = 0;  ///< voxels that show nothing of the moving scan
};

/// The moving volume seen from `fixed`: out(x) = moving(T(x)).
/// @param outside  where T(x) lies beyond the moving volume's field of view, or is missing
WarpedVolume warp_image(const Transform& transform, std::span<const float> moving, const Grid& moving_grid,
                        const Grid& fixed, Interpolation interpolation, float outside = 0.0F, int threads = 0);

struct WarpedLabels {
  std::vector<std::int32_t> labels;
  std::int64_t outside = 0;  ///< as of WarpedVolume; 0 there
};

/// kVote: the label with the largest linear weight of the eight voxels about the point, of equal ones the smallest; as
/// warping each label's mask linearly and taking the largest.
enum class LabelSampling { kNearest, kVote };

WarpedLabels warp_labels(const Transform& transform, std::span<const std::int32_t> moving, const Grid& moving_grid,
                         const Grid& fixed, LabelSampling rule, int threads = 0);

}  // namespace regatta
