// The examples of docs/adding.md, taken out of the page by CMake and compiled into this executable.
#include <cmath>

#include <ATen/ops/full.h>

#include <nlohmann/json.hpp>

#include "regatta/base/error.hpp"
#include "regatta/nn/metric.hpp"
#include "regatta/nn/model.hpp"
#include "support/catch.hpp"
#include "support/golden_network.hpp"

namespace regatta {

namespace losses {
std::unique_ptr<Loss> make_sad(const Json& options);
}
namespace metrics {
std::unique_ptr<Metric> make_displacement();
}
namespace models {
std::unique_ptr<Model> make_shallow(const std::string& name, const Json& options, const NetworkContext& context);
}

namespace test {

TEST_CASE("the documented example of a loss works and refuses wrong options") {
  PairState pair;
  pair.fixed = at::full({1, 1, 2, 2, 2}, 0.25);
  pair.warped = at::full({1, 1, 2, 2, 2}, 0.75).set_requires_grad(true);
  const at::Tensor value = losses::make_sad(Json{{"floor", 0.1}})->value(pair);
  CHECK(value.item<double>() == Approx(0.4));
  value.backward();
  CHECK(pair.warped.grad().sum().item<double>() == Approx(1.0));
  CHECK_THROWS_AS(losses::make_sad(Json{{"flor", 0.1}}), ConfigError);
}

TEST_CASE("the documented example of a metric works and is NaN without a field") {
  PairState pair;
  CHECK(std::isnan(metrics::make_displacement()->measure(pair).front().second));
  pair.flow = at::full({1, 3, 2, 2, 2}, 2.0);
  CHECK(metrics::make_displacement()->measure(pair).front().second == Approx(std::sqrt(12.0)));
}

TEST_CASE("the documented example of a network trains its parameters") {
  const auto model = models::make_shallow("shallow", Json{{"features", 4}}, {});
  CHECK(model->parameters().count() == 4 * 2 * 27 + 4 + 3 * 4 * 27 + 3);
  model->parameters().initialise(1);
  PairState pair;
  pair.fixed = golden_image(5, 6, 7, 1.0);
  const ModelOutput out = model->forward(golden_image(5, 6, 7, 0.0), pair.fixed);
  pair.warped = out.warped;
  losses::make_sad(Json::object())->value(pair).backward();
  for (const Parameter& parameter : model->parameters().items()) {
    INFO(parameter.name);
    CHECK(parameter.value.grad().defined());
  }
  CHECK(model->parameters().items().back().value.grad().abs().sum().item<double>() > 0.0);
}

}  // namespace test
}  // namespace regatta
