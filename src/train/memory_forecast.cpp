// The training step itself, on the Meta device, under a counting allocator.
#include "regatta/train/memory_forecast.hpp"

#include <algorithm>

#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>

#include <nlohmann/json.hpp>

#include "regatta/nn/chip.hpp"
#include "regatta/nn/loss.hpp"
#include "regatta/nn/meta_memory.hpp"
#include "regatta/nn/model.hpp"
#include "regatta/train/backend_choice.hpp"
#include "train/data_place.hpp"
#include "train/step.hpp"
#include "train/torch_errors.hpp"

namespace regatta {
namespace {

/// What a captured step reserves beyond its tensors: 53 to 63 MiB for every network of
/// docs/benchmarks/h200-fast-networks.json that multiplies no matrices.
constexpr std::int64_t kCapturedReserve = std::int64_t{56} << 20;

at::Tensor volume(std::int64_t batch, const Shape3& shape, at::ScalarType type) {
  return at::empty({batch, 1, shape[0], shape[1], shape[2]}, at::device(at::kMeta).dtype(type));
}

PairState batch_of(std::int64_t batch, const Shape3& shape, std::int64_t label_count, bool in_unit_range) {
  PairState pair;
  pair.in_unit_range = in_unit_range;
  pair.moving = volume(batch, shape, at::kFloat);
  pair.fixed = volume(batch, shape, at::kFloat);
  pair.label_count = label_count;
  if (label_count > 0) {
    pair.moving_labels = volume(batch, shape, at::kByte);
    pair.fixed_labels = volume(batch, shape, at::kByte);
  }
  return pair;
}

bool needs_masks(const Recipe& recipe) {
  return std::any_of(recipe.losses.begin(), recipe.losses.end(), [](const auto& term) {
    const std::vector<std::string> needs = make_loss(term.first, term.second.options)->needs();
    return std::find(needs.begin(), needs.end(), "masks") != needs.end();
  });
}

/// The step's part of `MemoryNeed`.
MemoryNeed need_of_step(const Recipe& recipe, const Shape3& shape, std::int64_t label_count, Backend backend,
                        bool in_unit_range) {
  const MetaMemory memory;
  const FormRecord forms;
  TrainingStep step(recipe, at::Device(at::kMeta), backend);
  PairState batch = batch_of(recipe.train.batch, shape, label_count, in_unit_range);
  if (needs_masks(recipe)) {
    batch.moving_mask = volume(recipe.train.batch, shape, at::kByte);
    batch.fixed_mask = volume(recipe.train.batch, shape, at::kByte);
  }
  step.run_(batch, recipe.optim.lr, /*update=*/1);
  const std::int64_t reserve = backend == Backend::kFast ? kCapturedReserve : 0;
  return {.training = memory.peak_bytes() + reserve, .parts = forms.parts()};
}

std::int64_t peak_of_inference(const Recipe& recipe, const Shape3& shape, Backend backend) {
  const at::NoGradGuard no_grad;
  const MetaMemory memory;
  const auto model =
      make_model(recipe.model.name, recipe.model.options, network_context(recipe.run, at::Device(at::kMeta), backend));
  const PairState pair = batch_of(1, shape, 0, true);
  const ModelOutput output = model->forward(pair.moving, pair.fixed);
  return memory.peak_bytes();
}

}  // namespace

MemoryNeed memory_need(const Recipe& recipe, const Shape3& shape, std::int64_t label_count, Backend backend,
                       bool in_unit_range) {
  return with_torch_errors([&] {
    MemoryNeed need = need_of_step(recipe, shape, label_count, backend, in_unit_range);
    need.inference = peak_of_inference(recipe, shape, backend);
    return need;
  });
}

std::string step_forms(const ResolvedRecipe& resolved, Backend backend, const at::Device& device, bool in_unit_range) {
  if (backend == Backend::kReference) {
    return forms_text(backend, {});
  }
  const fast::ForecastFor chip(device);
  return forms_text(backend, with_torch_errors([&] {
                               return need_of_step(resolved.recipe, resolved.data.shape, resolved.data.label_count,
                                                   backend, in_unit_range);
                             }).parts);
}

std::int64_t MemoryForecast::bytes(const ResolvedRecipe& resolved) {
  return resolved.recipe.run.data == "streamed" ? least_bytes(resolved)
                                                : network_bytes(resolved) + resolved.data.resident_bytes;
}

std::int64_t MemoryForecast::least_bytes(const ResolvedRecipe& resolved) {
  const std::int64_t taking_turns = least_subjects(resolved.recipe.train.batch) * resolved.data.subject_bytes;
  const bool all = resolved.recipe.run.data == "resident";
  return network_bytes(resolved) +
         (all ? resolved.data.resident_bytes : std::min(taking_turns, resolved.data.resident_bytes));
}

const std::vector<PartForm>& MemoryForecast::parts(const ResolvedRecipe& resolved) {
  return need_of(resolved).parts;
}

const MemoryNeed& MemoryForecast::need_of(const ResolvedRecipe& resolved) {
  const Recipe& recipe = resolved.recipe;
  Json key;
  key["model"] = resolved.json.at("model");
  for (const auto& [name, term] : recipe.losses) {
    key["losses"][name] = {{"options", term.options}, {"sides", term.sides}, {"in_sum", term.weight != 0.0}};
  }
  key["shape"] = resolved.data.shape;
  key["labels"] = resolved.data.label_count;
  key["batch"] = recipe.train.batch;
  key["optimiser"] = recipe.optim.name;
  key["amsgrad"] = recipe.optim.amsgrad;
  const Backend backend = priced_backend(recipe.run);
  key["backend"] = backend_name(backend);
  key["channels_last"] = recipe.run.channels_last;
  const auto [entry, is_new] = known_.try_emplace(dump_canonical(key));
  if (is_new) {
    entry->second = memory_need(recipe, resolved.data.shape, resolved.data.label_count, backend);
  }
  return entry->second;
}

}  // namespace regatta
