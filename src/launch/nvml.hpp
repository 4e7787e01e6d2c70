// The few facts that we take from NVML, NVIDIA's management library, loaded at run time where the driver brought it.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace regatta {

/// UUIDs of the GPUs that this process may use, in PCI order. Nothing where there is no working NVML.
std::optional<std::vector<std::string>> nvml_uuids();

}  // namespace regatta
