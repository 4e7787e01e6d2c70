#include "regatta/train/split_evaluation.hpp"

#include <algorithm>
#include <memory>

#include <ATen/core/Tensor.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/zeros_like.h>

#include "regatta/base/clock.hpp"
#include "regatta/base/error.hpp"
#include "regatta/base/text.hpp"
#include "regatta/nn/device.hpp"
#include "regatta/nn/metric.hpp"
#include "regatta/train/dataset.hpp"
#include "train/network_answer.hpp"

namespace regatta {
namespace {

bool has_inputs(const Archive& archive, const ArchivePair& pair, std::string_view needs) {
  const auto& subjects = archive.subjects();
  if (needs == "labels") {
    return subjects[static_cast<std::size_t>(pair.fixed)].has_labels &&
           subjects[static_cast<std::size_t>(pair.moving)].has_labels;
  }
  return needs != "key-points" || !keypoints_of(subjects, pair).fixed.empty();
}

std::vector<std::unique_ptr<Metric>> make_metrics(const std::vector<std::string>& names, const Archive& archive,
                                                  const std::string& split, const std::vector<ArchivePair>& pairs) {
  std::vector<std::unique_ptr<Metric>> out;
  for (const std::string& name : names) {
    const MetricRow& row = find_metric(name);
    const bool any = std::any_of(pairs.begin(), pairs.end(),
                                 [&](const ArchivePair& pair) { return has_inputs(archive, pair, row.needs); });
    REGATTA_REQUIRE(any, ConfigError, archive.path().string(), ": metric '", name, "' needs ", row.needs,
                    ", no pair of split '", split, "' has them: --metrics names others");
    out.push_back(row.make());
  }
  return out;
}

std::map<std::string, double> measure_all_of(const std::vector<std::unique_ptr<Metric>>& metrics, const PairState& pair,
                                             bool initially) {
  std::vector<const Metric*> wanted;
  for (const std::unique_ptr<Metric>& one : metrics) {
    if (!initially || one->ranks_difficulty()) {
      wanted.push_back(one.get());
    }
  }
  std::map<std::string, double> out;
  for (const Measured& measured : measure_all(wanted, pair)) {
    out.insert(measured.begin(), measured.end());
  }
  return out;
}

}  // namespace

std::vector<SplitCase> evaluate_split(TrainedModel& trained, const Archive& archive, const std::string& split,
                                      const std::vector<std::string>& metrics, const NetworkRun& run,
                                      const std::function<void(std::int64_t, std::int64_t)>& on_pair) {
  const at::Device device = choose_device(run.device);
  set_deterministic(trained.recipe.run.tf32);
  const at::NoGradGuard no_grad;
  const DataOptions& data = trained.recipe.data;
  const DatasetParts parts{{split}, data.moving_modality, data.fixed_modality};
  const std::vector<ArchivePair> pairs = archive.pairs(split);
  REGATTA_REQUIRE(!pairs.empty(), ConfigError, archive.path().string(), ": split '", one_line(split, 60),
                  "' has no pairs, have: ", join(archive.splits(), ", "));
  const std::vector<std::unique_ptr<Metric>> wanted =
      make_metrics(metrics.empty() ? trained.recipe.validation.metrics : metrics, archive, split, pairs);
  const Dataset dataset = Dataset::load(archive, parts, device);
  move_to(trained, device);
  std::vector<SplitCase> out;
  for (const ArchivePair& pair : pairs) {
    PairState state = dataset.gather({pair});
    state.reading.values = archive.label_ids();
    state.backend = trained.model->context().backend;
    SplitCase one;
    one.name = str(dataset.subject_id(pair.moving), "_to_", dataset.subject_id(pair.fixed));
    synchronize(device);
    const double start = system_clock().monotonic_s();
    NetworkAnswer answer(trained, state);
    if (run.refine.iterations > 0) {
      answer.refine(run.refine);
    }
    synchronize(device);
    one.network_s = system_clock().monotonic_s() - start;
    PairState still = state;
    still.warped = state.moving;
    still.flow = at::zeros_like(answer.output().flow);
    still.regularised = still.flow;
    one.initial = measure_all_of(wanted, still, true);
    PairState registered = with_output(state, answer.output());
    registered.network_s = one.network_s;
    one.values = measure_all_of(wanted, registered, false);
    out.push_back(std::move(one));
    if (on_pair) {
      on_pair(static_cast<std::int64_t>(out.size()), static_cast<std::int64_t>(pairs.size()));
    }
  }
  return out;
}

}  // namespace regatta
