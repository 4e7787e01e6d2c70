#include "regatta/base/duration.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "regatta/base/error.hpp"

namespace regatta {
namespace {

constexpr std::string_view kDigits = "0123456789";

/// "1h30min": each unit at most once, the larger ones first.
std::optional<double> parse_units(std::string_view text) {
  constexpr std::array<std::pair<std::string_view, double>, 4> kUnits_s = {
      {{"d", 86400.0}, {"h", 3600.0}, {"min", 60.0}, {"s", 1.0}}};
  constexpr std::size_t kMostDigits = 9;
  double sum_s = 0.0;
  std::size_t next = 0;
  while (!text.empty()) {
    const std::size_t digits = std::min(text.find_first_not_of(kDigits), text.size());
    const std::string_view number = text.substr(0, digits);
    text.remove_prefix(digits);
    const std::string_view unit = text.substr(0, text.find_first_of(kDigits));
    text.remove_prefix(unit.size());
    while (next < kUnits_s.size() && kUnits_s[next].first != unit) {
      ++next;
    }
    if (number.empty() || number.size() > kMostDigits || next == kUnits_s.size()) {
      return std::nullopt;
    }
    sum_s += static_cast<double>(std::stoll(std::string(number))) * kUnits_s[next++].second;
  }
  return sum_s;
}

bool is_number(const std::string& text) {
  return !text.empty() && text.find_first_not_of(kDigits) == std::string::npos;
}

/// What Slurm reads, completed to what it writes: "4" is 4:00, "1-02" is 1-02:00:00.
std::optional<double> parse_any(const std::string& text) {
  if (is_number(text)) {
    return parse_duration(text + ":00");
  }
  std::string whole = text;
  if (text.find('-') != std::string::npos) {
    for (auto colons = std::count(text.begin(), text.end(), ':'); colons < 2; ++colons) {
      whole += ":00";
    }
    return parse_duration(whole);
  }
  if (text.empty() || text.find(':') != std::string::npos) {
    return parse_duration(text);
  }
  return parse_units(text);
}

}  // namespace

double duration_s(const std::string& text, const std::string& what, BareNumber bare) {
  REGATTA_REQUIRE(!is_number(text) || bare == BareNumber::kMinutes, ConfigError, what, ": '", one_line(text, 40),
                  "': give a unit, for example ", one_line(text, 12), "min or ", one_line(text, 12),
                  "s; allowed: ", kDurationForms);
  const auto seconds = parse_any(text);
  REGATTA_REQUIRE(seconds && *seconds > 0, ConfigError, what, ": '", one_line(text, 40), "': expected ",
                  bare == BareNumber::kMinutes ? "MINUTES, " : "", kDurationForms);
  return *seconds;
}

std::string clock_text(double seconds) {
  const auto total = static_cast<std::int64_t>(std::ceil(seconds));
  const std::int64_t days = total / 86400;
  const std::string clock = fmt::format("{:02}:{:02}:{:02}", total / 3600 % 24, total / 60 % 60, total % 60);
  return days > 0 ? fmt::format("{}-{}", days, clock) : clock;
}

}  // namespace regatta
