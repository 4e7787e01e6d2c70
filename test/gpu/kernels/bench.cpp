#include "gpu/kernels/bench.hpp"

#include <algorithm>
#include <cstdio>
#include <vector>

namespace regatta::kernels {
namespace {

constexpr std::size_t kFiller = std::size_t{64} << 20;  // float32: 256 MiB
constexpr int kWarmUps = 3;
constexpr int kRepeats = 15;
constexpr double kBytesPerMs = 4.3e9;
constexpr double kOperationsPerMs = 790e9;

struct Events {
  cudaEvent_t begin{};
  cudaEvent_t end{};

  Events() {
    REGATTA_CUDA(cudaEventCreate(&begin));
    REGATTA_CUDA(cudaEventCreate(&end));
  }

  Events(const Events&) = delete;
  Events& operator=(const Events&) = delete;

  ~Events() {
    cudaEventDestroy(begin);
    cudaEventDestroy(end);
  }
};

}  // namespace

Bench::Bench(int device) : chip_(capability(device)), filler_(2 * kFiller) {}

/// Copying within the filler reads and writes 256 MiB each: nothing of the measured arrays stays.
void Bench::empty_cache() {
  REGATTA_CUDA(cudaMemcpyAsync(filler_.get(), filler_.get() + kFiller, kFiller * sizeof(float),
                               cudaMemcpyDeviceToDevice, nullptr));
}

double Bench::time(const BenchRow& row, const std::function<void(Stream)>& queue) {
  for (int i = 0; i < kWarmUps; ++i) {
    queue(nullptr);
  }
  wait_for_gpu();
  std::vector<Events> events(kRepeats);
  for (Events& pair : events) {
    empty_cache();
    REGATTA_CUDA(cudaEventRecord(pair.begin, nullptr));
    queue(nullptr);
    REGATTA_CUDA(cudaEventRecord(pair.end, nullptr));
  }
  wait_for_gpu();
  std::vector<float> times;
  for (const Events& pair : events) {
    float ms = 0.0F;
    REGATTA_CUDA(cudaEventElapsedTime(&ms, pair.begin, pair.end));
    times.push_back(ms);
  }
  std::sort(times.begin(), times.end());
  const double ms = times[times.size() / 2];
  const double floor = std::max(row.bytes / kBytesPerMs, row.operations / kOperationsPerMs);
  std::printf(
      "{\"name\": \"%s\", \"size\": \"%s\", \"form\": \"%s\", \"ms\": %.4f, \"floor_ms\": %.4f, "
      "\"percent\": %.0f, \"gb_s\": %.0f, \"tflop_s\": %.1f, \"error\": %.2e}\n",
      row.name.c_str(), row.size.c_str(), row.form.c_str(), ms, floor, 100.0 * floor / ms, row.bytes / ms * 1e-6,
      row.operations / ms * 1e-9, row.error);
  std::fflush(stdout);
  return ms;
}

}  // namespace regatta::kernels
