// `regatta bench step`: one training step of a network, timed by stages.
#pragma once

#include <string>
#include <vector>

#include "regatta/config/json.hpp"
#include "regatta/train/step_benchmark.hpp"

namespace regatta::bench {

/// Checks NCC and, if the fast backend is measured, its gradients against float64; then times a step by each backend.
/// Prints a line per measurement.
/// @param options   `run.backend` is set here
/// @param backends  "fast", "reference"
/// @return docs/benchmarks has examples
/// @throws BugError if a check fails, DeviceError for a device that is absent
Json measure_step(StepBenchmarkOptions options, const std::vector<std::string>& backends);

}  // namespace regatta::bench
