// `regatta bench networks`: times and memory of whole networks.
#pragma once

#include <string>
#include <vector>

#include "regatta/config/json.hpp"
#include "regatta/train/network_benchmark.hpp"

namespace regatta::bench {

/// Measures each network in turn by each backend and prints a line each. One that fails is a row with its error.
/// @param names     "voxelmorph-2,transmorph" or "all"
/// @param backends  fast, reference
/// @param options  of every network; `model` is set here
/// @throws ConfigError for a network that there is not, or files to read or write with more than one network
Json measure_networks(const std::string& names, const std::vector<std::string>& backends,
                      const NetworkBenchmarkOptions& options);

}  // namespace regatta::bench
