// What picture sheets share: colours, gaps, the three views of a grid, text that fits.
#pragma once

#include <string>
#include <vector>

#include "volume/picture/slice.hpp"

namespace regatta {

inline constexpr int kGap = 6;
inline constexpr Rgb kPaper = {25, 25, 25};
inline constexpr Rgb kInk = {230, 230, 230};
inline constexpr Rgb kFaint = {152, 152, 152};
inline constexpr Rgb kWarning = {255, 170, 40};

/// One view a plane. @param pixels  of the grid's longest edge
std::vector<SliceView> make_views(const Shape3& shape, const Spacing3& spacing, const std::string& orientation,
                                  int pixels);

/// Side by side, with a gap after each.
int total_width(const std::vector<SliceView>& views);

int largest_height(const std::vector<SliceView>& views);

/// Text that is too long for this number of pixels is cut.
std::string fit(const std::string& text, int pixels, int scale = 1);

}  // namespace regatta
