#include "volume/picture/canvas.hpp"

#include <algorithm>
#include <cmath>

#include <png.h>
#include <zlib.h>

#include "regatta/base/error.hpp"
#include "regatta/base/files.hpp"

namespace regatta {
namespace {

/// libpng reports errors by a callback that must not return; an exception leaves its C frames, as its manual allows.
[[noreturn]] void png_failed(png_structp png, png_const_charp message) {
  throw DataError(str(*static_cast<const std::string*>(png_get_error_ptr(png)), ": cannot write PNG: ", message));
}

void png_write_bytes(png_structp png, png_bytep data, png_size_t bytes) {
  static_cast<AtomicFile*>(png_get_io_ptr(png))->write(data, bytes);
}

}  // namespace

Canvas::Canvas(int width, int height, Rgb background) : width_(width), height_(height) {
  pixels_.resize(3 * static_cast<std::size_t>(width) * static_cast<std::size_t>(height));
  for (std::size_t i = 0; i < pixels_.size(); i += 3) {
    std::copy(background.begin(), background.end(), pixels_.begin() + static_cast<std::ptrdiff_t>(i));
  }
}

Rgb Canvas::at(int x, int y) const {
  const std::size_t i =
      3 * (static_cast<std::size_t>(y) * static_cast<std::size_t>(width_) + static_cast<std::size_t>(x));
  return {pixels_[i], pixels_[i + 1], pixels_[i + 2]};
}

void Canvas::set(int x, int y, Rgb color) {
  if (x < 0 || y < 0 || x >= width_ || y >= height_) {
    return;
  }
  const std::size_t i =
      3 * (static_cast<std::size_t>(y) * static_cast<std::size_t>(width_) + static_cast<std::size_t>(x));
  std::copy(color.begin(), color.end(), pixels_.begin() + static_cast<std::ptrdiff_t>(i));
}

void Canvas::blend(int x, int y, Rgb color, double share) {
  if (x < 0 || y < 0 || x >= width_ || y >= height_) {
    return;
  }
  Rgb mixed = at(x, y);
  for (std::size_t c = 0; c < 3; ++c) {
    mixed[c] = static_cast<std::uint8_t>(std::lround(mixed[c] * (1.0 - share) + color[c] * share));
  }
  set(x, y, mixed);
}

void Canvas::line(double x0, double y0, double x1, double y1, Rgb color) {
  // Along the longer direction, each step shares its pixel with the neighbour across.
  const bool steep = std::abs(y1 - y0) > std::abs(x1 - x0);
  if (steep) {
    std::swap(x0, y0);
    std::swap(x1, y1);
  }
  if (x0 > x1) {
    std::swap(x0, x1);
    std::swap(y0, y1);
  }
  const double slope = x1 > x0 ? (y1 - y0) / (x1 - x0) : 0.0;
  for (auto x = static_cast<int>(std::lround(x0)); x <= static_cast<int>(std::lround(x1)); ++x) {
    const double y = std::clamp(y0 + slope * (x - x0), std::min(y0, y1), std::max(y0, y1));
    const auto below = static_cast<int>(std::floor(y));
    const double share = y - below;
    for (const auto& [across, weight] : {std::pair{below, 1.0 - share}, std::pair{below + 1, share}}) {
      blend(steep ? across : x, steep ? x : across, color, weight);
    }
  }
}

void Canvas::text(int x, int y, const std::string& text, Rgb color, int scale) {
  for (const char character : text) {
    const auto& rows = glyph(character);
    for (int row = 0; row < static_cast<int>(rows.size()) * scale; ++row) {
      for (int column = 0; column < 5 * scale; ++column) {
        if (((rows[static_cast<std::size_t>(row / scale)] >> (4 - column / scale)) & 1) != 0) {
          set(x + column, y + row, color);
        }
      }
    }
    x += kCellWidth * scale;
  }
}

void Canvas::paste(const Canvas& other, int x, int y) {
  const int first = std::max(0, -x);
  const int last = std::min(other.width_, width_ - x);
  for (int row = std::max(0, -y); row < std::min(other.height_, height_ - y) && first < last; ++row) {
    const auto from = other.pixels_.begin() + 3 * (std::ptrdiff_t{row} * other.width_ + first);
    std::copy(from, from + 3 * (last - first), pixels_.begin() + 3 * ((std::ptrdiff_t{y} + row) * width_ + x + first));
  }
}

bool Canvas::is_grey() const {
  for (std::size_t i = 0; i < pixels_.size(); i += 3) {
    if (pixels_[i] != pixels_[i + 1] || pixels_[i] != pixels_[i + 2]) {
      return false;
    }
  }
  return true;
}

void Canvas::write_png(const std::filesystem::path& path) const {
  std::string name = path.string();
  AtomicFile file(path);
  struct Writer {
    png_structp png = nullptr;
    png_infop info = nullptr;
    ~Writer() { png_destroy_write_struct(&png, &info); }
  } writer;
  writer.png = png_create_write_struct(PNG_LIBPNG_VER_STRING, &name, png_failed, nullptr);
  REGATTA_REQUIRE(writer.png != nullptr, DataError, name, ": cannot start libpng");
  writer.info = png_create_info_struct(writer.png);
  REGATTA_REQUIRE(writer.info != nullptr, DataError, name, ": cannot start libpng");
  png_set_write_fn(writer.png, &file, png_write_bytes, nullptr);
  const bool grey = is_grey();
  // Noise packs badly: in half the time of libpng's own choices it becomes no larger. Of grey levels runs are enough.
  png_set_compression_level(writer.png, 1);
  png_set_compression_strategy(writer.png, grey ? Z_RLE : Z_DEFAULT_STRATEGY);
  png_set_filter(writer.png, PNG_FILTER_TYPE_BASE, PNG_FILTER_UP);
  png_set_compression_buffer_size(writer.png, std::size_t{1} << 16);
  png_set_IHDR(writer.png, writer.info, static_cast<png_uint_32>(width_), static_cast<png_uint_32>(height_), 8,
               grey ? PNG_COLOR_TYPE_GRAY : PNG_COLOR_TYPE_RGB, PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT,
               PNG_FILTER_TYPE_DEFAULT);
  png_set_user_limits(writer.png, 1000000, 1000000);
  png_write_info(writer.png, writer.info);
  const auto width = static_cast<std::size_t>(width_);
  std::vector<std::uint8_t> levels(width);
  for (std::size_t row = 0; row < static_cast<std::size_t>(height_); ++row) {
    const std::uint8_t* pixels = pixels_.data() + 3 * row * width;
    for (std::size_t column = 0; grey && column < width; ++column) {
      levels[column] = pixels[3 * column];
    }
    png_write_row(writer.png, grey ? levels.data() : pixels);
  }
  png_write_end(writer.png, nullptr);
  file.commit();
}

}  // namespace regatta
