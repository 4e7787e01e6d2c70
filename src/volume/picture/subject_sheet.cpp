// The picture sheet of a data set: tiles of one subject each, laid out on as many pages as they need.
#include <algorithm>
#include <cmath>

#include "regatta/base/error.hpp"
#include "regatta/volume/qc.hpp"
#include "volume/grid/in_order.hpp"
#include "volume/grid/middle.hpp"
#include "volume/grid/otsu.hpp"
#include "volume/grid/parallel.hpp"
#include "volume/picture/sheet.hpp"

namespace regatta {
namespace {

namespace fs = std::filesystem;

constexpr int kTilePixels = 192;
constexpr int kTextScale = 2;
constexpr int kLine = kTextScale * kCellHeight + 2;
constexpr std::size_t kColumns = 5;
constexpr std::size_t kTilesOfPage = kColumns * kColumns;
constexpr std::size_t kMostFlagLines = 3;
constexpr std::size_t kMostPages = 99;  // with numbers of two digits

/// Words put on lines of at most `pixels`; what does not fit on the last line is cut.
std::vector<std::string> wrap(const std::string& text, int pixels) {
  std::vector<std::string> lines;
  for (const std::string& word : split(text, ' ')) {
    const auto width = [&](std::size_t characters) { return static_cast<int>(characters) * kCellWidth * kTextScale; };
    if (lines.empty() || (width(lines.back().size() + 1 + word.size()) > pixels && lines.size() < kMostFlagLines)) {
      lines.push_back(word);
    } else {
      lines.back() += ' ' + word;
    }
  }
  for (std::string& line : lines) {
    line = fit(line, pixels, kTextScale);
  }
  return lines;
}

void frame(Canvas& canvas, Rgb color) {
  for (int edge = 0; edge < 2; ++edge) {
    for (int x = 0; x < canvas.width(); ++x) {
      canvas.set(x, edge, color);
      canvas.set(x, canvas.height() - 1 - edge, color);
    }
    for (int y = 0; y < canvas.height(); ++y) {
      canvas.set(edge, y, color);
      canvas.set(canvas.width() - 1 - edge, y, color);
    }
  }
}

struct SheetTile {
  std::string title;
  std::vector<std::string> flags;  ///< lines
  Canvas picture;
};

/// "brains_qc.png" of one page, "brains_qc_02.png" of several.
fs::path page_path(const fs::path& path, std::size_t page, std::size_t pages) {
  if (pages == 1) {
    return path;
  }
  std::string number = str(page + 1);
  const std::size_t digits = std::max<std::size_t>(2, str(pages).size());
  number.insert(0, digits - number.size(), '0');
  return path.parent_path() / str(path.stem().string(), '_', number, path.extension().string());
}

/// The pages that a sheet of another length left there.
void remove_earlier(const fs::path& path, std::size_t pages) {
  std::error_code ignored;  // they only mislead
  if (pages > 1) {
    fs::remove(path, ignored);
  }
  for (std::size_t page = pages == 1 ? 0 : pages; fs::remove(page_path(path, page, kMostPages), ignored); ++page) {
  }
}

/// Every n-th voxel along each axis, so that there are at most 32.
struct Sampled {
  explicit Sampled(const Shape3& whole) : full(whole) {
    for (std::size_t axis = 0; axis < 3; ++axis) {
      step[axis] = (full[axis] + kMost - 1) / kMost;
      shape[axis] = (full[axis] + step[axis] - 1) / step[axis];
    }
  }

  /// Number of the voxel of a sample.
  std::size_t voxel(std::size_t sample) const {
    const auto at = static_cast<std::int64_t>(sample);
    const Shape3 here = {at / (shape[1] * shape[2]), at / shape[2] % shape[1], at % shape[2]};
    return static_cast<std::size_t>((here[0] * step[0] * full[1] + here[1] * step[1]) * full[2] + here[2] * step[2]);
  }

  Shape3 full_index(const Shape3& sample) const {
    return {sample[0] * step[0], sample[1] * step[1], sample[2] * step[2]};
  }

  static constexpr std::int64_t kMost = 32;
  Shape3 full;
  Shape3 step{};
  Shape3 shape{};
};

Shape3 middle_of_foreground(const Shape3& shape, const std::function<float(std::size_t)>& image) {
  const Sampled sampled(shape);
  std::vector<float> values(static_cast<std::size_t>(voxel_count(sampled.shape)));
  for (std::size_t i = 0; i < values.size(); ++i) {
    values[i] = image(sampled.voxel(i));
  }
  const float threshold = otsu_threshold(values);
  return sampled.full_index(middle_of(sampled.shape, [&](std::size_t i) { return values[i] > threshold; }));
}

Shape3 middle_of_labels(const Shape3& shape, std::span<const std::uint8_t> labels) {
  const Sampled sampled(shape);
  const auto is_label = [&](std::size_t i) { return labels[sampled.voxel(i)] != 0; };
  const auto count = static_cast<std::size_t>(voxel_count(sampled.shape));
  for (std::size_t i = 0; i < count; ++i) {
    if (is_label(i)) {
      return sampled.full_index(middle_of(sampled.shape, is_label));
    }
  }
  return middle_of(shape, [&](std::size_t i) { return labels[i] != 0; });  // too small for the samples
}

}  // namespace

struct SubjectSheet::Impl {
  Shape3 shape;
  std::vector<SliceView> views;
  std::vector<SheetTile> tiles;
  int width = 0;  ///< of a tile

