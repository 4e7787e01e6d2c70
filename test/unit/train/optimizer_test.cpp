// Adam, AdamW and Adamax against naive double-precision loops, and the schedules against numbers of the reference code.
#include <cmath>
#include <filesystem>
#include <limits>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <ATen/ops/full.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>

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

/// PyTorch's documented Adamax, in double.
std::vector<double> adamax_oracle(const OptimOptions& options, std::vector<double> values, int updates) {
  std::vector<double> m(values.size());
  std::vector<double> u(values.size());
  for (int t = 1; t <= updates; ++t) {
    for (std::size_t i = 0; i < values.size(); ++i) {
      const double g = gradient_at(t, static_cast<int>(i)) + options.weight_decay * values[i];
      m[i] = options.beta1 * m[i] + (1 - options.beta1) * g;
      u[i] = std::max(options.beta2 * u[i], std::abs(g) + options.eps);
      values[i] -= options.lr / (1 - std::pow(options.beta1, t)) * m[i] / u[i];
    }
  }
  return values;
}

/// PyTorch's documented Adam and AdamW, in double.
std::vector<double> reference(const OptimOptions& options, std::vector<double> values, int updates) {
  if (options.name == "adamax") {
    return adamax_oracle(options, std::move(values), updates);
  }
  const bool decoupled = options.name == "adamw";
  std::vector<double> m(values.size());
  std::vector<double> v(values.size());
  std::vector<double> vmax(values.size());
  for (int t = 1; t <= updates; ++t) {
    for (std::size_t i = 0; i < values.size(); ++i) {
      const double g = gradient_at(t, static_cast<int>(i)) + (decoupled ? 0.0 : options.weight_decay * values[i]);
      values[i] *= decoupled ? 1.0 - options.lr * options.weight_decay : 1.0;
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
  Optimizer optimizer(fixture.parameters, options);
  for (int t = 1; t <= 25; ++t) {
    fixture.set_gradient(t);
    optimizer.step_(optimizer.gradients(), {options.lr, t}, fixture.no_skip);
    optimizer.clear_gradients_();
  }
  const auto expected = reference(options, std::vector<double>(kValues, 0.25), 25);
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

TEST_CASE("AdamW equals a naive double loop with and without AMSGrad and decay") {
  OptimOptions options;
  options.name = "adamw";
  options.lr = 0.01;
  check_against_oracle(options);
  options.weight_decay = 0.5;
  check_against_oracle(options);
  options.amsgrad = false;
  options.beta2 = 0.9;
  check_against_oracle(options);
}

TEST_CASE("Adamax equals a naive double loop with and without L2 decay and a large eps") {
  OptimOptions options;
  options.name = "adamax";
  options.amsgrad = false;
  options.lr = 0.01;
  check_against_oracle(options);
  options.weight_decay = 0.1;
  options.beta1 = 0.5;
  options.beta2 = 0.9;  // u shrinks below the gradient soon: both sides of the maximum are taken
  options.eps = 1e-2;
  check_against_oracle(options);
}

TEST_CASE("decay of AdamW moves a weight without gradient, that of Adam divides by its own size") {
  for (const auto& [name, expected] : {std::pair{"adamw", 0.25 * (1 - 0.1 * 0.5)}, std::pair{"adam", 0.25 - 0.1}}) {
    Fixture fixture;
    OptimOptions options;
    options.name = name;
    options.weight_decay = 0.5;
    Optimizer optimizer(fixture.parameters, options);
    optimizer.step_(optimizer.gradients(), {0.1, 1}, fixture.no_skip);
    CHECK(fixture.value.const_data_ptr<float>()[0] == Approx(expected).epsilon(1e-5));
  }
}

TEST_CASE("Adamax leaves a weight whose gradients were all 0, even without eps") {
  Fixture fixture;
  OptimOptions options;
  options.name = "adamax";
  options.amsgrad = false;
  options.eps = 0.0;
  Optimizer optimizer(fixture.parameters, options);
  optimizer.step_(optimizer.gradients(), {0.1, 1}, fixture.no_skip);
  CHECK(fixture.value.const_data_ptr<float>()[0] == 0.25F);
}

TEST_CASE("a skipped update changes neither weights nor moments") {
  const std::string name = GENERATE(as<std::string>(), "adam", "adamw", "adamax");
  INFO(name);
  Fixture fixture;
  OptimOptions options;
  options.name = name;
  options.amsgrad = name != "adamax";
  options.weight_decay = 0.1;
  {  // before any other: nothing may become NaN, not even by gradients that are
    Optimizer optimizer(fixture.parameters, options);
    fixture.value.mutable_grad() = at::full({kValues}, std::numeric_limits<float>::quiet_NaN());
    optimizer.step_(optimizer.gradients(), {0.1, 1}, at::ones({1}));
    CHECK(fixture.value.detach().equal(at::full({kValues}, 0.25)));
    for (const auto& [tensor_name, moment] : optimizer.state()) {
      INFO(tensor_name);
      CHECK(moment.equal(at::zeros_like(moment)));
    }
  }
  Optimizer optimizer(fixture.parameters, options);
  fixture.set_gradient(1);
  optimizer.step_(optimizer.gradients(), {0.1, 1}, fixture.no_skip);
  const at::Tensor before = fixture.value.detach().clone();
  const at::Tensor first = optimizer.state().at(0).second.clone();
  const at::Tensor second = optimizer.state().at(2).second.clone();
  optimizer.step_(optimizer.gradients(), {0.1, 2}, at::ones({1}));
  CHECK(before.equal(fixture.value.detach()));
  CHECK(first.equal(optimizer.state().at(0).second));
  CHECK(second.equal(optimizer.state().at(2).second));
  optimizer.step_(optimizer.gradients(), {0.1, 2}, fixture.no_skip);
  CHECK_FALSE(before.equal(fixture.value.detach()));
}

TEST_CASE("state names follow the parameters and vmax exists with AMSGrad alone") {
  Fixture fixture;
  OptimOptions options;
  CHECK(Optimizer(fixture.parameters, options).state().size() == 6);
  CHECK(Optimizer(fixture.parameters, options).state().at(4).first == "optim/vmax/w");
  options.amsgrad = false;
  CHECK(Optimizer(fixture.parameters, options).state().size() == 4);
  CHECK(Optimizer(fixture.parameters, options).state().at(2).first == "optim/v/w");
  options.name = "adamax";
  CHECK(Optimizer(fixture.parameters, options).state().size() == 4);
  CHECK(Optimizer(fixture.parameters, options).state().at(2).first == "optim/u/w");
}

TEST_CASE("an optimiser that continues from a file repeats the bits of one that was not interrupted") {
  const std::string name = GENERATE(as<std::string>(), "adam", "adamw", "adamax");
  INFO(name);
  OptimOptions options;
  options.name = name;
  options.amsgrad = name == "adam";
  options.weight_decay = 0.01;
  const auto run = [&](Fixture& fixture, Optimizer& optimizer, int from, int to) {
    for (int t = from; t <= to; ++t) {
      fixture.set_gradient(t);
      optimizer.step_(optimizer.gradients(), {0.01, t}, fixture.no_skip);
    }
  };
  Fixture whole;
  Optimizer undisturbed(whole.parameters, options);
  run(whole, undisturbed, 1, 9);
  Fixture parts;
  Optimizer before(parts.parameters, options);
  run(parts, before, 1, 5);
  SafetensorsFile file;
  file.tensors = before.state();
  Optimizer after(parts.parameters, options);
  after.load_state_(file, "here");
  run(parts, after, 6, 9);
  CHECK(whole.value.detach().equal(parts.value.detach()));

  options.name = name == "adamax" ? "adam" : "adamax";
  options.amsgrad = false;
  Optimizer other(parts.parameters, options);
  CHECK_THROWS_WITH(other.load_state_(file, "here"),
                    Catch::Contains("here: tensor 'optim/") && Catch::Contains("is missing"));
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

/// Names of the files in a folder of src/train.
std::set<std::string> files_of(const std::string& folder) {
  std::set<std::string> names;
  for (const auto& entry :
       std::filesystem::directory_iterator(std::filesystem::path(REGATTA_SOURCE_DIR) / "src" / "train" / folder)) {
    if (entry.path().extension() == ".cpp") {
      names.insert(entry.path().stem().string());
    }
  }
  return names;
}

TEST_CASE("each optimiser and schedule that a recipe may name is made, and each file has a row") {
  Parameters parameters;
  parameters.add("w", {3}, Init::constant(1.0));
  for (const OptimizerName& row : optimizer_names()) {
    OptimOptions options;
    options.name = row.name;
    options.amsgrad = row.amsgrad;
    CHECK(Optimizer(parameters, options).state().size() == (row.amsgrad ? 3 : 2));
  }
  std::set<std::string> files;
#define REGATTA_OPTIMIZER(file, name, amsgrad, help) files.insert(#file);
#include "regatta/config/optimizers.def"
#undef REGATTA_OPTIMIZER
  CHECK(files == files_of("optimizers"));
  std::set<std::string> schedules;
  for (const ScheduleName& row : schedule_names()) {
    OptimOptions options;
    options.schedule = row.name;
    options.horizon_epochs = 10;
    CHECK(learning_rate(options, 0) == options.lr);
    CHECK((learning_rate(options, 9) < options.lr) == row.has_horizon);
    schedules.insert(row.name);
  }
  CHECK(schedules == files_of("schedules"));
}

}  // namespace
}  // namespace regatta
