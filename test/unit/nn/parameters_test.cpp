// The flat registry: initial values as a pure function of the seed, devices, refusals.
#include <cmath>

#include "regatta/base/error.hpp"
#include "regatta/base/random.hpp"
#include "regatta/nn/device.hpp"
#include "regatta/nn/parameters.hpp"
#include "support/catch.hpp"

namespace regatta::test {
namespace {

Parameters three_kinds() {
  Parameters parameters;
  parameters.add("a.weight", {100, 40}, Init::uniform(0.25));
  parameters.add("b.weight", {5000}, Init::normal(2.0));
  parameters.add("b.bias", {3}, Init::constant(0.5));
  return parameters;
}

}  // namespace

TEST_CASE("initial values are a pure function of seed, tensor and element") {
  Parameters one = three_kinds();
  Parameters two = three_kinds();
  one.initialise(7);
  two.initialise(3);
  two.initialise(7);
  for (std::size_t i = 0; i < one.items().size(); ++i) {
    CHECK(one.items()[i].value.equal(two.items()[i].value));
  }
  const CounterRng rng(7, RandomPurpose::kInitialise);
  CHECK(one.items()[0].value[1][2].item<float>() == static_cast<float>((2.0 * rng.uniform(42, 0) - 1.0) * 0.25));
  CHECK(one.items()[1].value[9].item<float>() == static_cast<float>(rng.normal(9, 1) * 2.0));
  two.initialise(8);
  CHECK_FALSE(one.items()[0].value.equal(two.items()[0].value));
}

TEST_CASE("initial values have the width that was asked for") {
  Parameters parameters = three_kinds();
  parameters.initialise(1);
  const at::Tensor uniform = parameters.items()[0].value.detach();
  CHECK(uniform.abs().max().item<double>() <= 0.25);
  CHECK(uniform.std().item<double>() == Approx(0.25 / std::sqrt(3.0)).epsilon(0.05));
  const at::Tensor normal = parameters.items()[1].value.detach();
  CHECK(normal.std().item<double>() == Approx(2.0).epsilon(0.05));
  CHECK(normal.mean().item<double>() == Approx(0.0).margin(0.1));
  CHECK(parameters.items()[2].value.eq(0.5).all().item<bool>());
}

TEST_CASE("parameters are leaves that require a gradient, counted and named once") {
  Parameters parameters = three_kinds();
  CHECK(parameters.count() == 4000 + 5000 + 3);
  for (const Parameter& item : parameters.items()) {
    CHECK(item.value.is_leaf());
    CHECK(item.value.requires_grad());
  }
  CHECK_THROWS_AS(parameters.add("b.bias", {1}, Init::constant(0.0)), BugError);
}

TEST_CASE("moving the parameters keeps the tensors that layers hold") {
  Parameters parameters;
  const at::Tensor held = parameters.add("w", {2, 3}, Init::uniform(1.0));
  parameters.initialise(5);
  const at::Tensor before = held.detach().clone();
  parameters.to_device(at::Device(at::kCPU));
  CHECK(held.is_same(parameters.items()[0].value));
  CHECK(held.equal(before));
}

TEST_CASE("moving the parameters to a GPU keeps the tensors that layers hold, and their values", "[gpu]") {
  if (choose_device("auto").is_cpu()) {
    REGATTA_SKIP("no GPU");
  }
  Parameters parameters;
  const at::Tensor held = parameters.add("w", {2, 3}, Init::uniform(1.0));
  parameters.initialise(5);
  const at::Tensor before = held.detach().clone();
  parameters.to_device(choose_device("auto"));
  CHECK(held.is_cuda());
  CHECK(held.is_leaf());
  CHECK(held.requires_grad());
  CHECK(held.is_same(parameters.items()[0].value));
  CHECK(held.cpu().equal(before));
  parameters.initialise(5);
  CHECK(held.cpu().equal(before));
}

}  // namespace regatta::test
