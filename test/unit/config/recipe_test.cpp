#include "regatta/base/error.hpp"
#include "regatta/config/recipe.hpp"
#include "support/catch.hpp"

using namespace regatta;

namespace {

Json minimal() {
  return parse_json(
      R"({"data": {"archive": "a.h5"}, "losses": {"ncc": {"options": {"window": 5}}, "grad": {"weight": 0.5}}})",
      "test");
}

}  // namespace

TEST_CASE("a short recipe has the published defaults") {
  const Recipe recipe = recipe_from_json(minimal(), "r.json");
  CHECK(recipe.optim.lr == 1e-4);
  CHECK(recipe.optim.amsgrad);
  CHECK(recipe.train.batch == 1);
  CHECK(recipe.losses.at("grad").weight == 0.5);
}

TEST_CASE("a recipe without data, losses or a measured best metric is refused by name") {
  CHECK_THROWS_WITH(recipe_from_json(Json::object(), "r.json"), Catch::StartsWith("r.json: /data/archive: missing"));
  Json recipe = minimal();
  recipe["losses"] = Json::object();
  CHECK_THROWS_WITH(recipe_from_json(recipe, "r.json"), Catch::StartsWith("r.json: /losses: empty"));
  recipe = minimal();
  recipe["validation"] = {{"best", "hd95"}};
  CHECK_THROWS_WITH(recipe_from_json(recipe, "r.json"), Catch::Contains("/validation/best: 'hd95' is not among"));
}

TEST_CASE("Adamax with AMSGrad is refused, also where AMSGrad is only the default") {
  Json recipe = minimal();
  recipe["optim"] = {{"name", "adamax"}};
  CHECK_THROWS_WITH(recipe_from_json(recipe, "r.json"),
                    "r.json: /optim/amsgrad: true with adamax, which keeps no second moment; false expected");
  recipe["optim"]["amsgrad"] = false;
  CHECK(recipe_from_json(recipe, "r.json").optim.name == "adamax");
}

TEST_CASE("a recipe of a later schema is refused") {
  Json recipe = minimal();
  recipe["schema"] = 2;
  CHECK_THROWS_WITH(recipe_from_json(recipe, "r.json"), "r.json: /schema: 2 is outside 1..1");
}

TEST_CASE("resources and paths do not change the identity, hyper-parameters do") {
  const Json base = identity_of(recipe_from_json(minimal(), "r"));
  Json same = minimal();
  same["data"]["archive"] = "/elsewhere/a.h5";
  same["run"] = {{"device", "cpu"}, {"threads", 4}};
  same["checkpoint"] = {{"every_s", 10}};
  CHECK(identity_of(recipe_from_json(same, "r")) == base);
  Json other = minimal();
  other["losses"]["ncc"]["options"]["window"] = 9;
  CHECK(identity_of(recipe_from_json(other, "r")) != base);
}
