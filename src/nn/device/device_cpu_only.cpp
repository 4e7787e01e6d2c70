// A build whose LibTorch has no CUDA: there is no GPU, and `choose_device` says so.
#include "nn/device/device_memory.hpp"

namespace regatta::detail {

bool cuda_is_built() {
  return false;
}

int cuda_device_count() {
  return 0;
}

std::string cuda_device_name(int) {
  return "";
}

std::int64_t cuda_peak_bytes(int) {
  return 0;
}

std::int64_t cuda_free_bytes(int) {
  return 0;
}

void cuda_reset_peak(int) {}

void cuda_release_cached() {}

void cuda_synchronize(int) {}

CUstream_st* cuda_stream(int) {
  return nullptr;
}

std::string cuda_runtime_text() {
  return "";
}

}  // namespace regatta::detail
