#include "nn/fast/draw.hpp"

#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>

#include "regatta/base/random.hpp"
#include "regatta/kernels/draw.hpp"
#include "regatta/nn/batch_part.hpp"
#include "regatta/nn/chip.hpp"

namespace regatta::fast {

bool draws_on_device(const TrainingDraw& draw) {
  return draw.step_on_device.defined();
}

at::Tensor dropout_uniform(const TrainingDraw& draw, std::uint32_t first, std::int64_t count) {
  const at::Tensor out = at::empty({count}, draw.step_on_device.options());
  kernels::draw_uniform({draw.seed, RandomPurpose::kDropout, 0, first}, draw.step_on_device.const_data_ptr<double>(),
                        out.mutable_data_ptr<double>(), count, chip_of(out).stream);
  return out;
}

at::Tensor normal_like(const at::Tensor& tensor, const TrainingDraw& draw, std::uint32_t stream) {
  const at::Tensor out = at::empty_like(tensor, tensor.options().dtype(at::kFloat), at::MemoryFormat::Contiguous);
  const std::int64_t first = part_of_batch(out.size(0)).first * (out.numel() / out.size(0));
  kernels::draw_normal(
      {draw.seed, RandomPurpose::kSampling, static_cast<std::uint16_t>(stream), static_cast<std::uint32_t>(first)},
      draw.step_on_device.const_data_ptr<double>(), out.mutable_data_ptr<float>(), out.numel(), chip_of(out).stream);
  return out;
}

}  // namespace regatta::fast
