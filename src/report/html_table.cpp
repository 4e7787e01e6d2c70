#include "report/html_table.hpp"

#include <nlohmann/json.hpp>

#include "regatta/base/text.hpp"
#include "report/format.hpp"

namespace regatta {

void HtmlTable::column(std::string_view header, bool numbers) {
  head_ += str("<th", numbers ? " class=\"n\"" : "", ">", html_escape(header), "</th>");
}

void HtmlTable::row(std::string_view key, std::string_view css_class) {
  body_ += body_.empty() ? "<tr" : "</tr>\n<tr";
  if (!css_class.empty()) {
    body_ += str(" class=\"", css_class, "\"");
  }
  body_ += key.empty() ? ">" : str(" data-key=\"", html_escape(key), "\">");
}

void HtmlTable::text_cell(std::string_view text, std::string_view css_class) {
  body_ += css_class.empty() ? "<td>" : str("<td class=\"", css_class, "\">");
  body_ += html_escape(text) + "</td>";
}

void HtmlTable::html_cell(std::string_view html, std::string_view sort_key) {
  body_ += str("<td data-v=\"", html_escape(sort_key), "\">", html, "</td>");
}

void HtmlTable::number_cell(const std::optional<double>& value, int digits) {
  number_cell(value, number_text(value, digits));
}

void HtmlTable::number_cell(const std::optional<double>& value, std::string_view text) {
  body_ += str("<td class=\"n\" data-v=\"", value ? to_text(*value) : "", "\">", html_escape(text), "</td>");
}

void HtmlTable::axis_cell(const Json& value, std::string_view text) {
  if (value.is_number()) {
    number_cell(value.get<double>(), text);
  } else {
    text_cell(text);
  }
}

std::string HtmlTable::html(std::string_view id) const {
  const std::string end = body_.empty() ? "" : "</tr>\n";
  const std::string name = id.empty() ? "" : str(" id=\"", id, "\"");
  return str("<div class=\"wide high\"><table class=\"sortable\"", name, ">\n<thead><tr>", head_,
             "</tr></thead>\n<tbody>\n", body_, end, "</tbody>\n</table></div>\n");
}

}  // namespace regatta
