// Adam against a naive double-precision loop, and the schedules against numbers of the reference code.
#include <cmath>
#include <vector>

#include <ATen/ops/ones.h>
#include <ATen/ops/zeros.h>

#include "regatta/base/random.hpp"
#include "regatta/train/optimizer.hpp"
#include "support/catch.hpp"

namespace regatta {
namespace {

constexpr int kValues = 37;  // odd: above the kernel's vector width, with a remainder

double gradient_at(int update, int i) {
  return CounterRng(1, RandomPurpose::kSynthetic)
             .normal(static_cast<std::uint64_t>(update), static_cast<std::uint32_t>(i)) *
         (update % 5 == 0 ? 10.0 : 1.0);
}

/// PyTorch's documented Adam, in double.
std::vector<double> oracle(const OptimOptions& options, std::vector<double> values, int updates) {
  std::vector<double> m(values.size());
  std::vector<double> v(values.size());
  std::vector<double> vmax(values.size());
  for (int t = 1; t <= updates; ++t) {
    for (std::size_t i = 0; i < values.size(); ++i) {
      const double g = gradient_at(t, static_cast<int>(i)) + options.weight_decay * values[i];
      m[i] = options.beta1 * m[i] + (1 - options.beta1) * g;
      v[i] = options.beta2 * v[i] + (1 - options.beta2) * g * g;
      vmax[i] = std::max(vmax[i], v[i]);
      const double second = options.amsgrad ? vmax[i] : v[i];
      const double corrected = std::sqrt(second) / std::sqrt(1 - std::pow(options.beta2, t)) + options.eps;
      values[i] -= options.lr / (1 - std::pow(options.beta1, t)) * m[i] / corrected;
    }
  }
  return values;
}

struct Fixture {
  Fixture() {
    value = parameters.add("w", {kValues}, Init::constant(0.25));
    parameters.initialise(0);
    const at::Tensor other = parameters.add("unused", {2}, Init::constant(0.0));
  }

  void set_gradient(int update) {
    at::Tensor gradient = at::zeros({kValues});
    for (int i = 0; i < kValues; ++i) {
      gradient.mutable_data_ptr<float>()[i] = static_cast<float>(gradient_at(update, i));
    }
    value.mutable_grad() = gradient;
  }

  Parameters parameters;
  at::Tensor value;
  at::Tensor no_skip = at::zeros({1});
};

void check_against_oracle(const OptimOptions& options) {
  Fixture fixture;
  Adam adam(fixture.parameters, options);
  for (int t = 1; t <= 25; ++t) {
    fixture.set_gradient(t);
    adam.step_(adam.gradients(), options.lr, t, fixture.no_skip);
    adam.clear_gradients_();
  }
  const auto expected = oracle(options, std::vector<double>(kValues, 0.25), 25);
  for (std::size_t i = 0; i < kValues; ++i) {
    CHECK(fixture.value.const_data_ptr<float>()[i] == Approx(expected[i]).epsilon(2e-5));
  }
}

TEST_CASE("Adam equals a naive double loop with and without AMSGrad and weight decay") {
  OptimOptions options;
  options.lr = 0.01;
  check_against_oracle(options);
  options.amsgrad = false;
  check_against_oracle(options);
  options.weight_decay = 0.1;
  options.beta1 = 0.5;
  options.eps = 1e-4;
  check_against_oracle(options);
}

TEST_CASE("a skipped update changes neither weights nor moments") {
  Fixture fixture;
  OptimOptions options;
  Adam adam(fixture.parameters, options);
  fixture.set_gradient(1);
  adam.step_(adam.gradients(), 0.1, 1, fixture.no_skip);
  const at::Tensor before = fixture.value.detach().clone();
  const at::Tensor moment = adam.state().front().second.clone();
  adam.step_(adam.gradients(), 0.1, 2, at::ones({1}));
  CHECK(before.equal(fixture.value.detach()));
  CHECK(moment.equal(adam.state().front().second));
  adam.step_(adam.gradients(), 0.1, 2, fixture.no_skip);
  CHECK_FALSE(before.equal(fixture.value.detach()));
}

TEST_CASE("state names follow the parameters and vmax exists with AMSGrad alone") {
  Fixture fixture;
  OptimOptions options;
  CHECK(Adam(fixture.parameters, options).state().size() == 6);
  CHECK(Adam(fixture.parameters, options).state().at(4).first == "optim/vmax/w");
  options.amsgrad = false;
  CHECK(Adam(fixture.parameters, options).state().size() == 4);
}

TEST_CASE("the polynomial schedule gives the reference's rounded rates") {
  OptimOptions options;  // round(1e-4 * (1 - epoch / 500) ** 0.9, 8)
  options.horizon_epochs = 500;
  CHECK(learning_rate(options, 0) == 1e-4);
  CHECK(learning_rate(options, 1) == 9.982e-5);
  CHECK(learning_rate(options, 250) == 5.359e-5);
  CHECK(learning_rate(options, 499) == 3.7e-7);
}

TEST_CASE("epochs after the horizon keep the rate of its last one") {
  OptimOptions options;
  options.horizon_epochs = 10;
  CHECK(learning_rate(options, 25) == learning_rate(options, 9));
  CHECK(learning_rate(options, 9) > 0.0);
  options.schedule = "constant";
  CHECK(learning_rate(options, 1000) == options.lr);
}

}  // namespace
}  // namespace regatta
