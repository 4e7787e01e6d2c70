#include "volume/picture/sheet.hpp"

#include <algorithm>

namespace regatta {

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

std::string fit(const std::string& text, int pixels, int scale) {
  const auto most = static_cast<std::size_t>(std::max(4, pixels / (kCellWidth * scale)));
  return text.size() <= most ? text : text.substr(0, most - 2) + "..";
}

}  // namespace regatta
