// Checked CUDA calls and launches.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

#include "regatta/base/error.hpp"

/// REGATTA_CUDA(cudaFuncSetAttribute(...))
#define REGATTA_CUDA(call)                                                                                        \
  do {                                                                                                            \
    const cudaError_t regatta_status = (call);                                                                    \
    REGATTA_REQUIRE(regatta_status == cudaSuccess, DeviceError, #call, ": ", cudaGetErrorString(regatta_status)); \
  } while (false)

namespace regatta::kernels {

/// After every launch. @throws DeviceError that names the kernel
inline void check_launch(const char* kernel) {
  const cudaError_t status = cudaGetLastError();
  REGATTA_REQUIRE(status == cudaSuccess, DeviceError, "kernel ", kernel, ": ", cudaGetErrorString(status));
}

constexpr long long divide_up(long long a, long long b) {
  return (a + b - 1) / b;
}

inline bool is_aligned(const void* pointer, std::uintptr_t bytes) {
  return reinterpret_cast<std::uintptr_t>(pointer) % bytes == 0;
}

}  // namespace regatta::kernels
