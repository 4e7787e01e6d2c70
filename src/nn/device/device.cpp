#include "regatta/nn/device.hpp"

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <map>
#include <optional>

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <torch/version.h>

#include "nn/device/device_memory.hpp"
#include "regatta/base/error.hpp"
#include "regatta/base/host_memory.hpp"

namespace regatta {
namespace {

std::optional<int> gpu_index(const std::string& text) {
  constexpr std::string_view kPrefix = "cuda:";
  if (!text.starts_with(kPrefix)) {
    return std::nullopt;
  }
  int index = -1;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data() + kPrefix.size(), end, index);
  return error == std::errc() && stop == end && index >= 0 ? std::optional(index) : std::nullopt;
}

/// The peak before the newest PeakMeter. Of the one thread that gives work to the device.
std::int64_t& earlier_peak(const c10::Device& device) {
  static std::map<int, std::int64_t> peaks;
  return peaks[device.index()];
}

std::string cudnn_text(long version) {
  const bool new_form = version >= 90000;  // 91900 is 9.19.0; 8907 was 8.9.7
  const long major = new_form ? version / 10000 : version / 1000;
  return str(major, ".", version / 100 % (new_form ? 100 : 10), ".", version % 100);
}

}  // namespace

c10::Device choose_device(const std::string& text) {
  const int have = detail::cuda_device_count();
  if (text == "cpu" || (text == "auto" && have == 0)) {
    return c10::Device(c10::kCPU);
  }
  const std::optional<int> index = text == "auto" ? 0 : gpu_index(text);
  REGATTA_REQUIRE(index.has_value(), ConfigError, "device '", one_line(text, 40), "', allowed: auto, cpu, cuda:N");
  REGATTA_REQUIRE(detail::cuda_is_built(), DeviceError, "device ", text, ": this LibTorch is built without CUDA");
  REGATTA_REQUIRE(*index < have, DeviceError, "device ", text, ": ", have, " GPUs are visible");
  return c10::Device(c10::kCUDA, static_cast<c10::DeviceIndex>(*index));
}

std::string device_name(const c10::Device& device) {
  return device.is_cuda() ? detail::cuda_device_name(device.index()) : "cpu";
}

std::int64_t peak_device_bytes(const c10::Device& device) {
  return device.is_cuda() ? std::max(earlier_peak(device), detail::cuda_peak_bytes(device.index())) : 0;
}

void reset_peak(const c10::Device& device) {
  if (device.is_cuda()) {
    earlier_peak(device) = 0;
    detail::cuda_reset_peak(device.index());
  }
}

PeakMeter::PeakMeter(const c10::Device& device) : device_(device) {
  if (device.is_cuda()) {
    earlier_peak(device) = peak_device_bytes(device);
    detail::cuda_reset_peak(device.index());
    before_ = detail::cuda_peak_bytes(device.index());
  }
}

std::int64_t PeakMeter::bytes() const {
  return device_.is_cuda() ? detail::cuda_peak_bytes(device_.index()) - before_ : 0;
}

std::int64_t free_device_bytes(const c10::Device& device) {
  return device.is_cuda() ? detail::cuda_free_bytes(device.index()) : free_memory();
}

void release_cached(const c10::Device& device) {
  if (device.is_cuda()) {
    detail::cuda_release_cached();
  }
}

void synchronize(const c10::Device& device) {
  if (device.is_cuda()) {
    detail::cuda_synchronize(device.index());
  }
}

void set_deterministic(bool tf32) {
  at::Context& context = at::globalContext();
  context.setDeterministicCuDNN(true);
  context.setBenchmarkCuDNN(false);
  context.setAllowTF32CuDNN(tf32);
  context.setAllowTF32CuBLAS(false);
}

void set_cpu_threads(int count) {
  REGATTA_REQUIRE(count >= 1, ConfigError, "threads: ", count, ", expected at least 1");
  at::set_num_threads(count);
}

std::string torch_version_text() {
  std::string text = str("LibTorch ", TORCH_VERSION);
  if (detail::cuda_is_built()) {
    text += str(", CUDA ", detail::cuda_runtime_text());
    if (at::detail::getCUDAHooks().compiledWithCuDNN()) {
      text += str(", cuDNN ", cudnn_text(at::detail::getCUDAHooks().versionCuDNN()));
    }
  }
  return text;
}

}  // namespace regatta
