// Which backend a training, registration or benchmark takes on this machine, and why it cannot be the fast one.
#pragma once

#include <string>

#include <ATen/core/Tensor.h>

#include "regatta/config/recipe.hpp"
#include "regatta/nn/parameters.hpp"

namespace regatta {

const char* backend_name(Backend backend);

/// Why the fast backend cannot run there; empty if it can. "this build has no CUDA kernels: no nvcc".
std::string why_not_fast(const at::Device& device);

/// @param text  of /run/backend: auto, fast or reference
/// @throws ConfigError for another text; DeviceError or NotBuilt where it says fast and that cannot be
Backend choose_backend(const std::string& text, const at::Device& device);

/// The same for a training that an earlier attempt began: `auto` is what that one had, as long as this machine can.
/// @param before  fast or reference
Backend continued_backend(const std::string& text, const std::string& before, const at::Device& device);

/// The backend that memory is told for where no device is known yet: fast, unless the settings rule it out.
Backend priced_backend(const RunOptions& run);

/// What a network is made with for a recipe's settings.
NetworkContext network_context(const RunOptions& run, const at::Device& device, Backend backend);

}  // namespace regatta
