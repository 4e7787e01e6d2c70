// Times a network and measures its memory beside the forecast. Used by `regatta bench networks`; no files but the
// weights and the field that are asked for.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "regatta/config/recipe.hpp"
#include "regatta/nn/forms.hpp"
#include "regatta/train/memory_forecast.hpp"

namespace regatta {

struct NetworkBenchmarkOptions {
  std::string model;
  Shape3 shape = {160, 192, 224};
  int warmup = 2;
  int steps = 5;
  bool inference_only = false;
  RunOptions run;
  std::string weights;       ///< safetensors file to start from; empty: drawn from seed 0
  std::string save_weights;  ///< safetensors file to write the weights to; empty: none
  std::string save_flow;     ///< safetensors file for the field of the made-up pair, tensor "flow"; empty: none
};

/// Milliseconds of each timed repetition, and what was in memory meanwhile.
struct NetworkTimes {
  std::int64_t parameters = 0;
  std::vector<double> inference_ms;             ///< forward pass without gradients, as in validation
  bool inference_captured = false;              ///< those were replays
  std::vector<double> uncaptured_inference_ms;  ///< the same by the network itself, as in `register`
  std::vector<double> forward_ms;               ///< forward pass that keeps what the backward pass needs
  std::vector<double> step_ms;  ///< whole steps of `baseline_recipe`, each the mean of some without waiting
  MemoryNeed measured;          ///< peaks on the GPU; 0 on the CPU
  MemoryNeed forecast;
  std::int64_t host_bytes_before = 0;  ///< of the process, before the forward passes without gradients
  std::int64_t host_bytes_peak = 0;    ///< during them
  double loss = 0.0;
  double gradient_norm = 0.0;         ///< over all parameters
  std::int64_t without_gradient = 0;  ///< parameters whose gradient is zero everywhere
  double mean_field = 0.0;            ///< mean |u| of the steps that are timed, at first, voxels
  std::vector<PartForm> parts;        ///< of a step, by kernel, cuDNN or reference
  std::string forms;                  ///< the same as a sentence
  double flow_max = 0.0;              ///< largest component of the field, voxels
};

/// Batch 1. Inference is of smooth made-up volumes; training of made-up heads, from weights whose fields have grown. In
/// the same run it is checked that the field is finite and, when training is measured, that the loss and all gradients
/// are finite and not all of them zero.
/// @throws ConfigError, DataError (a shape that the network does not take), Error with exit code 12 (out of memory),
///         BugError where a check fails
NetworkTimes benchmark_network(const NetworkBenchmarkOptions& options);

}  // namespace regatta
