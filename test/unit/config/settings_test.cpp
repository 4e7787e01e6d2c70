#include "regatta/base/error.hpp"
#include "regatta/config/settings.hpp"
#include "support/catch.hpp"

using namespace regatta;

TEST_CASE("a setting is a pointer and a JSON value, or else a text") {
  CHECK(parse_setting("/optim/lr=1e-3").value == 1e-3);
  CHECK(parse_setting("/run/device=cuda:1").value == "cuda:1");
  CHECK(parse_setting("/x=a=b").value == "a=b");
  CHECK(parse_setting("/optim/lr=1e-3").pointer == "/optim/lr");
  CHECK_THROWS_WITH(parse_setting("lr=1"), Catch::Contains("expected POINTER=VALUE"));
  CHECK_THROWS_WITH(parse_setting("/optim/lr"), Catch::Contains("expected POINTER=VALUE"));
}

TEST_CASE("differences name each leaf once") {
  const Json before = parse_json(R"({"optim": {"lr": 1, "power": 2}, "axes": [1, 2]})", "a");
  const Json now = parse_json(R"({"optim": {"lr": 3, "power": 2}, "axes": [1], "new": true})", "b");
  CHECK(json_differences(before, now) ==
        std::vector<std::string>{"/axes: [1,2] -> [1]", "/new: (default) -> true", "/optim/lr: 1 -> 3"});
  CHECK(json_differences(now, now).empty());
  const Json with_loss = parse_json(R"({"losses": {"ncc": {}}, "optim": {"lr": 1}})", "c");
  CHECK(json_differences(Json::object(), with_loss) ==
        std::vector<std::string>{"/losses/ncc: (default) -> {}", "/optim/lr: (default) -> 1"});
}
