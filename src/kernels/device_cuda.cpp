// The build with CUDA kernels.
#include <cuda_runtime_api.h>

#include <algorithm>

#include "kernels/launch.cuh"
#include "regatta/kernels/device.hpp"

namespace regatta::kernels {

bool built() {
  return true;
}

std::string build_text() {
  return REGATTA_KERNELS_WHY;
}

Capability capability(int device) {
  const auto ask = [device](cudaDeviceAttr what) {
    int value = 0;
    REGATTA_CUDA(cudaDeviceGetAttribute(&value, what, device));
    return value;
  };
  return {ask(cudaDevAttrComputeCapabilityMajor), ask(cudaDevAttrComputeCapabilityMinor),
          ask(cudaDevAttrMultiProcessorCount), static_cast<std::size_t>(ask(cudaDevAttrMaxSharedMemoryPerBlockOptin))};
}

}  // namespace regatta::kernels
