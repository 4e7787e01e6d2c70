#include "slice.hpp"

#include <algorithm>
#include <cmath>

namespace regatta {
namespace {

float linear_value(const std::function<float(std::size_t)>& voxel, const Shape3& shape, const Point3& p) {
  double sum = 0.0;
  std::array<std::int64_t, 3> low{};
  Point3 part{};
  for (std::size_t axis = 0; axis < 3; ++axis) {
    const double x = std::clamp(p[axis], 0.0, static_cast<double>(shape[axis] - 1));
    low[axis] = static_cast<std::int64_t>(x);
    part[axis] = x - static_cast<double>(low[axis]);
  }
  for (unsigned corner = 0; corner < 8; ++corner) {
    double weight = 1.0;
    std::array<std::int64_t, 3> at{};
    for (std::size_t axis = 0; axis < 3; ++axis) {
      const bool upper = ((corner >> axis) & 1U) != 0;
      weight *= upper ? part[axis] : 1.0 - part[axis];
      at[axis] = std::min(low[axis] + (upper ? 1 : 0), shape[axis] - 1);
    }
    if (weight > 0.0) {
      sum += weight * double{voxel(static_cast<std::size_t>((at[0] * shape[1] + at[1]) * shape[2] + at[2]))};
    }
  }
  return static_cast<float>(sum);
}

std::uint8_t nearest_label(std::span<const std::uint8_t> labels, const Shape3& shape, const Point3& p) {
  std::array<std::int64_t, 3> at{};
  for (std::size_t axis = 0; axis < 3; ++axis) {
    at[axis] = std::clamp<std::int64_t>(std::lround(p[axis]), 0, shape[axis] - 1);
  }
  return labels[static_cast<std::size_t>((at[0] * shape[1] + at[1]) * shape[2] + at[2])];
}

}  // namespace

const char* plane_name(Plane plane) {
  switch (plane) {
    case Plane::kSagittal: return "sagittal";
    case Plane::kCoronal: return "coronal";
    case Plane::kAxial: return "axial";
  }
  return "";
}

SliceView::SliceView(Plane plane, const Shape3& shape, const Spacing3& spacing, const std::string& orientation,
                     double pixels_per_mm)
    : shape_(shape) {
  // Voxel axis, and whether it runs backwards, of left-to-right, back-to-front and bottom-to-top.
  const AxisMap anatomy = axes_to(affine_of_orientation(orientation), "RAS");
  const std::size_t across = plane == Plane::kSagittal ? 1 : 0;
  const std::size_t up = plane == Plane::kAxial ? 1 : 2;
  across_ = static_cast<std::size_t>(anatomy.source[across]);
  down_ = static_cast<std::size_t>(anatomy.source[up]);
  normal_ = 3 - across_ - down_;
  cut_ = shape[normal_] / 2;
  across_back_ = anatomy.flip[across];
  down_back_ = !anatomy.flip[up];  // pictures count from the top
  across_scale_ = pixels_per_mm * spacing[across_];
  down_scale_ = pixels_per_mm * spacing[down_];
  width_ = std::max(1, static_cast<int>(std::lround(static_cast<double>(shape[across_]) * across_scale_)));
  height_ = std::max(1, static_cast<int>(std::lround(static_cast<double>(shape[down_]) * down_scale_)));
}

Point3 SliceView::voxel(double x, double y) const {
  const double a = (x + 0.5) / across_scale_ - 0.5;
  const double b = (y + 0.5) / down_scale_ - 0.5;
  Point3 p{};
  p[across_] = across_back_ ? static_cast<double>(shape_[across_] - 1) - a : a;
  p[down_] = down_back_ ? static_cast<double>(shape_[down_] - 1) - b : b;
  p[normal_] = static_cast<double>(cut_);
  return p;
}

std::array<double, 2> SliceView::pixel(const Point3& voxel) const {
  const double a = across_back_ ? static_cast<double>(shape_[across_] - 1) - voxel[across_] : voxel[across_];
  const double b = down_back_ ? static_cast<double>(shape_[down_] - 1) - voxel[down_] : voxel[down_];
  return {(a + 0.5) * across_scale_ - 0.5, (b + 0.5) * down_scale_ - 0.5};
}

Canvas SliceView::grey(const std::function<float(std::size_t)>& value_of) const {
  Canvas canvas(width_, height_);
  for (int y = 0; y < height_; ++y) {
    for (int x = 0; x < width_; ++x) {
      const float value = std::clamp(linear_value(value_of, shape_, voxel(x, y)), 0.0F, 1.0F);
      const auto level = static_cast<std::uint8_t>(std::lround(255.0F * value));
      canvas.set(x, y, {level, level, level});
    }
  }
  return canvas;
}

void SliceView::outline(Canvas& canvas, std::span<const std::uint8_t> labels) const {
  for (int y = 0; y < height_; ++y) {
    for (int x = 0; x < width_; ++x) {
      const std::uint8_t here = nearest_label(labels, shape_, voxel(x, y));
      const std::uint8_t right = nearest_label(labels, shape_, voxel(x + 1, y));
      const std::uint8_t below = nearest_label(labels, shape_, voxel(x, y + 1));
      if (here != right || here != below) {
        canvas.blend(x, y, label_color(std::max({here, right, below})), 0.8);
      }
    }
  }
}

double slice_scale(const Shape3& shape, const Spacing3& spacing, int pixels) {
  double longest = 0.0;
  for (std::size_t axis = 0; axis < 3; ++axis) {
    longest = std::max(longest, static_cast<double>(shape[axis]) * spacing[axis]);
  }
  return pixels / longest;
}

Rgb label_color(int value) {
  if (value == 0) {
    return {128, 128, 128};
  }
  // Hues by the golden angle: neighbours in number are far apart in colour.
  const double hue = std::fmod(0.61803398875 * value, 1.0) * 6.0;
  const double ramp = 1.0 - std::abs(std::fmod(hue, 2.0) - 1.0);
  constexpr std::array<std::array<int, 3>, 6> kOrder = {
      {{2, 1, 0}, {1, 2, 0}, {0, 2, 1}, {0, 1, 2}, {1, 0, 2}, {2, 0, 1}}};
  const std::array<double, 3> level = {0.25, 0.25 + 0.75 * ramp, 1.0};
  Rgb color{};
  for (std::size_t c = 0; c < 3; ++c) {
    const auto which = static_cast<std::size_t>(kOrder[static_cast<std::size_t>(hue) % 6][c]);
    color[c] = static_cast<std::uint8_t>(std::lround(255.0 * level[which]));
  }
  return color;
}

}  // namespace regatta
