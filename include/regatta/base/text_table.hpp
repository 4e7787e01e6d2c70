// A table of text for a terminal: columns as wide as their widest cell, two blanks between, a rule under the header.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace regatta {

class TextTable {
 public:
  enum class Align { kLeft, kRight };

  void column(std::string header, Align align);

  /// As many cells as there are columns.
  void row(std::vector<std::string> cells);

  /// Lines without blanks at their ends.
  std::string text() const;

 private:
  std::vector<Align> aligns_;
  std::vector<std::vector<std::string>> rows_ = {{}};
};

/// Number of code points: the width on a terminal of the texts that stand in our tables.
std::size_t text_width(std::string_view text);

/// A number for people with this number of digits after the point: "12.50"; "-" for what is not finite.
std::string fixed_text(double value, int decimals);

}  // namespace regatta
