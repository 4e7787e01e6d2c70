#include "regatta/train/model_table.hpp"

#include <nlohmann/json.hpp>

#include "regatta/base/error.hpp"
#include "regatta/config/baseline.hpp"
#include "regatta/nn/model.hpp"
#include "regatta/nn/work.hpp"
#include "regatta/train/memory_forecast.hpp"

namespace regatta {
namespace {

void add_costs(Json& row, const std::string& name, const Shape3& shape) {
  try {
    const Work work = work_of(name, Json::object(), shape[0], shape[1], shape[2]);
    const MemoryNeed need = memory_need(baseline_recipe(name), shape);
    row["mul_adds"] = work.total();
    row["mul_adds_published"] = work.published;
    row["training_bytes"] = need.training;
    row["inference_bytes"] = need.inference;
  } catch (const DataError& error) {
    row["error"] = error.what();
  } catch (const ConfigError& error) {
    row["error"] = error.what();
  }
}

}  // namespace

Json model_table(const std::optional<Shape3>& shape) {
  Json table;
  if (shape) {
    table["size"] = *shape;
  }
  table["models"] = Json::array();
  for (const ModelRow& network : model_rows()) {
    const auto model = make_model(network.name, Json::object(), {.without_data = true});
    Json row;
    row["name"] = network.name;
    row["help"] = network.help;
    row["source"] = network.source;
    row["parameters"] = model->parameters().count();
    row["size_multiple"] = model->size_multiple();
    row["options"] = model->options();
    if (shape) {
      add_costs(row, network.name, *shape);
    }
    table["models"].push_back(row);
  }
  return table;
}

}  // namespace regatta
