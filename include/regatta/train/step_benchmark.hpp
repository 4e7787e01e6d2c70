// Times one training step and checks in the same run that the fast loss gives what the slow one gives. Used by
// `regatta bench step`; no files are written here.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "regatta/config/json.hpp"
#include "regatta/config/recipe.hpp"
#include "regatta/nn/forms.hpp"
#include "regatta/train/kernel_times.hpp"
#include "regatta/train/validation_benchmark.hpp"
#include "regatta/volume/archive.hpp"

namespace regatta {

struct StepBenchmarkOptions {
  std::optional<Recipe> recipe;  ///< its network, losses and optimiser; none: `baseline_recipe` of what follows
  std::string model = ModelChoice().name;
  Json model_options = Json::object();
  Shape3 shape = {160, 192, 224};
  int batch = 1;
  int ncc_window = 9;
  int warmup = 4;
  int steps = 10;
  RunOptions run;
  std::string archive;  ///< its first training pair is taken, with its size; empty: made-up heads of `shape`
  int labels = 36;      ///< of made-up heads where a loss needs them, the background included
  bool sm80 = false;    ///< the fast backend as a GPU of compute capability 8.0 runs it
};

/// What the GPU does in one phase of a step.
struct PhaseTime {
  std::string name;  ///< forward, losses, backward, update
  double ms = 0.0;   ///< of its kernels, copies and fills together
  std::vector<KernelTime> kernels;
};

/// Milliseconds of each timed repetition, and what was on the device meanwhile.
struct StepTimes {
  std::vector<double> step_ms;                         ///< whole steps, as in training
  std::vector<double> inference_ms;                    ///< forward pass without gradients, as in validation
  bool inference_captured = false;                     ///< those were replays
  std::vector<double> uncaptured_inference_ms;         ///< the same by the network itself, as in `register`
  ValidationTimes validation;                          ///< of the pair with labels, beside inference
  std::vector<double> forward_ms;                      ///< forward pass that keeps what the backward pass needs
  std::map<std::string, std::vector<double>> loss_ms;  ///< value and gradient of each loss alone, by its name
  std::vector<double> guard_ms;                        ///< the look for losses and gradients that are not finite
  std::int64_t peak_bytes = 0;                         ///< of the whole steps
  double first_loss = 0.0;
  double last_loss = 0.0;
  std::string backend;            ///< that was measured
  std::string backend_parts;      ///< what of a step runs by reference: see forms_text
  std::vector<PartForm> parts;    ///< of the first step
  double mean_field = 0.0;        ///< mean |u| at the beginning, voxels
  std::int64_t replays = 0;       ///< steps that were replayed from a captured graph
  std::int64_t operations = 0;    ///< of the device in one captured step: kernels, copies, fills; 0: not captured
  std::vector<PhaseTime> phases;  ///< of one step that was not captured; empty on the CPU
  double kernels_ms = 0.0;        ///< what the GPU works in one whole step, under a profiler
  Shape3 shape{};                 ///< of the volumes
};

/// Steps given to the device one after the other in each sample of `step_ms`, as in training.
inline constexpr int kStepsPerSample = 5;

/// Made-up heads on a background of zeros, weights whose fields have grown, a recipe's losses or those of the published
/// baselines. Whole steps run as in training, without synchronisation inside; the parts are timed one by one
/// afterwards.
/// @throws ConfigError for a loss that needs masks or key-points, which made-up heads have not
StepTimes benchmark_step(const StepBenchmarkOptions& options);

/// One step's loss, field and gradients against those by reference in float64, same weights and pair.
struct Agreement {
  double loss_relative = 0.0;
  double flow_relative = 0.0;      ///< norm of the difference / norm of the exact one
  double gradient_relative = 0.0;  ///< the same over all parameters together
  double worst_gradient = 0.0;     ///< of one parameter alone
  std::string worst_parameter;
};

struct BackendAgreement {
  Agreement fast;
  Agreement reference;      ///< float32 without TF32
  double mean_field = 0.0;  ///< mean |u|, voxels
  Shape3 shape{};
};

/// @param shape  of made-up heads; an archive's pair has its own
BackendAgreement compare_backends(const StepBenchmarkOptions& options, const Shape3& shape);

/// NCC's loss against the kernels' reference in float64, on the same tensors.
struct NccAgreement {
  double value_relative = 0.0;     ///< |loss - reference| / |reference|
  double gradient_relative = 0.0;  ///< norm of the difference of the gradients / norm of the reference's
};

/// @param shape  small enough for float64 on the CPU
NccAgreement compare_ncc(const Shape3& shape, int window, const std::string& device);

double median(std::vector<double> values);

}  // namespace regatta
