// Members of records of the journal, which may have been written by other versions: what is not as expected counts as
// absent.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include <nlohmann/json.hpp>

#include "regatta/config/json.hpp"

namespace regatta {

/// @return nothing if it is no whole number of the range
inline std::optional<std::int64_t> integer_in(const Json& record, const char* name, std::int64_t low,
                                              std::int64_t high) {
  const auto found = record.find(name);
  if (found == record.end() || !found->is_number_integer()) {
    return std::nullopt;
  }
  const auto value = found->get<std::int64_t>();
  return value >= low && value <= high ? std::optional(value) : std::nullopt;
}

/// @return empty if it is no text
inline std::string text_in(const Json& record, const char* name) {
  const auto found = record.find(name);
  return found != record.end() && found->is_string() ? found->get<std::string>() : std::string();
}

}  // namespace regatta
