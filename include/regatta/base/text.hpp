// Small text helpers: joining values into messages, quoting, splitting. No parsing of file formats here.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace regatta {

/// Shortest text that reads back as the same number; "nan", "inf" and "-inf" for the non-finite ones.
std::string to_text(double value);
std::string to_text(std::int64_t value);
std::string to_text(std::uint64_t value);

/// Joins text and numbers: str("shape ", 160, ", allowed ", 0.5).
template <class... Parts>
std::string str(const Parts&... parts) {
  std::string out;
  const auto append = [&out](const auto& part) {
    using Part = std::decay_t<decltype(part)>;
    if constexpr (std::is_same_v<Part, bool>) {
      out += part ? "true" : "false";
    } else if constexpr (std::is_same_v<Part, char>) {
      out += part;
    } else if constexpr (std::is_enum_v<Part>) {
      out += to_text(static_cast<std::int64_t>(part));
    } else if constexpr (std::is_floating_point_v<Part>) {
      out += to_text(static_cast<double>(part));
    } else if constexpr (std::is_unsigned_v<Part>) {
      out += to_text(static_cast<std::uint64_t>(part));
    } else if constexpr (std::is_integral_v<Part>) {
      out += to_text(static_cast<std::int64_t>(part));
    } else {
      out += std::string_view(part);
    }
  };
  (append(parts), ...);
  return out;
}

/// Joins a range of anything that `str` takes: join(names, ", ").
template <class Range>
std::string join(const Range& range, std::string_view separator) {
  std::string out;
  bool first = true;
  for (const auto& item : range) {
    if (!first) {
      out += separator;
    }
    first = false;
    out += str(item);
  }
  return out;
}

/// One printable line for a message: control characters become spaces or \xNN, longer than `limit` bytes is cut.
std::string one_line(std::string_view text, std::size_t limit = 400);

std::vector<std::string> split(std::string_view text, char separator);
std::string_view trim(std::string_view text);

/// "1.5 GiB", "26.3 MiB", "512 B".
std::string bytes_text(double bytes);

/// "2 d 3 h", "1 h 05 min", "3 min 20 s", "12.3 s".
std::string duration_text(double seconds);

/// Seconds of a duration as Slurm writes it: "1-02:03:04", "02:03:04", "03:04", "4"; nothing for anything else
/// ("UNLIMITED").
std::optional<double> parse_duration(std::string_view text);

}  // namespace regatta
