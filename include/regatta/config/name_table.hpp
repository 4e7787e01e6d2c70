// The values of an option that has a fixed set of them: what a file says, and the enum that code switches over.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "regatta/base/error.hpp"

namespace regatta {

template <class Value, std::size_t count>
class NameTable {
 public:
  struct Row {
    const char* name;
    Value value;
  };

  constexpr explicit NameTable(const std::array<Row, count>& rows) : rows_(rows) {}

  /// @throws ConfigError "POINTER: unknown value 'x', have: a, b"
  Value at(const std::string& name, const std::string& pointer) const {
    const auto* found = std::find_if(rows_.begin(), rows_.end(), [&](const Row& row) { return name == row.name; });
    REGATTA_REQUIRE(found != rows_.end(), ConfigError, pointer, ": unknown value '", one_line(name, 60),
                    "', have: ", join(names(), ", "));
    return found->value;
  }

  const char* name_of(Value value) const {
    const auto* found = std::find_if(rows_.begin(), rows_.end(), [&](const Row& row) { return value == row.value; });
    REGATTA_REQUIRE(found != rows_.end(), BugError, "value ", static_cast<int>(value), " has no name");
    return found->name;
  }

  std::vector<std::string> names() const {
    std::vector<std::string> names;
    names.reserve(count);
    for (const Row& row : rows_) {
      names.emplace_back(row.name);
    }
    return names;
  }

 private:
  std::array<Row, count> rows_;
};

/// name_table<Space>({{"voxel", Space::kVoxel}, {"ras", Space::kRas}})
template <class Value, std::size_t count>
constexpr NameTable<Value, count> name_table(const typename NameTable<Value, count>::Row (&rows)[count]) {
  return NameTable<Value, count>(std::to_array(rows));
}

}  // namespace regatta
