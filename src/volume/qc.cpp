#include "regatta/volume/qc.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

#include "canvas.hpp"
#include "regatta/base/error.hpp"
#include "slice.hpp"

namespace regatta {
namespace {

constexpr int kGap = 6;
constexpr int kTilePixels = 192;
constexpr int kRegistrationPixels = 260;
constexpr Rgb kPaper = {24, 24, 28};
constexpr Rgb kInk = {230, 230, 230};
constexpr Rgb kFaint = {150, 150, 160};
constexpr int kTitleScale = 2;

std::vector<SliceView> make_views(const Shape3& shape, const Spacing3& spacing, const std::string& orientation,
                                  int pixels) {
  std::vector<SliceView> views;
  for (const Plane plane : kPlanes) {
    views.emplace_back(plane, shape, spacing, orientation, slice_scale(shape, spacing, pixels));
  }
  return views;
}

int total_width(const std::vector<SliceView>& views) {
  int width = 0;
  for (const SliceView& view : views) {
    width += view.width() + kGap;
  }
  return width;
}

int largest_height(const std::vector<SliceView>& views) {
  int height = 0;
  for (const SliceView& view : views) {
    height = std::max(height, view.height());
  }
  return height;
}

/// Text that is too long is cut.
std::string fit(const std::string& text, int pixels) {
  const auto most = static_cast<std::size_t>(std::max(4, pixels / kCellWidth));
  return text.size() <= most ? text : text.substr(0, most - 2) + "..";
}

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

struct SubjectSheet::Impl {
  Shape3 shape;
  std::vector<SliceView> views;
  std::vector<Canvas> tiles;
  int tile_width = 0;
  int tile_height = 0;
};

SubjectSheet::SubjectSheet(const Shape3& shape, const Spacing3& spacing, const std::string& orientation)
    : impl_(std::make_unique<Impl>()) {
  impl_->shape = shape;
  impl_->views = make_views(shape, spacing, orientation, kTilePixels);
  impl_->tile_width = total_width(impl_->views);
  impl_->tile_height = largest_height(impl_->views) + kCellHeight + 2 * kGap;
}

SubjectSheet::~SubjectSheet() = default;

void SubjectSheet::add(const std::string& title, std::span<const float> image, std::span<const std::uint8_t> labels) {
  Impl& s = *impl_;
  REGATTA_REQUIRE(static_cast<std::int64_t>(image.size()) == voxel_count(s.shape), BugError, "qc: ", image.size(),
                  " voxels for ", shape_text(s.shape));
  Canvas tile(s.tile_width, s.tile_height, kPaper);
  tile.text(0, 2, fit(title, s.tile_width - kGap), kInk);
  int x = 0;
  for (const SliceView& view : s.views) {
    Canvas picture = view.grey(image);
    if (!labels.empty()) {
      view.outline(picture, labels);
    }
    tile.paste(picture, x, kCellHeight + kGap + (largest_height(s.views) - view.height()) / 2);
    x += view.width() + kGap;
  }
  s.tiles.push_back(std::move(tile));
}

void SubjectSheet::write(const std::filesystem::path& path, const std::string& title) const {
  const Impl& s = *impl_;
  const int count = static_cast<int>(s.tiles.size());
  const int columns = std::clamp(static_cast<int>(std::ceil(std::sqrt(count / 3.0))), 1, 4);
  const int rows = (count + columns - 1) / columns;
  const int head = kTitleScale * kCellHeight + kCellHeight + 3 * kGap;
  const int width = std::max(columns * (s.tile_width + 2 * kGap), 420) + 2 * kGap;
  Canvas sheet(width, head + rows * s.tile_height + kGap, kPaper);
  sheet.text(kGap, kGap, fit(title, (width - 2 * kGap) / kTitleScale), kInk, kTitleScale);
  sheet.text(kGap, 2 * kGap + kTitleScale * kCellHeight,
             fit("sagittal (front at the right), coronal, axial (the patient's right at the right), labels outlined",
                 width - 2 * kGap),
             kFaint);
  for (int i = 0; i < count; ++i) {
    sheet.paste(s.tiles[static_cast<std::size_t>(i)], 2 * kGap + (i % columns) * (s.tile_width + 2 * kGap),
                head + (i / columns) * s.tile_height);
  }
  sheet.write_png(path);
}

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
