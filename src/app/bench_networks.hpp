// The part of `regatta bench` that measures whole networks, and what all its reports have in common.
#pragma once

#include <string>
#include <vector>

#include "regatta/config/json.hpp"
#include "regatta/train/network_benchmark.hpp"

namespace regatta::app {

/// What every report names: build, libraries, device, time, size and settings of the run.
Json bench_head(const std::string& benchmark, const Shape3& shape, const RunOptions& run);

/// {"median", "min", "max"}
Json bench_spread(const std::vector<double>& values);

/// Measures each network in turn by each backend and prints a line each. One that fails is a row with its error.
/// @param names     "voxelmorph-2,transmorph" or "all"
/// @param backends  fast, reference
/// @param options  of every network; `model` is set here
/// @throws ConfigError for a network that there is not, or files to read or write with more than one network
Json bench_networks(const std::string& names, const std::vector<std::string>& backends,
                    const NetworkBenchmarkOptions& options);

}  // namespace regatta::app
