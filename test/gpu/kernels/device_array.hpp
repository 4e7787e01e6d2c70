// Device memory of the tests: poisoned, and with a margin on both sides that must stay as it was.
#pragma once

#include <cstddef>
#include <cstring>
#include <utility>
#include <vector>

#include <cuda_runtime_api.h>

#include "kernels/launch.cuh"

namespace regatta::kernels {

inline bool has_gpu() {
  int count = 0;
  return cudaGetDeviceCount(&count) == cudaSuccess && count > 0;
}

inline void wait_for_gpu() {
  REGATTA_CUDA(cudaDeviceSynchronize());
}

/// `count` elements of 0xff bytes: NaN as float32 and bfloat16, -1 as integers.
template <class T>
class DeviceArray {
 public:
  explicit DeviceArray(std::size_t count) : count_(count) {
    void* memory = nullptr;
    REGATTA_CUDA(cudaMalloc(&memory, bytes() + 2 * kMargin));
    memory_ = static_cast<unsigned char*>(memory);
    REGATTA_CUDA(cudaMemset(memory_, 0xff, bytes() + 2 * kMargin));
  }

  explicit DeviceArray(const std::vector<T>& values) : DeviceArray(values.size()) { set(values); }

  DeviceArray(DeviceArray&& other) noexcept
      : count_(std::exchange(other.count_, 0)), memory_(std::exchange(other.memory_, nullptr)) {}

  DeviceArray(const DeviceArray&) = delete;
  DeviceArray& operator=(const DeviceArray&) = delete;

  ~DeviceArray() { cudaFree(memory_); }

  T* get() { return reinterpret_cast<T*>(memory_ + kMargin); }
  const T* get() const { return reinterpret_cast<const T*>(memory_ + kMargin); }
  std::size_t size() const { return count_; }

  void set(const std::vector<T>& values) {
    REGATTA_REQUIRE(values.size() == count_, BugError, values.size(), " values for ", count_, " elements");
    REGATTA_CUDA(cudaMemcpy(get(), values.data(), bytes(), cudaMemcpyHostToDevice));
  }

  void poison() { REGATTA_CUDA(cudaMemset(get(), 0xff, bytes())); }

  std::vector<T> values() const {
    std::vector<T> values(count_);
    REGATTA_CUDA(cudaMemcpy(values.data(), get(), bytes(), cudaMemcpyDeviceToHost));
    return values;
  }

  /// Whether nothing was written beside the array.
  bool margins_hold() const {
    std::vector<unsigned char> margin(2 * kMargin);
    REGATTA_CUDA(cudaMemcpy(margin.data(), memory_, kMargin, cudaMemcpyDeviceToHost));
    REGATTA_CUDA(cudaMemcpy(margin.data() + kMargin, memory_ + kMargin + bytes(), kMargin, cudaMemcpyDeviceToHost));
    for (const unsigned char byte : margin) {
      if (byte != 0xff) {
        return false;
      }
    }
    return true;
  }

 private:
  static constexpr std::size_t kMargin = 1024;

  std::size_t bytes() const { return count_ * sizeof(T); }

  std::size_t count_ = 0;
  unsigned char* memory_ = nullptr;
};

template <class T>
bool same_bits(const std::vector<T>& a, const std::vector<T>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(T)) == 0;
}

}  // namespace regatta::kernels
