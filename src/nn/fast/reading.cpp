#include "nn/fast/reading.hpp"

#include <ATen/ops/empty.h>
#include <ATen/ops/upsample_nearest3d.h>
#include <ATen/ops/upsample_nearest3d_backward.h>

#include "nn/fast/activation.hpp"
#include "regatta/kernels/pack.hpp"
#include "regatta/nn/chip.hpp"

namespace regatta::fast {
namespace {

std::vector<std::int64_t> doubled(const at::Tensor& volume) {
  return {2 * volume.size(2), 2 * volume.size(3), 2 * volume.size(4)};
}

}  // namespace

Reading reading_of(const Feature& feature) {
  if (feature.slope.defined() && !feature.activated.defined()) {
    Reading plain;
    plain.raw = in_layout(feature.value());
    return plain;
  }
  return {in_layout(feature.raw), feature.activated, feature.slope, feature.leaky, feature.upsample};
}

Feature left_to_readers(const std::vector<at::Tensor>& results, const Activation& activation, const at::Tensor& slope) {
  Feature out = results.front();
  out.deferred = true;
  out.leaky = fixed_slope(activation);
  if (results.size() == 2) {
    out.activated = results[1];
    out.slope = slope;
  }
  return out;
}

at::Tensor whole(const Reading& input) {
  return input.upsample ? at::upsample_nearest3d(input.read(), doubled(input.raw)) : input.read();
}

ReadingGradient given_back(at::Tensor gradient, const Reading& input, const at::Tensor& added) {
  if (input.upsample) {
    gradient = at::upsample_nearest3d_backward(gradient, doubled(input.raw), input.raw.sizes());
  }
  return activation_gradient(gradient, added, input);
}

at::Tensor in_layout(const at::Tensor& tensor) {
  return tensor.to(at::kBFloat16, false, false, at::MemoryFormat::ChannelsLast3d)
      .contiguous(at::MemoryFormat::ChannelsLast3d);
}

at::Tensor packed_field(const at::Tensor& gradient) {
  const at::Tensor planar = gradient.to(at::kFloat).contiguous();
  const kernels::VolumeSize size = volume_size(planar);
  const at::Tensor packed = at::empty({size.n, size.d, size.h, size.w, 4}, planar.options().dtype(at::kBFloat16));
  if (const Chip chip = chip_of(planar); chip.launches) {
    kernels::pack_field(planar.const_data_ptr<float>(), size, bf16_(packed), chip.stream);
  }
  return packed;
}

double fixed_slope(const Activation& activation) {
  switch (activation.kind) {
    case Activation::Kind::kRelu: return 0.0;
    case Activation::Kind::kLeaky: return activation.slope;
    case Activation::Kind::kNone:
    case Activation::Kind::kPrelu: break;
  }
  return 1.0;
}

}  // namespace regatta::fast
