#include "report/format.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include <nlohmann/json.hpp>

#include "regatta/base/text.hpp"
#include "regatta/config/value_text.hpp"

namespace regatta {
namespace {

std::string general_text(double value, int digits) {
  std::array<char, 64> buffer{};
  const auto [end, error] =
      std::to_chars(buffer.data(), buffer.data() + buffer.size(), value, std::chars_format::general, digits);
  return error == std::errc() ? std::string(buffer.data(), end) : to_text(value);
}

std::size_t significant_digits(std::string_view mantissa) {
  std::size_t digits = 0;
  for (const char c : mantissa) {
    const bool is_digit = c >= '0' && c <= '9';
    if (is_digit && (c != '0' || digits > 0)) {
      ++digits;
    }
  }
  return digits;
}

/// Length of the UTF-8 sequence at the front of `text`, 0 if it is not one.
std::size_t sequence_length(std::string_view text) {
  const auto lead = static_cast<unsigned char>(text.front());
  std::size_t length = 0;
  if (lead < 0x80) {
    length = 1;
  } else if (lead >= 0xc2 && lead < 0xe0) {
    length = 2;
  } else if (lead >= 0xe0 && lead < 0xf0) {
    length = 3;
  } else if (lead >= 0xf0 && lead < 0xf5) {
    length = 4;
  }
  if (length == 0 || text.size() < length) {
    return 0;
  }
  for (std::size_t i = 1; i < length; ++i) {
    if ((static_cast<unsigned char>(text[i]) & 0xc0) != 0x80) {
      return 0;
    }
  }
  return length;
}

}  // namespace

std::string number_text(double value, int digits) {
  std::string text = general_text(value, digits);
  if (!std::isfinite(value) || value == 0.0) {
    return text;
  }
  const std::size_t mantissa_end = std::min(text.find('e'), text.size());
  const std::size_t have = significant_digits(std::string_view(text).substr(0, mantissa_end));
  const auto wanted = static_cast<std::size_t>(digits);
  if (have < wanted) {
    std::string zeros(wanted - have, '0');
    if (text.find('.') == std::string::npos) {
      zeros.insert(0, 1, '.');
    }
    text.insert(mantissa_end, zeros);
  }
  return text;
}

std::string number_text(const std::optional<double>& value, int digits) {
  return value ? number_text(*value, digits) : "-";
}

std::string axis_text(const Json& value) {
  if (value.is_number_float()) {
    return general_text(value.get<double>(), 4);
  }
  constexpr std::size_t kLongest = 120;
  return value.is_null() ? "-" : utf8_text(one_line(value_text(value), kLongest));
}

std::string summary_text(const Summary& summary) {
  const std::string mean = number_text(summary.mean);
  return summary.n == 0 || summary.complete() ? mean : str(mean, " (", summary.n, " of ", summary.of, ")");
}

std::string utf8_text(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const std::size_t length = sequence_length(text);
    out += length == 0 ? std::string_view("\xef\xbf\xbd") : text.substr(0, length);
    text.remove_prefix(std::max<std::size_t>(length, 1));
  }
  return out;
}

std::string html_escape(std::string_view text) {
  std::string out;
  for (const char c : utf8_text(text)) {
    const auto code = static_cast<unsigned char>(c);
    if (c == '&') {
      out += "&amp;";
    } else if (c == '<') {
      out += "&lt;";
    } else if (c == '>') {
      out += "&gt;";
    } else if (c == '"') {
      out += "&quot;";
    } else if (c == '\'') {
      out += "&#39;";
    } else {
      out += code < 0x20 || code == 0x7f ? ' ' : c;
    }
  }
  return out;
}

std::string html_block(std::string_view text) {
  std::vector<std::string> lines = split(text, '\n');
  std::transform(lines.begin(), lines.end(), lines.begin(), [](const std::string& line) { return html_escape(line); });
  return join(lines, "\n");
}

std::string csv_text(std::string_view text) {
  std::string field = utf8_text(text);
  if (!field.empty() && std::string_view("=+-@\t\r").find(field.front()) != std::string_view::npos) {
    field.insert(0, 1, '\'');
  }
  if (field.find_first_of(",\"\r\n") == std::string::npos) {
    return field;
  }
  std::string out = "\"";
  for (const char c : field) {
    out += c;
    if (c == '"') {
      out += c;
    }
  }
  return out + "\"";
}

}  // namespace regatta
