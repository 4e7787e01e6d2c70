// What the GPU does while some work runs, by kernel: for benchmarks.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

namespace regatta {

/// A kernel, copy or fill by its demangled name, without its arguments.
struct KernelTime {
  std::string name;
  std::int64_t calls = 0;
  double ms = 0.0;  ///< of all calls together
};

/// Watches a GPU by LibTorch's profiler (Kineto over CUPTI), replayed graphs included. Kernels that are watched may
/// take some per cent longer. One at a time.
class KernelWatch {
 public:
  /// Waits for the device and begins. On the CPU nothing is watched.
  explicit KernelWatch(const at::Device& device);
  ~KernelWatch();
  KernelWatch(const KernelWatch&) = delete;
  KernelWatch& operator=(const KernelWatch&) = delete;

  /// What the device did since the beginning or the last call, longest first. Waits for it to end, and begins again.
  std::vector<KernelTime> take();

 private:
  void begin();

  at::Device device_;
  bool running_ = false;
};

double total_ms(const std::vector<KernelTime>& kernels);

}  // namespace regatta
