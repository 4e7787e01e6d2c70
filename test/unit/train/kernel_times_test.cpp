// Where benchmarks cut a step into phases, and that a CPU has no kernels to watch.
#include "regatta/train/kernel_times.hpp"

#include <ATen/ops/rand.h>

#include "regatta/config/baseline.hpp"
#include "regatta/nn/device.hpp"
#include "support/catch.hpp"
#include "train/step.hpp"

namespace regatta {
namespace {

PairState small_pair() {
  PairState pair;
  pair.moving = at::rand({1, 1, 16, 16, 16});
  pair.fixed = at::rand({1, 1, 16, 16, 16});
  return pair;
}

}  // namespace

TEST_CASE("a step that is observed ends its phases in order, and trains as one that is not") {
  set_deterministic(false);
  const Recipe recipe = baseline_recipe("voxelmorph-1");
  const PairState pair = small_pair();
  TrainingStep plain(recipe, at::kCPU, Backend::kReference);
  TrainingStep observed(recipe, at::kCPU, Backend::kReference);
  std::vector<std::string> phases;
  observed.observe_([&](const char* phase) { phases.emplace_back(phase); });
  plain.run_(pair, 1e-3, 1);
  observed.run_(pair, 1e-3, 1);
  CHECK(phases == std::vector<std::string>{"forward", "losses", "backward", "update"});
  const NamedTensors a = plain.weights();
  const NamedTensors b = observed.weights();
  for (std::size_t i = 0; i < a.size(); ++i) {
    INFO(a[i].first);
    CHECK(a[i].second.equal(b[i].second));
  }
}

TEST_CASE("on the CPU there are no kernels to watch") {
  KernelWatch watch(at::kCPU);
  CHECK(watch.take().empty());
  CHECK(total_ms({{"a", 2, 1.5}, {"b", 1, 0.25}}) == 1.75);
}

}  // namespace regatta
