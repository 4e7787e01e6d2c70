// The picture of one registration.
#include "regatta/volume/qc.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

#include "regatta/base/error.hpp"
#include "volume/picture/sheet.hpp"

namespace regatta {
namespace {

constexpr int kRegistrationPixels = 260;  // of the grid's longest edge

std::vector<float> difference(std::span<const float> a, std::span<const float> b) {
  std::vector<float> out(a.size());
  std::transform(a.begin(), a.end(), b.begin(), out.begin(), [](float x, float y) { return std::abs(x - y); });
  return out;
}

/// The grid x + u(x) of one slice: lines of equal voxel index, every `every` voxels.
Canvas grid_picture(const SliceView& view, std::span<const float> field, const Shape3& shape, std::int64_t every) {
  Canvas canvas(view.width(), view.height(), {12, 12, 16});
  const std::int64_t voxels = voxel_count(shape);
  const auto moved = [&](Shape3 at) {
    const std::int64_t index = (at[0] * shape[1] + at[1]) * shape[2] + at[2];
    Point3 p{};
    for (std::size_t c = 0; c < 3; ++c) {
      p[c] = static_cast<double>(at[c]) +
             double{field[static_cast<std::size_t>(static_cast<std::int64_t>(c) * voxels + index)]};
    }
    return view.pixel(p);
  };
  const auto axes = view.axes();
  for (std::size_t which = 0; which < 2; ++which) {
    const std::size_t along = axes[which];
    const std::size_t fixed = axes[1 - which];
    for (std::int64_t line = every / 2; line < shape[fixed]; line += every) {
      Shape3 at{};
      at[view.normal()] = shape[view.normal()] / 2;
      at[fixed] = line;
      auto last = moved(at);
      for (at[along] = 1; at[along] < shape[along]; ++at[along]) {
        const auto next = moved(at);
        canvas.line(last[0], last[1], next[0], next[1], {120, 210, 255});
        last = next;
      }
    }
  }
  return canvas;
}

/// Whether the determinant of the Jacobian of x + u(x) is not positive, by central differences, one-sided at borders.
bool folds_at(std::span<const float> field, const Shape3& shape, const Shape3& at) {
  const std::int64_t voxels = voxel_count(shape);
  double jacobian[3][3];
  for (std::size_t axis = 0; axis < 3; ++axis) {
    Shape3 low = at;
    Shape3 high = at;
    low[axis] = std::max<std::int64_t>(at[axis] - 1, 0);
    high[axis] = std::min(at[axis] + 1, shape[axis] - 1);
    const auto distance = static_cast<double>(std::max<std::int64_t>(high[axis] - low[axis], 1));
    const std::int64_t first = (low[0] * shape[1] + low[1]) * shape[2] + low[2];
    const std::int64_t last = (high[0] * shape[1] + high[1]) * shape[2] + high[2];
    for (std::size_t c = 0; c < 3; ++c) {
      const auto of_component = static_cast<std::int64_t>(c) * voxels;
      const double difference = double{field[static_cast<std::size_t>(of_component + last)]} -
                                double{field[static_cast<std::size_t>(of_component + first)]};
      jacobian[c][axis] = difference / distance + (c == axis ? 1.0 : 0.0);
    }
  }
  const auto& j = jacobian;
  return j[0][0] * (j[1][1] * j[2][2] - j[1][2] * j[2][1]) - j[0][1] * (j[1][0] * j[2][2] - j[1][2] * j[2][0]) +
             j[0][2] * (j[1][0] * j[2][1] - j[1][1] * j[2][0]) <=
         0.0;
}

/// Red where the slice's voxels fold.
void mark_folds(Canvas& canvas, const SliceView& view, std::span<const float> field, const Shape3& shape) {
  constexpr Rgb kFold = {255, 45, 45};
  for (int y = 0; y < view.height(); ++y) {
    for (int x = 0; x < view.width(); ++x) {
      const Point3 p = view.voxel(x, y);
      Shape3 at{};
      for (std::size_t axis = 0; axis < 3; ++axis) {
        at[axis] = std::clamp<std::int64_t>(std::lround(p[axis]), 0, shape[axis] - 1);
      }
      if (folds_at(field, shape, at)) {
        canvas.blend(x, y, kFold, 0.85);
      }
    }
  }
}

/// Which way is which: the planes' order and directions are those of `make_views`.
void mark_sides(Canvas& canvas, bool sagittal) {
  const int y = canvas.height() / 2 - kCellHeight;
  canvas.text(2, y, sagittal ? "P" : "L", kWarning, 2);
  canvas.text(canvas.width() - 2 * kCellWidth, y, sagittal ? "A" : "R", kWarning, 2);
}

}  // namespace

void registration_qc(const std::filesystem::path& path, std::span<const float> fixed, std::span<const float> moving,
                     std::span<const float> warped, std::span<const float> field, const Shape3& shape,
                     const Spacing3& spacing, const std::string& orientation, const std::string& title) {
  const std::int64_t voxels = voxel_count(shape);
  for (const std::size_t size : {fixed.size(), moving.size(), warped.size(), field.size() / 3}) {
    REGATTA_REQUIRE(static_cast<std::int64_t>(size) == voxels, BugError, "registration_qc: ", size, " voxels for ",
                    shape_text(shape));
  }
  const auto views = make_views(shape, spacing, orientation, kRegistrationPixels);
  int column = 0;
  const int top = kGap + (title.empty() ? 0 : 2 * kCellHeight + kGap);
  int height = top + kGap + kCellHeight;
  for (const SliceView& view : views) {
    column = std::max(column, view.width());
    height += view.height() + kGap;
  }
  const std::vector<float> before = difference(fixed, moving);
  const std::vector<float> after = difference(fixed, warped);
  constexpr int kColumns = 6;
  const char* const titles[kColumns] = {"fixed",        "moving", "warped", "|fixed - moving|", "|fixed - warped|",
                                        "deformed grid"};
  Canvas sheet(kGap + kColumns * (column + kGap), height, kPaper);
  sheet.text(kGap, kGap, fit(title, sheet.width() - 2 * kGap, 2), kInk, 2);
  for (int i = 0; i < kColumns; ++i) {
    sheet.text(kGap + i * (column + kGap), top, fit(titles[i], column), kInk);
  }
  const std::int64_t every = std::max<std::int64_t>(2, *std::max_element(shape.begin(), shape.end()) / 32);
  int y = top + kCellHeight + kGap;
  for (const SliceView& view : views) {
    Canvas pictures[kColumns] = {view.grey(fixed),  view.grey(moving), view.grey(warped),
                                 view.grey(before), view.grey(after),  grid_picture(view, field, shape, every)};
    mark_folds(pictures[2], view, field, shape);
    mark_folds(pictures[kColumns - 1], view, field, shape);
    mark_sides(pictures[0], &view == &views.front());
    for (int i = 0; i < kColumns; ++i) {
      sheet.paste(pictures[i], kGap + i * (column + kGap) + (column - view.width()) / 2, y);
    }
    y += view.height() + kGap;
  }
  sheet.write_png(path);
}

}  // namespace regatta