  Canvas page(std::size_t begin, std::size_t end, std::size_t columns, const std::string& title) const;
};

SubjectSheet::SubjectSheet(const Shape3& shape, const Spacing3& spacing, const std::string& orientation)
    : impl_(std::make_unique<Impl>()) {
  impl_->shape = shape;
  impl_->views = make_views(shape, spacing, orientation, kTilePixels);
  impl_->width = total_width(impl_->views) - kGap;
}

SubjectSheet::~SubjectSheet() = default;

void SubjectSheet::add(const std::string& title, const std::function<float(std::size_t)>& image,
                       std::span<const std::uint8_t> labels, const std::string& flags) {
  Impl& s = *impl_;
  const bool labelled = std::any_of(labels.begin(), labels.end(), [](std::uint8_t label) { return label != 0; });
  const Shape3 middle = labelled ? middle_of_labels(s.shape, labels) : middle_of_foreground(s.shape, image);
  SheetTile tile{title, flags.empty() ? std::vector<std::string>() : wrap(flags, s.width),
                 Canvas(s.width, largest_height(s.views), kPaper)};
  int x = 0;
  for (SliceView view : s.views) {
    view.cut_at(middle);
    Canvas picture = view.grey(image);
    if (labelled) {
      view.outline(picture, labels);
    }
    tile.picture.paste(picture, x, (tile.picture.height() - view.height()) / 2);
    x += view.width() + kGap;
  }
  if (!flags.empty()) {
    frame(tile.picture, kWarning);
  }
  s.tiles.push_back(std::move(tile));
}

Canvas SubjectSheet::Impl::page(std::size_t begin, std::size_t end, std::size_t columns,
                                const std::string& title) const {
  const int head = 2 * kTextScale * kCellHeight + 4 * kGap;
  const int column = width + 3 * kGap;
  const int page_width = std::max(static_cast<int>(columns) * column, 420) + kGap;
  struct Row {
    std::size_t first;
    int y;
    int lines;  ///< of text over the pictures
  };
  std::vector<Row> rows;
  int y = head;
  for (std::size_t i = begin; i < end; i += columns) {
    std::size_t lines = 1;
    for (std::size_t k = i; k < std::min(i + columns, end); ++k) {
      lines = std::max(lines, 1 + tiles[k].flags.size());
    }
    rows.push_back({i, y, static_cast<int>(lines)});
    y += static_cast<int>(lines) * kLine + tiles[i].picture.height() + 3 * kGap;
  }
  Canvas canvas(page_width, y, kPaper);
  canvas.text(kGap, kGap, fit(title, page_width - 2 * kGap, kTextScale), kInk, kTextScale);
  const std::string legend =
      "sagittal (front at the right), coronal, axial (the patient's right at the right), through the middle of the "
      "labels "
      "or of the foreground, labels outlined";
  const bool roomy = static_cast<int>(legend.size()) * kCellWidth * kTextScale <= page_width - 2 * kGap;
  const int scale = roomy ? kTextScale : 1;
  canvas.text(kGap, 2 * kGap + kTextScale * kCellHeight, fit(legend, page_width - 2 * kGap, scale), kFaint, scale);
  for (const Row& row : rows) {
    for (std::size_t k = row.first; k < std::min(row.first + columns, end); ++k) {
      const int x = kGap + static_cast<int>(k - row.first) * column;
      canvas.text(x, row.y, fit(tiles[k].title, width, kTextScale), kInk, kTextScale);
      for (std::size_t line = 0; line < tiles[k].flags.size(); ++line) {
        canvas.text(x, row.y + static_cast<int>(line + 1) * kLine, tiles[k].flags[line], kWarning, kTextScale);
      }
      canvas.paste(tiles[k].picture, x, row.y + row.lines * kLine);
    }
  }
  return canvas;
}

std::vector<fs::path> SubjectSheet::write(const fs::path& path, const std::string& title, int threads) const {
  const Impl& s = *impl_;
  const std::size_t count = s.tiles.size();
  const std::size_t pages = std::max<std::size_t>(1, (count + kTilesOfPage - 1) / kTilesOfPage);
  const auto root = static_cast<std::size_t>(std::ceil(std::sqrt(static_cast<double>(count))));
  const std::size_t columns = std::clamp<std::size_t>(root, 1, kColumns);
  const auto write_page = [&](std::size_t page) {
    const std::size_t begin = page * kTilesOfPage;
    const fs::path file = page_path(path, page, pages);
    s.page(begin, std::min(begin + kTilesOfPage, count), columns,
           pages == 1 ? title : str(title, ", page ", page + 1, " of ", pages))
        .write_png(file);
    return file;
  };
  std::vector<fs::path> written;
  in_order(pages, threads > 0 ? threads : available_threads(), write_page,
           [&written](std::size_t, fs::path file) { written.push_back(std::move(file)); });
  remove_earlier(path, pages);
  return written;
}

}  // namespace regatta
