#include "nn/fast/jacobian.hpp"

#include <algorithm>

#include <ATen/ops/empty.h>

#include "regatta/nn/chip.hpp"

namespace regatta::fast {

bool has_jacobian_sums(const PairState& pair) {
  const at::Tensor& flow = pair.flow;
  const at::Tensor& mask = pair.fixed_mask;
  const bool has_field = flow.defined() && has_chip(flow) && flow.scalar_type() == at::kFloat && flow.dim() == 5 &&
                         flow.size(1) == 3 && std::min({flow.size(2), flow.size(3), flow.size(4)}) >= 2;
  return has_field && (!mask.defined() || (mask.scalar_type() == at::kByte && mask.device() == flow.device() &&
                                           mask.dim() == 5 && mask.size(0) == flow.size(0) && mask.size(1) == 1 &&
                                           mask.sizes().slice(2) == flow.sizes().slice(2)));
}

at::Tensor jacobian_sums(const PairState& pair, const kernels::JacobianLog& log) {
  const at::Tensor flow = pair.flow.contiguous();
  const at::Tensor mask = pair.fixed_mask.defined() ? pair.fixed_mask.contiguous() : at::Tensor();
  const kernels::VolumeSize size = volume_size(flow);
  const at::Tensor sums = at::empty({kernels::kJacobianSums}, flow.options().dtype(at::kDouble));
  const at::Tensor scratch = scratch_like(flow, kernels::jacobian_scratch_bytes(size));
  if (const Chip chip = chip_of(flow); chip.launches) {
    kernels::jacobian_sums(flow.const_data_ptr<float>(), mask.defined() ? mask.const_data_ptr<std::uint8_t>() : nullptr,
                           size, log, sums.mutable_data_ptr<double>(), scratch.mutable_data_ptr(), chip.stream);
  }
  return sums;
}

}  // namespace regatta::fast
