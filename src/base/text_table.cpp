#include "regatta/base/text_table.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include <fmt/format.h>

#include "regatta/base/error.hpp"

namespace regatta {

void TextTable::column(std::string header, Align align) {
  rows_.front().push_back(std::move(header));
  aligns_.push_back(align);
}

void TextTable::row(std::vector<std::string> cells) {
  REGATTA_REQUIRE(cells.size() == aligns_.size(), BugError, "table: ", cells.size(), " cells for ", aligns_.size(),
                  " columns");
  rows_.push_back(std::move(cells));
}

std::string TextTable::text() const {
  std::vector<std::size_t> widths(aligns_.size(), 0);
  for (const auto& cells : rows_) {
    for (std::size_t i = 0; i < cells.size(); ++i) {
      widths[i] = std::max(widths[i], text_width(cells[i]));
    }
  }
  std::string out;
  std::size_t line_width = 0;
  for (std::size_t r = 0; r < rows_.size(); ++r) {
    std::string line;
    for (std::size_t i = 0; i < widths.size(); ++i) {
      const std::string blanks(widths[i] - text_width(rows_[r][i]), ' ');
      line += i > 0 ? "  " : "";
      line += aligns_[i] == Align::kRight ? blanks + rows_[r][i] : rows_[r][i] + blanks;
    }
    line_width = std::max(line_width, text_width(line));
    line.erase(line.find_last_not_of(' ') + 1);
    out += line + "\n";
    if (r == 0) {
      out += std::string(line_width, '-') + "\n";
    }
  }
  return out;
}

std::size_t text_width(std::string_view text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }));
}

std::string fixed_text(double value, int decimals) {
  return std::isfinite(value) ? fmt::format("{:.{}f}", value, decimals) : "-";
}

}  // namespace regatta
