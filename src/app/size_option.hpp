// The option --size of several commands.
#pragma once

#include <string>

#include "regatta/base/error.hpp"
#include "regatta/volume/archive.hpp"

namespace regatta::app {

constexpr const char* kPublishedSize = "160x192x224";

/// "160x192x224" as three sizes. @throws ConfigError
inline Shape3 shape_from(const std::string& text) {
  const auto parts = split(text, 'x');
  Shape3 shape{};
  REGATTA_REQUIRE(parts.size() == 3, ConfigError, "--size: expected DxHxW, got '", one_line(text, 60), "'");
  for (std::size_t axis = 0; axis < 3; ++axis) {
    const bool digits = !parts[axis].empty() && parts[axis].size() <= 4 &&
                        parts[axis].find_first_not_of("0123456789") == std::string::npos;
    REGATTA_REQUIRE(digits && std::stoll(parts[axis]) > 0, ConfigError, "--size: expected DxHxW, each 1..9999, got '",
                    one_line(text, 60), "'");
    shape[axis] = std::stoll(parts[axis]);
  }
  return shape;
}

}  // namespace regatta::app
