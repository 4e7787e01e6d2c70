// Text forms of the report's values: numbers for people, escapes for HTML, CSV and the shell. No layout here.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "regatta/report/report.hpp"

namespace regatta {

/// Significant digits, trailing zeros kept: 0.7310, 1.200e-05; "-" for nothing.
std::string number_text(double value, int digits = 4);
std::string number_text(const std::optional<double>& value, int digits = 4);

/// The mean; "17.00 (1 of 3)" where not all values are finite.
std::string summary_text(const Summary& summary);

/// An axis value for a table: numbers with at most 4 digits, anything else as `value_text`.
std::string axis_text(const Json& value);

/// Bytes that are not UTF-8 become U+FFFD, as in our JSON.
std::string utf8_text(std::string_view text);

/// For element content and quoted attributes. Bytes that are not UTF-8 become U+FFFD, control characters blanks.
std::string html_escape(std::string_view text);

/// The same for <pre>: its lines stay lines.
std::string html_block(std::string_view text);

/// One CSV field in UTF-8, quoted where RFC 4180 wants it. A leading =, +, - or @ of a text gets an apostrophe, since
/// spreadsheets take such a cell for a formula.
std::string csv_text(std::string_view text);

}  // namespace regatta
