// An HTML table whose columns the page's script sorts: cells with their sort keys.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "regatta/config/json.hpp"

namespace regatta {

class HtmlTable {
 public:
  /// @param numbers  right-aligned
  void column(std::string_view header, bool numbers);

  /// Begins a row. @param key  as in ChartSeries::key; empty: none
  void row(std::string_view key, std::string_view css_class = "");

  void text_cell(std::string_view text, std::string_view css_class = "");

  /// Escaped already.
  void html_cell(std::string_view html, std::string_view sort_key);

  /// "-" for nothing, sorted last.
  void number_cell(const std::optional<double>& value, int digits = 4);

  /// @param value  what the column is sorted by; nothing: last
  void number_cell(const std::optional<double>& value, std::string_view text);

  /// Sorted by its number where it is one.
  void axis_cell(const Json& value, std::string_view text);

  /// @param id  of the table in the page; empty: none
  std::string html(std::string_view id = "") const;

 private:
  std::string head_;
  std::string body_;
};

}  // namespace regatta
