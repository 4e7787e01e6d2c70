// The picture of one registration.
#include "regatta/volume/qc.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

#include "regatta/base/error.hpp"
#include "volume/picture/sheet.hpp"

namespace regatta {
namespace {

constexpr int kRegistrationPixels = 260;

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

}  // namespace

void registration_qc(const std::filesystem::path& path, std::span<const float> fixed, std::span<const float> moving,
                     std::span<const float> warped, std::span<const float> field, const Shape3& shape,
                     const Spacing3& spacing, const std::string& orientation) {
  const std::int64_t voxels = voxel_count(shape);
  for (const std::size_t size : {fixed.size(), moving.size(), warped.size(), field.size() / 3}) {
    REGATTA_REQUIRE(static_cast<std::int64_t>(size) == voxels, BugError, "registration_qc: ", size, " voxels for ",
                    shape_text(shape));
  }
  const auto views = make_views(shape, spacing, orientation, kRegistrationPixels);
  int column = 0;
  int height = 2 * kGap + kCellHeight;
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
  for (int i = 0; i < kColumns; ++i) {
    sheet.text(kGap + i * (column + kGap), kGap, fit(titles[i], column), kInk);
  }
  const std::int64_t every = std::max<std::int64_t>(2, *std::max_element(shape.begin(), shape.end()) / 32);
  int y = kCellHeight + 2 * kGap;
  for (const SliceView& view : views) {
    const Canvas pictures[kColumns] = {view.grey(fixed),  view.grey(moving), view.grey(warped),
                                       view.grey(before), view.grey(after),  grid_picture(view, field, shape, every)};
    for (int i = 0; i < kColumns; ++i) {
      sheet.paste(pictures[i], kGap + i * (column + kGap) + (column - view.width()) / 2, y);
    }
    y += view.height() + kGap;
  }
  sheet.write_png(path);
}

}  // namespace regatta
