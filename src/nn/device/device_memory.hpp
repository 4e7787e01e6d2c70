// What needs CUDA's own headers. One of device_cuda.cpp and device_cpu_only.cpp is built.
#pragma once

#include <cstdint>
#include <string>

struct CUstream_st;

namespace regatta::detail {

bool cuda_is_built();
int cuda_device_count();
std::string cuda_device_name(int index);
std::int64_t cuda_peak_bytes(int index);
std::int64_t cuda_free_bytes(int index);
void cuda_reset_peak(int index);
void cuda_release_cached();
void cuda_synchronize(int index);

/// The stream that LibTorch gives work to, a cudaStream_t.
CUstream_st* cuda_stream(int index);

/// "13.0"; empty without CUDA.
std::string cuda_runtime_text();

}  // namespace regatta::detail
