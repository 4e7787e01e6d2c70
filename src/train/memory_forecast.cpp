// Measurement of a forward pass's memory through LibTorch's own hook for memory profilers.
#include "regatta/train/memory_forecast.hpp"

#include <algorithm>
#include <memory>
#include <unordered_map>
#include <vector>

#include <ATen/ops/full.h>
#include <c10/core/Allocator.h>
#include <c10/util/ThreadLocalDebugInfo.h>

#include <nlohmann/json.hpp>

#include "regatta/nn/loss.hpp"
#include "regatta/nn/model.hpp"
#include "train/torch_errors.hpp"

namespace regatta {
namespace {

constexpr std::int64_t kSmallestEdge = 32;

/// Keeps the sizes of what the CPU allocator has given and not taken back in this thread.
class LiveBytes final : public c10::MemoryReportingInfoBase {
 public:
  void reportMemoryUsage(void* block, std::int64_t bytes, std::size_t, std::size_t, c10::Device) override {
    if (bytes > 0) {
      live_[block] = bytes;
    } else {
      live_.erase(block);
    }
  }

  bool memoryProfilingEnabled() const override { return true; }

  std::int64_t sum() const {
    std::int64_t bytes = 0;
    for (const auto& [block, size] : live_) {
      bytes += size;
    }
    return bytes;
  }

  std::int64_t largest() const {
    std::int64_t bytes = 0;
    for (const auto& [block, size] : live_) {
      bytes = std::max(bytes, size);
    }
    return bytes;
  }

 private:
  std::unordered_map<void*, std::int64_t> live_;
};

struct Kept {
  std::int64_t sum = 0;
  std::int64_t largest = 0;
};

/// What batch, network output and losses hold before the backward pass starts.
Kept measure_forward(const Recipe& recipe, std::int64_t edge) {
  const auto model = make_model(recipe.model.name, recipe.model.options);
  model->parameters().initialise(0);
  model->set_channels_last(recipe.run.channels_last);
  const auto live = std::make_shared<LiveBytes>();
  const c10::DebugInfoGuard guard(c10::DebugInfoKind::PROFILER_STATE, live);
  PairState pair;
  pair.moving = at::full({1, 1, edge, edge, edge}, 0.25);
  pair.fixed = at::full({1, 1, edge, edge, edge}, 0.5);
  pair = with_output(pair, model->forward(pair.moving, pair.fixed));
  std::vector<at::Tensor> losses;
  for (const auto& [name, term] : recipe.losses) {
    losses.push_back(make_loss(name, term.options)->value(pair));
  }
  return {live->sum(), live->largest()};
}

}  // namespace

std::int64_t MemoryForecast::bytes(const ResolvedRecipe& resolved) {
  const Recipe& recipe = resolved.recipe;
  Json key;
  key["model"] = resolved.json.at("model");
  for (const auto& [name, term] : recipe.losses) {
    key["losses"][name] = term.options;
  }
  key["channels_last"] = recipe.run.channels_last;
  const auto [entry, is_new] = measured_.try_emplace(dump_canonical(key));
  if (is_new) {
    const std::int64_t multiple = resolved.size_multiple;
    const std::int64_t edge = (kSmallestEdge + multiple - 1) / multiple * multiple;
    const Kept kept = with_torch_errors([&] { return measure_forward(recipe, edge); });
    const auto voxels = static_cast<double>(edge * edge * edge);
    entry->second = {static_cast<double>(kept.sum) / voxels, static_cast<double>(kept.largest) / voxels};
  }
  const PerVoxel& per_voxel = entry->second;
  const double copies = recipe.optim.amsgrad ? 5.0 : 4.0;  // weights, gradients, two or three moments
  const double voxels = static_cast<double>(voxel_count(resolved.data.shape)) * recipe.train.batch;
  const double step = (per_voxel.kept + 2.0 * per_voxel.largest) * voxels;
  return static_cast<std::int64_t>(step + 4.0 * copies * static_cast<double>(resolved.parameters)) +
         resolved.data.resident_bytes;
}

}  // namespace regatta
