// What networks cost at the published size: the table of the seed, reproduced.
#include "regatta/train/model_table.hpp"

#include <map>

#include <nlohmann/json.hpp>

#include "regatta/nn/model.hpp"
#include "support/catch.hpp"

namespace regatta {
namespace {

struct Published {
  std::int64_t parameters;
  double published_g;  ///< as the tools behind published tables count
  double mul_adds_g;   ///< in truth
};

TEST_CASE("the published table at 160x192x224 is reproduced") {
  const std::map<std::string, Published> rows = {
      {"voxelmorph-2", {301411, 398.81, 398.81}},
      {"transmorph", {46771251, 657.64, 723.6}},
  };
  const Json table = model_table(Shape3{160, 192, 224});
  std::size_t found = 0;
  for (const Json& row : table.at("models")) {
    const auto known = rows.find(row.at("name").get<std::string>());
    INFO(row.dump());
    if (known != rows.end()) {
      ++found;
      CHECK(row.at("parameters") == known->second.parameters);
      CHECK(row.at("mul_adds_published").get<double>() / 1e9 == Approx(known->second.published_g).margin(0.01));
      CHECK(row.at("mul_adds").get<double>() / 1e9 == Approx(known->second.mul_adds_g).margin(0.05));
    }
    CHECK((row.contains("error") || (row.at("training_bytes").get<double>() > row.at("inference_bytes").get<double>() &&
                                     row.at("inference_bytes").get<double>() > 2.0 * 4 * 160 * 192 * 224)));
  }
  CHECK(found == rows.size());
}

TEST_CASE("a network that does not take the size says so in its row") {
  const Json table = model_table(Shape3{16, 16, 20});
  CHECK(table.at("models").size() == model_rows().size());
  for (const Json& row : table.at("models")) {
    if (row.at("name") == "voxelmorph-2") {
      CHECK(row.at("error").get<std::string>().find("multiple of 16") != std::string::npos);
      CHECK(!row.contains("training_bytes"));
    }
  }
}

TEST_CASE("without a size the table tells names and parameters only") {
  const Json row = model_table(std::nullopt).at("models").at(0);
  CHECK(row.at("parameters") > 0);
  CHECK(!row.contains("mul_adds"));
}

}  // namespace
}  // namespace regatta
