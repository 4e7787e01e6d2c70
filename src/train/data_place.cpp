#include "train/data_place.hpp"

#include <algorithm>

#include "regatta/nn/chip.hpp"
#include "regatta/nn/device.hpp"
#include "regatta/train/backend_choice.hpp"
#include "regatta/train/memory_forecast.hpp"

namespace regatta {
namespace {

constexpr double kForecastMargin = 1.2;                     // forecasts are up to 15 % low
constexpr std::int64_t kReserve = std::int64_t{768} << 20;  // context, cuDNN's workspaces
constexpr double kSmallPart = 0.25;                         // of the free memory

}  // namespace

std::int64_t least_subjects(int batch) {
  return 4 * std::int64_t{batch};  // two steps, two subjects a pair
}

std::int64_t subjects_to_hold(const DataFacts& data, const std::string& wanted, int batch, std::int64_t room) {
  if (wanted == "resident" || (wanted == "auto" && data.resident_bytes <= room)) {
    return 0;
  }
  const std::int64_t least = least_subjects(batch);
  if (wanted == "streamed") {
    return least;
  }
  return std::max(least, std::max<std::int64_t>(0, room) / std::max<std::int64_t>(1, data.subject_bytes));
}

std::int64_t subjects_to_hold(const ResolvedRecipe& resolved, const c10::Device& device) {
  const Recipe& recipe = resolved.recipe;
  const std::int64_t free = free_device_bytes(device);
  const bool small = static_cast<double>(resolved.data.resident_bytes) <= kSmallPart * static_cast<double>(free);
  if (recipe.run.data != "auto" || small) {  // no forecast is needed
    return subjects_to_hold(resolved.data, recipe.run.data, recipe.train.batch, small ? free : 0);
  }
  const fast::ForecastFor chip(device);
  const MemoryNeed need =
      memory_need(recipe, resolved.data.shape, resolved.data.label_count, choose_backend(recipe.run.backend, device));
  const auto network = static_cast<std::int64_t>(kForecastMargin * static_cast<double>(need.training));
  return subjects_to_hold(resolved.data, recipe.run.data, recipe.train.batch, free - network - kReserve);
}

}  // namespace regatta
