// One optimiser step: network, weighted losses, backward pass, update. Holds all tensors of a training; knows nothing
// of files, epochs or validation. Which steps are skipped: skip_guard.hpp.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "regatta/config/recipe.hpp"
#include "regatta/nn/model.hpp"
#include "regatta/nn/weights.hpp"
#include "regatta/train/inference.hpp"
#include "regatta/train/optimizer.hpp"
#include "train/batch_share.hpp"
#include "train/captured_steps.hpp"
#include "train/comm.hpp"
#include "train/objective.hpp"
#include "train/skip_guard.hpp"

namespace regatta {

class TrainingStep {
 public:
  /// The network with weights drawn from the recipe's seed, on the device.
  /// @param comm  of the group over which each batch is spread, which outlives this object; null: none
  TrainingStep(const Recipe& recipe, const at::Device& device, Backend backend, Capture capture = Capture::kAllowed,
               Comm* comm = nullptr);

  Model& model() { return *model_; }
  const Objective& objective() const { return objective_; }

  /// One step without host synchronisation; on the fast backend replayed from a captured graph where it can be. If its
  /// loss or a gradient is not finite, weights, optimiser state and loss sums stay as they are; after `guard.max_skips`
  /// such steps in a row they do so for ever.
  /// In a group, gradients and losses are those of the whole batch, the same bits in all members.
  /// @param batch   images undefined: this process has no pair of it
  /// @param update  number of the update, from 1
  /// @param share   of a batch that is spread over a group
  void run_(const PairState& batch, double lr, std::int64_t update, const BatchShare& share = {});

  /// Forward passes by the weights as they are, which share the memory of captured steps.
  Inference& inference() { return *inference_; }

  /// From here on `after` is called at the end of each phase of a step that is not replayed: "forward", "losses",
  /// "backward", "update". For profiles.
  void observe_(std::function<void(const char* phase)> after) { after_phase_ = std::move(after); }

  /// Which steps were skipped since the last call. Synchronises.
  SkipReport take_skips_() { return guard_.take_report_(); }

  /// Means of "total" and of each unweighted part over the steps since `clear_sums_` that were not skipped; empty if
  /// there was none. Synchronises.
  std::map<std::string, double> mean_losses() const;
  void clear_sums_();

  /// Weights, optimiser state and loss sums, shared.
  NamedTensors state() const;

  /// Weights alone, shared.
  NamedTensors weights() const;

  /// Copies weights from a file, in the place of those drawn. @return what `load_parameters` converted
  /// @throws DataError for missing, surplus or differently shaped tensors
  std::string load_weights_(const SafetensorsFile& file, const std::string& source);

  /// Copies a state from a file; the guard lets updates through again. @throws DataError for missing, surplus or
  /// differently shaped tensors
  void load_(const SafetensorsFile& file, const std::string& source);

  /// What keeps the fast backend's steps from being captured, network or loss, and why; empty: nothing.
  const std::string& why_not_captured() const { return why_not_captured_; }

  /// How many steps were replayed.
  std::int64_t replays() const;

  /// What the device does in one replayed step: kernels, copies, fills; 0 before the first.
  std::int64_t captured_operations() const;

 private:
  void work_on_(const PairState& batch, const BatchShare& share, const UpdateNumbers& numbers);
  ObjectiveValues pass_(const PairState& batch, const BatchShare& share, const UpdateNumbers& numbers);
  void update_(const at::Tensor& total, std::vector<at::Tensor> parts, const UpdateNumbers& numbers);
  void end_phase(const char* phase) const {
    if (after_phase_) {
      after_phase_(phase);
    }
  }

  std::uint64_t seed_;
  Comm* comm_;  ///< null: no group
  std::unique_ptr<Model> model_;
  Objective objective_;
  std::unique_ptr<Optimizer> optimizer_;
  SkipGuard guard_;
  at::Tensor loss_sums_;  ///< [terms + 2] float64: terms, total, number of steps
  at::Tensor one_;        ///< scalar float32
  std::function<void(const char*)> after_phase_;
  std::string why_not_captured_;
  std::unique_ptr<Inference> inference_;
  std::unique_ptr<CapturedSteps> captured_;  ///< null: every step is given to the device operator by operator
};

}  // namespace regatta
