// Where the kernels of the fast backend are launched: the GPU's capability and the stream that LibTorch works on.
#pragma once

#include <ATen/core/Tensor.h>

#include "regatta/kernels/device.hpp"
#include "regatta/kernels/volume_size.hpp"

namespace regatta::fast {

/// Tensors without data are taken for a GPU of capability 9.0 (else see ForecastFor), on which nothing is launched:
/// forecasts of memory see what a training allocates.
struct Chip {
  kernels::Capability capability;
  kernels::Stream stream = nullptr;
  bool launches = true;
};

/// Whether kernels can be asked for a tensor: on a GPU, with kernels built, or without data.
bool has_chip(const at::Tensor& tensor);

/// @throws BugError unless `has_chip`
Chip chip_of(const at::Tensor& tensor);

/// While it lives, tensors without data are taken by its thread for ones on this device, if that is a GPU.
class ForecastFor {
 public:
  explicit ForecastFor(const at::Device& device);
  ~ForecastFor();
  ForecastFor(const ForecastFor&) = delete;
  ForecastFor& operator=(const ForecastFor&) = delete;

 private:
  kernels::Capability chip_;
  const kernels::Capability* before_;
};

/// From here on GPUs are taken for ones of capability 8.0: `regatta bench step --sm 80`. Not while a training runs.
void take_sm80_forms(bool on);

/// Of [N, C, D, H, W].
kernels::VolumeSize volume_size(const at::Tensor& volume);

/// Bytes on the tensor's device, what they hold undefined.
at::Tensor scratch_like(const at::Tensor& tensor, std::size_t bytes);

}  // namespace regatta::fast
