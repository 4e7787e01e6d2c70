#include "regatta/nn/chip.hpp"

#include <atomic>

#include <ATen/ops/empty.h>

#include "nn/device/device_memory.hpp"
#include "regatta/base/error.hpp"

namespace regatta::fast {
namespace {

constexpr kernels::Capability kForecastChip = {9, 0, 132, std::size_t{227} << 10};

std::atomic<bool> sm80_forms = false;

thread_local const kernels::Capability* forecast_chip = &kForecastChip;

}  // namespace

bool has_chip(const at::Tensor& tensor) {
  return tensor.is_meta() || (tensor.is_cuda() && kernels::built());
}

Chip chip_of(const at::Tensor& tensor) {
  REGATTA_REQUIRE(has_chip(tensor), BugError, "no CUDA kernels for a tensor on ", tensor.device().str());
  if (tensor.is_meta()) {
    return {*forecast_chip, nullptr, false};
  }
  const int index = tensor.device().index();
  const kernels::Capability real = kernels::capability(index);
  return {sm80_forms ? kernels::as_sm80(real) : real, detail::cuda_stream(index), true};
}

ForecastFor::ForecastFor(const at::Device& device) : before_(forecast_chip) {
  if (device.is_cuda() && kernels::built()) {
    const kernels::Capability real = kernels::capability(device.index());
    chip_ = sm80_forms ? kernels::as_sm80(real) : real;
    forecast_chip = &chip_;
  }
}

ForecastFor::~ForecastFor() {
  forecast_chip = before_;
}

void take_sm80_forms(bool on) {
  sm80_forms = on;
}

kernels::VolumeSize volume_size(const at::Tensor& volume) {
  return {volume.size(0), volume.size(2), volume.size(3), volume.size(4)};
}

at::Tensor scratch_like(const at::Tensor& tensor, std::size_t bytes) {
  return at::empty({static_cast<std::int64_t>(bytes)}, at::device(tensor.device()).dtype(at::kByte));
}

}  // namespace regatta::fast
