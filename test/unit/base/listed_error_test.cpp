// Errors that hold a list: the whole list, and a line that stays short.
#include "regatta/base/listed_error.hpp"

#include "support/catch.hpp"

namespace regatta::test {

TEST_CASE("an error with a list keeps it whole, and in one line names the first few and how many more there are") {
  const ListedError few("a.safetensors", {"'x' is missing", "'y' is missing"});
  CHECK(std::string(few.what()) == "a.safetensors: 'x' is missing; 'y' is missing");
  CHECK(few.code() == ExitCode::kData);
  const std::vector<std::string> items(100, "'encoder.layer.weight' is missing");
  const ListedError many("a.safetensors", items);
  CHECK(many.items().size() == 100);
  CHECK(many.head() == "a.safetensors");
  CHECK(std::string(many.what()).size() < 300);
  CHECK(std::string(many.what()).ends_with("; and 94 more"));
}

}  // namespace regatta::test
