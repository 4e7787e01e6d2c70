// An RGB picture with the little that QC sheets need: rectangles, text, lines, copies, PNG out.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace regatta {

using Rgb = std::array<std::uint8_t, 3>;

class Canvas {
 public:
  Canvas(int width, int height, Rgb background = {0, 0, 0});

  int width() const { return width_; }
  int height() const { return height_; }
  Rgb at(int x, int y) const;

  /// Ignored outside the picture, as everything that is drawn.
  void set(int x, int y, Rgb color);

  /// Mixes `color` over what is there. @param share  0..1
  void blend(int x, int y, Rgb color, double share);

  /// A line of width 1 with soft edges.
  void line(double x0, double y0, double x1, double y1, Rgb color);

  /// Printable ASCII in a 5x7 face on a 6x9 cell, lower case as drawn; other bytes show as '?'.
  void text(int x, int y, const std::string& text, Rgb color, int scale = 1);

  void paste(const Canvas& other, int x, int y);

  /// Atomically; a picture without colours as a grey one. @throws DataError
  void write_png(const std::filesystem::path& path) const;

 private:
  bool is_grey() const;

  int width_;
  int height_;
  std::vector<std::uint8_t> pixels_;  // [H, W, 3]
};

inline constexpr int kCellWidth = 6;
inline constexpr int kCellHeight = 9;

/// Rows of one character, top to bottom, bit 4 = leftmost pixel; nullptr-free for any byte. Two rows hang below the
/// line.
const std::array<std::uint8_t, 9>& glyph(char character);

}  // namespace regatta
