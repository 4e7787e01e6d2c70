// Names of the values of options.
#include "regatta/config/name_table.hpp"
#include "support/catch.hpp"

namespace regatta {
namespace {

enum class Space { kVoxel, kRas, kLps };

constexpr auto kSpaces = name_table<Space>({{"voxel", Space::kVoxel}, {"ras", Space::kRas}});

TEST_CASE("a value's name leads to it and back, and an unknown name lists those that there are") {
  CHECK(kSpaces.at("ras", "/space") == Space::kRas);
  CHECK(std::string(kSpaces.name_of(Space::kVoxel)) == "voxel");
  CHECK(kSpaces.names() == std::vector<std::string>{"voxel", "ras"});
  CHECK_THROWS_WITH(kSpaces.at("RAS", "/space"), "/space: unknown value 'RAS', have: voxel, ras");
  CHECK_THROWS_AS(kSpaces.at("", "/space"), ConfigError);
  CHECK_THROWS_AS(kSpaces.name_of(Space::kLps), BugError);
}

}  // namespace
}  // namespace regatta
