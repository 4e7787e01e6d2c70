// The few facts that we take from NVML, NVIDIA's management library, loaded at run time where the driver brought it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace regatta {

struct NvmlGpu {
  std::string uuid;
  std::string name;               ///< "NVIDIA A100-SXM4-40GB"; empty: not told
  std::int64_t memory_bytes = 0;  ///< in all; 0: not told
  std::int64_t used_bytes = 0;    ///< by all processes
};

struct NvmlReport {
  std::string driver;         ///< "580.65.06"; empty: not told
  std::vector<NvmlGpu> gpus;  ///< that this process may use, in PCI order
};

/// Nothing where there is no working NVML.
std::optional<NvmlReport> nvml_report();

}  // namespace regatta
