#include "nn/layers/sampling.hpp"

#include <ATen/Context.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/randn.h>

#include "nn/fast/draw.hpp"
#include "regatta/base/random.hpp"
#include "regatta/nn/batch_part.hpp"

namespace regatta {

at::Tensor normal_like(const at::Tensor& tensor, const TrainingDraw& draw, std::uint32_t stream) {
  if (tensor.is_meta()) {
    return at::empty_like(tensor, at::MemoryFormat::Contiguous);
  }
  if (fast::draws_on_device(draw)) {
    return fast::normal_like(tensor, draw, stream).to(tensor.scalar_type());
  }
  at::Generator generator = at::globalContext().defaultGenerator(tensor.device()).clone();
  const CounterRng rng(draw.seed, RandomPurpose::kSampling);
  generator.set_current_seed(rng.bits(static_cast<std::uint64_t>(draw.step), stream));
  const BatchPart part = part_of_batch(tensor.size(0));
  std::vector<std::int64_t> sizes = tensor.sizes().vec();
  sizes.front() = part.samples;  // one sequence for the whole batch
  return at::randn(sizes, generator, tensor.options().memory_format(at::MemoryFormat::Contiguous))
      .narrow(0, part.first, tensor.size(0));
}

}  // namespace regatta
