#include "regatta/train/training_benchmark.hpp"

#include <algorithm>
#include <set>

#include "regatta/nn/device.hpp"
#include "regatta/train/backend_choice.hpp"
#include "regatta/train/evaluator.hpp"
#include "regatta/train/step_benchmark.hpp"
#include "regatta/train/trainer.hpp"
#include "train/benchmark_parts.hpp"
#include "train/data_place.hpp"
#include "train/step.hpp"
#include "train/torch_errors.hpp"

namespace regatta {
namespace {

constexpr int kWarmup = 2;

std::vector<ArchivePair> first_batch(const ResolvedRecipe& resolved, const Dataset& data) {
  const Recipe& recipe = resolved.recipe;
  const std::vector<ArchivePair>& all = data.pairs(recipe.data.train_split);
  std::vector<ArchivePair> pairs;
  for (const std::int64_t index :
       PairOrder(recipe.train.seed, std::ssize(all), recipe.train.batch, recipe.train.epoch_pairs).batch_of(0)) {
    pairs.push_back(all[static_cast<std::size_t>(index)]);
  }
  return pairs;
}

/// All volumes at the pace at which those of one batch are read, or of all where they are few.
double load_all_s(double spent_s, const std::vector<ArchivePair>& pairs, const Dataset& data) {
  std::set<std::int64_t> subjects;
  for (const ArchivePair& pair : pairs) {
    subjects.insert({pair.moving, pair.fixed});
  }
  const auto read = data.is_streamed() ? static_cast<double>(subjects.size()) : static_cast<double>(data.volumes());
  return spent_s * static_cast<double>(data.volumes()) / std::max(read, 1.0);
}

TrainingTimes measure(const ResolvedRecipe& resolved, const Archive& archive, int steps) {
  const Recipe& recipe = resolved.recipe;
  const at::Device device = choose_device(recipe.run.device);
  set_cpu_threads(recipe.run.threads > 0 ? recipe.run.threads : usable_cores());
  set_deterministic(recipe.run.tf32);
  TrainingTimes times;
  times.device = device_name(device);

  const double begin_s = system_clock().monotonic_s();
  const Dataset data = Dataset::load(archive, parts_of(recipe), device, least_subjects(recipe.train.batch));
  const std::vector<ArchivePair> pairs = first_batch(resolved, data);
  data.gather(pairs);
  synchronize(device);
  times.load_s = load_all_s(system_clock().monotonic_s() - begin_s, pairs, data);

  const Backend backend = choose_backend(recipe.run.backend, device);
  TrainingStep step(recipe, device, backend);
  std::int64_t update = 0;
  const auto whole_step = [&] { step.run_(data.gather(pairs), recipe.optim.lr, ++update); };
  repeat_ms(device, kWarmup, whole_step);
  times.step_ms = median(repeat_ms(device, steps, whole_step));

  const Evaluator evaluator(recipe.validation.metrics, backend);
  const std::vector<ArchivePair> one = {data.pairs(recipe.data.val_split).front()};
  const auto validation = [&] { evaluator.evaluate(step.inference(), data, one); };
  repeat_ms(device, Inference::kUncaptured + 1, validation);
  times.validation_pair_ms = median(repeat_ms(device, 1, validation));
  return times;
}

}  // namespace

TrainingTimes benchmark_training(const ResolvedRecipe& resolved, const Archive& archive, int steps) {
  const TrainingTimes times = with_torch_errors([&] { return measure(resolved, archive, steps); });
  release_cached(choose_device(resolved.recipe.run.device));
  return times;
}

}  // namespace regatta
