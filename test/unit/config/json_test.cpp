#include <cmath>

#include <nlohmann/json.hpp>

#include "regatta/base/error.hpp"
#include "regatta/config/json.hpp"
#include "support/catch.hpp"

using namespace regatta;

TEST_CASE("a syntax error names source, line and column") {
  CHECK_THROWS_WITH(parse_json("{\n  \"a\": 1,\n  \"b\" 2\n}", "job.json"),
                    Catch::StartsWith("job.json: line 3 column") && Catch::Contains("not JSON"));
  CHECK_THROWS_WITH(parse_json("{\"a\": 1", "job.json"), Catch::Contains("it ends too early"));
  CHECK_THROWS_WITH(parse_json("{\"a\": 1e400}", "job.json"), "job.json: a number is too large for any type");
  CHECK_THROWS_AS(parse_json("{} {}", "job.json"), ConfigError);
  CHECK_THROWS_AS(parse_json("{\"a\": NaN}", "job.json"), ConfigError);
}

TEST_CASE("duplicate keys are refused, equal keys of different objects are not") {
  CHECK_THROWS_WITH(parse_json(R"({"lr": 1, "x": {"lr": 2}, "lr": 3})", "r"), Catch::Contains("key 'lr' stands twice"));
  CHECK(parse_json(R"([{"lr": 1}, {"lr": 2, "x": {"lr": 3}}])", "r").size() == 2);
}

TEST_CASE("deep nesting is refused before it costs stack") {
  CHECK_THROWS_WITH(parse_json(std::string(100, '[') + std::string(100, ']'), "r"), Catch::Contains("nested deeper"));
}

TEST_CASE("order of members is kept, the hash does not depend on it") {
  const Json a = parse_json(R"({"b": 1, "a": [1.5, "x"]})", "a");
  const Json b = parse_json(R"({"a": [1.5, "x"], "b": 1})", "b");
  CHECK(dump_line(a) == R"({"b":1,"a":[1.5,"x"]})");
  CHECK(hash_json(a) == hash_json(b));
  CHECK(hash_json(a) != hash_json(parse_json(R"({"a": [1.5, "x"], "b": 2})", "c")));
}

TEST_CASE("non-finite numbers travel as strings, broken UTF-8 is written") {
  CHECK(dump_line(number_to_json(std::nan(""))) == "\"nan\"");
  CHECK(std::isinf(number_from_json(number_to_json(-HUGE_VAL), "/x")));
  CHECK_THROWS_WITH(number_from_json(Json("1.5"), "/x"), "/x: expected a number, got a string");
  CHECK_NOTHROW(dump_line(Json("caf\xe9")));
}

TEST_CASE("setting by pointer needs an existing member and lists what there is") {
  Json recipe = parse_json(R"({"optim": {"lr": 1, "amsgrad": true}})", "r");
  set_pointer(recipe, "/optim/lr", 0.5);
  CHECK(*find_pointer(recipe, "/optim/lr") == 0.5);
  CHECK(find_pointer(recipe, "/optim/none") == nullptr);
  CHECK(find_pointer(recipe, "no pointer") == nullptr);
  CHECK_THROWS_WITH(set_pointer(recipe, "/optim/learning_rate", 1),
                    "'/optim/learning_rate': no such option; /optim has: lr, amsgrad");
}
