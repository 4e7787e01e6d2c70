// Devices and memory by LibTorch's CUDA allocator and the CUDA runtime.
#include "nn/device/device_memory.hpp"

#include <ATen/cuda/CUDAContextLight.h>
#include <c10/cuda/CUDACachingAllocator.h>
#include <c10/cuda/CUDAFunctions.h>
#include <c10/cuda/CUDAStream.h>

#include "regatta/base/text.hpp"

namespace regatta::detail {

bool cuda_is_built() {
  return true;
}

int cuda_device_count() {
  return c10::cuda::device_count();  // 0 without a driver, without an error
}

std::string cuda_device_name(int index) {
  return at::cuda::getDeviceProperties(static_cast<c10::DeviceIndex>(index))->name;
}

std::int64_t cuda_peak_bytes(int index) {
  if (!c10::cuda::CUDACachingAllocator::get()->initialized()) {
    return 0;  // no tensor has been on a GPU yet
  }
  const auto stats = c10::cuda::CUDACachingAllocator::getDeviceStats(static_cast<c10::DeviceIndex>(index));
  return stats.allocated_bytes[0].peak;  // [0]: all pools together
}

std::int64_t cuda_free_bytes(int index) {
  const auto device = static_cast<c10::DeviceIndex>(index);
  auto bytes = static_cast<std::int64_t>(c10::getDeviceAllocator(c10::kCUDA)->getMemoryInfo(device).first);
  if (c10::cuda::CUDACachingAllocator::get()->initialized()) {
    const auto stats = c10::cuda::CUDACachingAllocator::getDeviceStats(device);
    bytes += stats.reserved_bytes[0].current - stats.allocated_bytes[0].current;
  }
  return bytes;
}

void cuda_reset_peak(int index) {
  if (c10::cuda::CUDACachingAllocator::get()->initialized()) {
    c10::cuda::CUDACachingAllocator::resetPeakStats(static_cast<c10::DeviceIndex>(index));
  }
}

void cuda_release_cached() {
  if (c10::cuda::CUDACachingAllocator::get()->initialized()) {
    at::cuda::clearCublasWorkspaces();  // one for each stream that a graph was captured on
    c10::cuda::CUDACachingAllocator::emptyCache();
  }
}

void cuda_synchronize(int index) {
  const auto before = c10::cuda::current_device();
  c10::cuda::set_device(static_cast<c10::DeviceIndex>(index));
  c10::cuda::device_synchronize();
  c10::cuda::set_device(before);
}

CUstream_st* cuda_stream(int index) {
  return c10::cuda::getCurrentCUDAStream(static_cast<c10::DeviceIndex>(index)).stream();
}

std::string cuda_runtime_text() {
  return str(CUDART_VERSION / 1000, ".", CUDART_VERSION % 1000 / 10);
}

}  // namespace regatta::detail
