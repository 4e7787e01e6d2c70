// A trial on the command line: its number or its name.
#pragma once

#include <cstdint>
#include <string>

#include "regatta/base/error.hpp"

namespace regatta::app {

/// 42 of "42" and of "t00042". @throws ConfigError
inline std::int64_t trial_number(const std::string& text) {
  const std::string digits = text.starts_with('t') ? text.substr(1) : text;
  REGATTA_REQUIRE(!digits.empty() && digits.size() <= 9 && digits.find_first_not_of("0123456789") == std::string::npos,
                  ConfigError, "trial '", one_line(text, 40), "', expected a number or a name like t00042");
  return std::stoll(digits);
}

}  // namespace regatta::app
