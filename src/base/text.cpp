#include "regatta/base/text.hpp"

#include <array>
#include <cmath>

#include <fmt/format.h>

namespace regatta {

std::string to_text(double value) {
  if (std::isnan(value)) {
    return "nan";
  }
  if (std::isinf(value)) {
    return value > 0 ? "inf" : "-inf";
  }
  return fmt::format("{}", value);
}

std::string to_text(std::int64_t value) {
  return fmt::format("{}", value);
}

std::string to_text(std::uint64_t value) {
  return fmt::format("{}", value);
}

std::string one_line(std::string_view text, std::size_t limit) {
  std::string out;
  for (const char c : text.substr(0, limit)) {
    const auto code = static_cast<unsigned char>(c);
    if (c == '\n' || c == '\t' || c == '\r') {
      out += ' ';
    } else if (code < 0x20 || code == 0x7f) {
      out += fmt::format("\\x{:02x}", code);
    } else {
      out += c;
    }
  }
  if (text.size() > limit) {
    out += "...";
  }
  return out;
}

std::vector<std::string> split(std::string_view text, char separator) {
  std::vector<std::string> parts;
  std::size_t begin = 0;
  while (true) {
    const std::size_t end = text.find(separator, begin);
    if (end == std::string_view::npos) {
      parts.emplace_back(text.substr(begin));
      return parts;
    }
    parts.emplace_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
}

std::string_view trim(std::string_view text) {
  constexpr std::string_view kBlank = " \t\r\n";
  const std::size_t begin = text.find_first_not_of(kBlank);
  if (begin == std::string_view::npos) {
    return {};
  }
  return text.substr(begin, text.find_last_not_of(kBlank) - begin + 1);
}

std::string bytes_text(double bytes) {
  constexpr std::array<const char*, 5> kUnits = {"B", "KiB", "MiB", "GiB", "TiB"};
  std::size_t unit = 0;
  while (std::abs(bytes) >= 1024.0 && unit + 1 < kUnits.size()) {
    bytes /= 1024.0;
    ++unit;
  }
  return unit == 0 ? fmt::format("{:.0f} B", bytes) : fmt::format("{:.1f} {}", bytes, kUnits[unit]);
}

std::string duration_text(double seconds) {
  if (!std::isfinite(seconds) || seconds < 0) {
    return "?";
  }
  if (seconds < 60) {
    return fmt::format("{:.1f} s", seconds);
  }
  const auto total = static_cast<std::int64_t>(std::llround(seconds));
  if (total < 3600) {
    return fmt::format("{} min {:02} s", total / 60, total % 60);
  }
  if (total < 86400) {
    return fmt::format("{} h {:02} min", total / 3600, total / 60 % 60);
  }
  return fmt::format("{} d {} h", total / 86400, total / 3600 % 24);
}

std::optional<double> parse_duration(std::string_view text) {
  constexpr double kUnits_s[] = {1.0, 60.0, 3600.0};
  constexpr double kDay_s = 86400.0;
  const std::size_t dash = text.find('-');
  std::vector<std::string> parts = split(dash == std::string_view::npos ? text : text.substr(dash + 1), ':');
  double sum_s = 0.0;
  const auto add = [&sum_s](std::string_view number, double unit_s) {
    if (number.empty() || number.size() > 12 || number.find_first_not_of("0123456789") != std::string_view::npos) {
      return false;
    }
    sum_s += static_cast<double>(std::stoll(std::string(number))) * unit_s;
    return true;
  };
  bool valid = parts.size() <= std::size(kUnits_s);
  for (std::size_t i = 0; valid && i < parts.size(); ++i) {
    valid = add(parts[parts.size() - 1 - i], kUnits_s[i]);
  }
  if (valid && dash != std::string_view::npos) {
    valid = add(text.substr(0, dash), kDay_s);
  }
  return valid ? std::optional(sum_s) : std::nullopt;
}

}  // namespace regatta
