// Slices of a volume as pictures: which voxel each pixel shows, in the usual upright views.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "regatta/volume/geometry.hpp"
#include "volume/picture/canvas.hpp"

namespace regatta {

enum class Plane { kSagittal, kCoronal, kAxial };

inline constexpr Plane kPlanes[] = {Plane::kSagittal, Plane::kCoronal, Plane::kAxial};

const char* plane_name(Plane plane);

/// The map from pixels of one slice to voxel indices of a packed grid: the middle slice, until it is cut elsewhere.
class SliceView {
 public:
  /// @param pixels_per_mm  scale, equal for all planes
  SliceView(Plane plane, const Shape3& shape, const Spacing3& spacing, const std::string& orientation,
            double pixels_per_mm);

  int width() const { return width_; }
  int height() const { return height_; }

  /// Shows the slice through this voxel.
  void cut_at(const Shape3& voxel) { cut_ = voxel[normal_]; }

  /// Voxel index (with fractions) that the centre of a pixel shows.
  Point3 voxel(double x, double y) const;

  /// Pixel coordinates of a voxel index projected on the plane.
  std::array<double, 2> pixel(const Point3& voxel) const;

  /// Voxel axes that run across and down the picture.
  std::array<std::size_t, 2> axes() const { return {across_, down_}; }

  std::size_t normal() const { return normal_; }

  /// Grey picture. @param value_of  value_of(i): voxel number i of [D, H, W], 0..1
  Canvas grey(const std::function<float(std::size_t)>& value_of) const;
  Canvas grey(std::span<const float> voxels) const {
    return grey([voxels](std::size_t i) { return voxels[i]; });
  }

  /// Draws the borders between label values over a picture of the same slice. @param labels  [D, H, W]
  void outline(Canvas& canvas, std::span<const std::uint8_t> labels) const;

 private:
  /// The slice's voxels, [down, across].
  std::vector<float> values(const std::function<float(std::size_t)>& value_of) const;

  Shape3 shape_;
  std::size_t across_ = 0;
  std::size_t down_ = 0;
  std::size_t normal_ = 0;
  std::int64_t cut_ = 0;      // index of the slice along the normal
  bool across_back_ = false;  // pixel index grows against the voxel index
  bool down_back_ = false;
  double across_scale_ = 1.0;  // pixels a voxel
  double down_scale_ = 1.0;
  int width_ = 0;
  int height_ = 0;
};

/// Pixels a millimetre so that the longest edge of the grid has about `pixels`.
double slice_scale(const Shape3& shape, const Spacing3& spacing, int pixels);

/// A colour for a label value, far from those of its neighbours; grey for 0.
Rgb label_color(int value);

}  // namespace regatta
