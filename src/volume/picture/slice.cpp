#include "volume/picture/slice.hpp"

#include <algorithm>
#include <cmath>

namespace regatta {
namespace {

/// Between which two voxels of an axis a place lies, and how far from the first.
struct Between {
  std::size_t low = 0;
  std::size_t high = 0;
  double part = 0.0;
};

Between place_between(double place, std::int64_t length) {
  const double x = std::clamp(place, 0.0, static_cast<double>(length - 1));
  const auto low = static_cast<std::int64_t>(x);
  return {static_cast<std::size_t>(low), static_cast<std::size_t>(std::min(low + 1, length - 1)),
          x - static_cast<double>(low)};
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

std::vector<float> SliceView::values(const std::function<float(std::size_t)>& value_of) const {
  const std::array<std::int64_t, 3> stride = {shape_[1] * shape_[2], shape_[2], 1};
  const auto columns = static_cast<std::size_t>(shape_[across_]);
  std::vector<float> out(static_cast<std::size_t>(shape_[down_]) * columns);
  const bool down_first = stride[down_] < stride[across_];  // neighbours in memory one after the other
  const std::size_t inner = down_first ? down_ : across_;
  const std::size_t outer = down_first ? across_ : down_;
  for (std::int64_t i = 0; i < shape_[outer]; ++i) {
    for (std::int64_t k = 0; k < shape_[inner]; ++k) {
      const auto row = static_cast<std::size_t>(down_first ? k : i);
      const auto column = static_cast<std::size_t>(down_first ? i : k);
      out[row * columns + column] =
          value_of(static_cast<std::size_t>(cut_ * stride[normal_] + i * stride[outer] + k * stride[inner]));
    }
  }
  return out;
}

Canvas SliceView::grey(const std::function<float(std::size_t)>& value_of) const {
  const std::vector<float> slice = values(value_of);
  const auto columns = static_cast<std::size_t>(shape_[across_]);
  std::vector<Between> acrosses;
  for (int x = 0; x < width_; ++x) {
    acrosses.push_back(place_between(voxel(x, 0)[across_], shape_[across_]));
  }
  Canvas canvas(width_, height_);
  for (int y = 0; y < height_; ++y) {
    const Between down = place_between(voxel(0, y)[down_], shape_[down_]);
    for (int x = 0; x < width_; ++x) {
      const Between& across = acrosses[static_cast<std::size_t>(x)];
      const auto along = [&](std::size_t row) {
        return (1.0 - across.part) * double{slice[row * columns + across.low]} +
               across.part * double{slice[row * columns + across.high]};
      };
      const double value = (1.0 - down.part) * along(down.low) + down.part * along(down.high);
      const auto level = static_cast<std::uint8_t>(std::lround(255.0 * std::clamp(value, 0.0, 1.0)));
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
