// Forward passes over pair after pair: replayed from captured graphs on a GPU, with the network's own result.
#include "regatta/train/inference.hpp"

#include <iostream>

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>

#include <nlohmann/json.hpp>

#include "regatta/config/baseline.hpp"
#include "regatta/nn/device.hpp"
#include "regatta/train/backend_choice.hpp"
#include "support/catch.hpp"
#include "train/benchmark_parts.hpp"
#include "train/step.hpp"

namespace regatta {
namespace {

constexpr Shape3 kShape = {64, 96, 64};

/// Networks that are made for one size.
Json small_options(const std::string& name) {
  return name.ends_with("-affine") ? Json{{"size", {64, 96, 64}}} : Json::object();
}

/// Pairs of one size that differ.
std::vector<PairState> pairs_of(const Shape3& shape, int count, const at::Device& device) {
  const PairState all = head_pair(shape, count, device);
  std::vector<PairState> pairs(static_cast<std::size_t>(count));
  for (int i = 0; i < count; ++i) {
    pairs[static_cast<std::size_t>(i)].moving = all.moving.narrow(0, i, 1).clone();
    pairs[static_cast<std::size_t>(i)].fixed = all.fixed.narrow(0, i, 1).clone();
  }
  return pairs;
}

/// The field and the warped volume of `inference` are the network's own, to the bit.
void check_pass(Inference& inference, const PairState& pair) {
  const at::NoGradGuard no_gradients;
  const ModelOutput plain = inference.model().forward(pair.moving, pair.fixed);
  const ModelOutput passed = inference.run_(pair.moving, pair.fixed);
  CHECK(passed.flow.equal(plain.flow));
  CHECK(passed.warped.equal(plain.warped));
  CHECK(passed.regularised.equal(plain.regularised));
  CHECK(passed.inverse_flow.defined() == plain.inverse_flow.defined());
  CHECK((!plain.inverse_flow.defined() || passed.inverse_flow.equal(plain.inverse_flow)));
}

void scale_weights_(Model& model, double factor) {
  const at::NoGradGuard no_gradients;
  for (const Parameter& parameter : model.parameters().items()) {
    at::Tensor(parameter.value).mul_(factor);
  }
}

}  // namespace

TEST_CASE("on the CPU a pass is the network's own, and nothing is captured") {
  const auto model = make_model("voxelmorph-1", Json::object());
  model->parameters().initialise(3);
  Inference inference(*model, Backend::kReference);
  for (const PairState& pair : pairs_of({16, 16, 32}, 4, at::Device(at::kCPU))) {
    check_pass(inference, pair);
    scale_weights_(*model, 1.1);
  }
  CHECK_FALSE(inference
                  .run_(pairs_of({16, 16, 16}, 1, at::Device(at::kCPU))[0].moving,
                        pairs_of({16, 16, 16}, 1, at::Device(at::kCPU))[0].fixed)
                  .flow.requires_grad());
  CHECK(inference.replays() == 0);
  CHECK(inference.operations() == 0);
}

TEST_CASE("on a GPU passes of every network are captured and give its own result, after other weights too", "[gpu]") {
  const c10::Device device = choose_device("auto");
  if (!why_not_fast(device).empty()) {
    REGATTA_SKIP(why_not_fast(device));
  }
  set_deterministic(false);
  for (const ModelRow& row : model_rows()) {
    const std::string name = row.name;
    if (name.find("large") != std::string::npos || name.find("huge") != std::string::npos) {
      continue;
    }
    INFO(name);
    TrainingStep step(baseline_recipe(name, small_options(name)), device, Backend::kFast);
    const std::vector<PairState> pairs = pairs_of(kShape, 3, device);
    grow_field_(step.model(), pairs.front(), 1.5);
    for (int i = 0; i < 6; ++i) {
      if (i == 4) {
        scale_weights_(step.model(), 1.02);
      }
      check_pass(step.inference(), pairs[static_cast<std::size_t>(i) % pairs.size()]);
    }
    const bool captured = step.model().why_not_captured().empty();
    std::cout << name << ": " << step.inference().operations() << " operations a pass" << std::endl;
    CHECK(step.inference().replays() == (captured ? 4 : 0));
  }
}

TEST_CASE("on a GPU passes of other sizes have graphs of their own, and weights that moved are followed", "[gpu]") {
  const c10::Device device = choose_device("auto");
  if (!why_not_fast(device).empty()) {
    REGATTA_SKIP(why_not_fast(device));
  }
  set_deterministic(false);
  TrainingStep step(baseline_recipe("voxelmorph-2"), device, Backend::kFast);
  const std::vector<PairState> small = pairs_of(kShape, 2, device);
  const std::vector<PairState> other = pairs_of({48, 64, 80}, 2, device);
  grow_field_(step.model(), small.front(), 1.5);
  for (int i = 0; i < 6; ++i) {
    check_pass(step.inference(), small[static_cast<std::size_t>(i) % 2]);
    check_pass(step.inference(), other[static_cast<std::size_t>(i) % 2]);
  }
  CHECK(step.inference().replays() == 8);
  {
    const at::NoGradGuard no_gradients;
    for (const Parameter& parameter : step.model().parameters().items()) {
      at::Tensor(parameter.value).set_data(parameter.value.mul(0.9));
    }
  }
  check_pass(step.inference(), small.front());
  CHECK(step.inference().replays() == 9);
}

TEST_CASE("on a GPU validations between captured steps change no step, and see its weights", "[gpu]") {
  const c10::Device device = choose_device("auto");
  if (!why_not_fast(device).empty()) {
    REGATTA_SKIP(why_not_fast(device));
  }
  set_deterministic(false);
  const bool first = GENERATE(true, false);  // whether the first validation comes before the first step
  const std::vector<PairState> pairs = pairs_of(kShape, 3, device);
  const auto train = [&](bool validates) {
    TrainingStep step(baseline_recipe("voxelmorph-2"), device, Backend::kFast);
    grow_field_(step.model(), pairs.front(), 1.5);
    for (int i = 0; i < 10; ++i) {
      if (validates && (i > 0 || first) && i % 3 == 0) {
        for (const PairState& pair : pairs) {
          check_pass(step.inference(), pair);
        }
      }
      step.run_(pairs[static_cast<std::size_t>(i) % pairs.size()], 1e-3, i + 1);
    }
    CHECK(step.take_skips_().skipped == 0);
    CHECK(step.inference().replays() == (validates ? (first ? 10 : 7) : 0));
    NamedTensors state;
    for (const auto& [name, tensor] : step.state()) {
      state.emplace_back(name, tensor.detach().cpu().clone());
    }
    return state;
  };
  const NamedTensors with = train(true);
  const NamedTensors without = train(false);
  REQUIRE(with.size() == without.size());
  for (std::size_t i = 0; i < with.size(); ++i) {
    INFO(with[i].first);
    CHECK(with[i].second.equal(without[i].second));
  }
}

TEST_CASE("on a GPU captured passes need no memory beside that of captured steps", "[gpu]") {
  const c10::Device device = choose_device("auto");
  if (!why_not_fast(device).empty()) {
    REGATTA_SKIP(why_not_fast(device));
  }
  set_deterministic(false);
  const PairState pair = head_pair({96, 128, 96}, 1, device);
  TrainingStep step(baseline_recipe("voxelmorph-2"), device, Backend::kFast);
  for (int i = 0; i < 4; ++i) {
    step.run_(pair, 1e-4, i + 1);
  }
  for (int i = 0; i < Inference::kUncaptured; ++i) {
    step.inference().run_(pair.moving, pair.fixed);
  }
  const PeakMeter meter(device);
  {
    const at::NoGradGuard no_gradients;
    step.model().forward(pair.moving, pair.fixed);
  }
  const std::int64_t alone = meter.bytes();
  synchronize(device);
  const std::int64_t free = free_device_bytes(device);
  for (int i = 0; i < 3; ++i) {
    step.inference().run_(pair.moving, pair.fixed);
  }
  synchronize(device);
  CHECK(step.inference().replays() == 3);
  const std::int64_t more = free - free_device_bytes(device);
  std::cout << "captured passes took " << more << " bytes more, by themselves they need " << alone << std::endl;
  CHECK(alone > static_cast<std::int64_t>(4 * pair.fixed.nbytes()));
  CHECK(more < alone / 4);
}

}  // namespace regatta
