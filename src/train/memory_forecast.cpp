// Measurement of a step's memory through LibTorch's own hook for memory profilers.
#include "regatta/train/memory_forecast.hpp"

#include <algorithm>
#include <memory>

#include <ATen/ops/full.h>
#include <c10/core/Allocator.h>
#include <c10/util/ThreadLocalDebugInfo.h>

#include <nlohmann/json.hpp>

#include "train/step.hpp"
#include "train/torch_errors.hpp"

namespace regatta {
namespace {

/// Sums up what the CPU allocator gives and takes back in this thread.
class PeakCounter final : public c10::MemoryReportingInfoBase {
 public:
  void reportMemoryUsage(void*, std::int64_t bytes, std::size_t, std::size_t, c10::Device) override {
    held_ += bytes;
    peak_ = std::max(peak_, held_);
  }

  bool memoryProfilingEnabled() const override { return true; }

  std::int64_t peak() const { return peak_; }

 private:
  std::int64_t held_ = 0;
  std::int64_t peak_ = 0;
};

/// Peak of two steps (the second one has gradients and moments beside its activations).
std::int64_t peak_of_steps(const Recipe& recipe, const Shape3& shape) {
  const auto counter = std::make_shared<PeakCounter>();
  const c10::DebugInfoGuard guard(c10::DebugInfoKind::PROFILER_STATE, counter);
  TrainingStep step(recipe, at::kCPU);
  for (int update = 1; update <= 2; ++update) {
    PairState batch;
    batch.moving = at::full({recipe.train.batch, 1, shape[0], shape[1], shape[2]}, 0.25);
    batch.fixed = at::full({recipe.train.batch, 1, shape[0], shape[1], shape[2]}, 0.5);
    step.run_(std::move(batch), 0.0, update);
  }
  return counter->peak();
}

}  // namespace

std::int64_t MemoryForecast::bytes(const ResolvedRecipe& resolved) {
  Json key;
  key["model"] = resolved.json.at("model");
  key["losses"] = resolved.json.at("losses");
  key["optim"] = resolved.json.at("optim");
  key["batch"] = resolved.recipe.train.batch;
  key["channels_last"] = resolved.recipe.run.channels_last;
  for (auto& term : key["losses"]) {
    term.erase("weight");
  }
  for (const char* number : {"lr", "beta1", "beta2", "eps", "weight_decay", "power", "horizon_epochs", "schedule"}) {
    key["optim"].erase(number);
  }
  const auto [entry, is_new] = measured_.try_emplace(dump_canonical(key));
  Line& line = entry->second;
  if (is_new) {
    const std::int64_t edge = 2 * std::max(resolved.size_multiple, 16);
    const Shape3 small = {edge, edge, edge};
    const Shape3 large = {2 * edge, edge, edge};
    const auto at_small = static_cast<double>(with_torch_errors([&] { return peak_of_steps(resolved.recipe, small); }));
    const auto at_large = static_cast<double>(with_torch_errors([&] { return peak_of_steps(resolved.recipe, large); }));
    const auto voxels = static_cast<double>(voxel_count(small));
    line.per_voxel = (at_large - at_small) / voxels;
    line.constant = at_small - line.per_voxel * voxels;
  }
  const double peak = line.constant + line.per_voxel * static_cast<double>(voxel_count(resolved.data.shape));
  return static_cast<std::int64_t>(peak) + resolved.data.resident_bytes;
}

}  // namespace regatta
