#include "nn/fast/label_counts.hpp"

#include <ATen/ops/empty.h>

#include "regatta/nn/chip.hpp"

namespace regatta::fast {

bool has_label_counts(const PairState& pair, kernels::LabelWarp warp) {
  const at::Tensor& fixed = pair.fixed_labels;
  const at::Tensor& flow = pair.to_moving();
  return has_chip(flow) && flow.scalar_type() == at::kFloat && fixed.device() == flow.device() &&
         pair.moving_labels.device() == flow.device() && fixed.scalar_type() == at::kByte &&
         fixed.sizes() == pair.moving_labels.sizes() && fixed.size(0) == flow.size(0) && fixed.size(1) == 1 &&
         fixed.sizes().slice(2) == flow.sizes().slice(2) &&
         (warp == kernels::LabelWarp::kLargestWeight || pair.reading.edge == LabelEdge::kCentres);
}

at::Tensor label_counts(const PairState& pair, kernels::LabelWarp warp) {
  const at::Tensor fixed = pair.fixed_labels.contiguous();
  const at::Tensor moving = pair.moving_labels.contiguous();
  const at::Tensor flow = pair.to_moving().contiguous();
  const at::Tensor counts = at::empty({kernels::kLabelRows, kernels::kLabelValues}, flow.options().dtype(at::kLong));
  if (const Chip chip = chip_of(flow); chip.launches) {
    kernels::label_counts(fixed.const_data_ptr<std::uint8_t>(), moving.const_data_ptr<std::uint8_t>(),
                          flow.const_data_ptr<float>(), volume_size(flow), warp,
                          counts.mutable_data_ptr<std::int64_t>(), chip.stream);
  }
  return counts;
}

}  // namespace regatta::fast
