// Option values for people.
#include "regatta/config/value_text.hpp"

#include <nlohmann/json.hpp>

#include "support/catch.hpp"

namespace regatta::test {

TEST_CASE("a value reads as a person would write it, an object by its name and members") {
  const auto text = [](const char* json) { return value_text(parse_json(json, "test")); };
  CHECK(text(R"("adam")") == "adam");
  CHECK(text("0.00110202") == "0.00110202");
  CHECK(text("[16, 32]") == "[16,32]");
  CHECK(text("null") == "null");
  CHECK(text("true") == "true");
  CHECK(text("{}") == "{}");
  CHECK(text(R"({"name": "lkunet"})") == "lkunet");
  CHECK(text(R"({"name": "lkunet", "options": {}})") == "lkunet");
  CHECK(text(R"({"name": "lkunet", "options": {"head": "half"}})") == "lkunet head half");
  CHECK(text(R"({"options": {"head": "half", "channels": 8}, "name": "lkunet"})") == "lkunet head half, channels 8");
  CHECK(text(R"({"ncc": {"weight": 1, "options": {"window": 9}}, "grad": {"weight": 0.5}})") ==
        "ncc weight 1, window 9; grad weight 0.5");
}

}  // namespace regatta::test
