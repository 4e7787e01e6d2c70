#include "nn/fast/image_losses.hpp"

#include <optional>

#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <torch/csrc/autograd/custom_function.h>

#include "nn/known_gradient.hpp"
#include "regatta/kernels/image_difference.hpp"
#include "regatta/nn/chip.hpp"

namespace regatta::fast {
namespace {

bool are_plain(const at::Tensor& fixed, const at::Tensor& warped) {
  return has_chip(fixed) && has_chip(warped) && fixed.scalar_type() == at::kFloat &&
         warped.scalar_type() == at::kFloat && warped.numel() > 0;
}

/// A derivative that may be missing. @return like `image`, or undefined
at::Tensor derivative_for(const at::Tensor& image, bool wanted) {
  return wanted ? at::empty_like(image, at::MemoryFormat::Contiguous) : at::Tensor();
}

float* floats_of(const at::Tensor& derivative) {
  return derivative.defined() ? derivative.mutable_data_ptr<float>() : nullptr;
}

class Difference : public torch::autograd::Function<Difference> {
 public:
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& fixed,
                            const at::Tensor& warped, const std::optional<at::Tensor>& mask, bool squared,
                            bool fixed_asks, bool warped_asks) {
    const at::Tensor one = fixed.contiguous();
    const at::Tensor other = warped.contiguous();
    const at::Tensor inside = mask ? mask->contiguous() : at::Tensor();
    const at::Tensor loss = at::empty({}, other.options());
    const at::Tensor share = at::empty({}, other.options());
    const at::Tensor scratch = scratch_like(other, kernels::image_difference_scratch_bytes(volume_size(other)));
    context->save_for_backward({one, other, inside, share});
    context->saved_data["squared"] = squared;
    context->saved_data["fixed_asks"] = fixed_asks;
    context->saved_data["warped_asks"] = warped_asks;
    if (const Chip chip = chip_of(other); chip.launches) {
      kernels::image_difference_forward(work_of(one, other, inside, squared), share.mutable_data_ptr<float>(),
                                        loss.mutable_data_ptr<float>(), scratch.mutable_data_ptr(), chip.stream);
    }
    return loss;
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& outer) {
    const auto saved = context->get_saved_variables();
    const at::Tensor upstream = outer.front().to(at::kFloat).contiguous();
    const at::Tensor to_fixed = derivative_for(saved[0], context->saved_data["fixed_asks"].toBool());
    const at::Tensor to_warped = derivative_for(saved[1], context->saved_data["warped_asks"].toBool());
    if (const Chip chip = chip_of(saved[1]); chip.launches) {
      kernels::image_difference_backward(work_of(saved[0], saved[1], saved[2], context->saved_data["squared"].toBool()),
                                         saved[3].const_data_ptr<float>(), upstream.const_data_ptr<float>(),
                                         floats_of(to_fixed), floats_of(to_warped), chip.stream);
    }
    return {to_fixed, to_warped, at::Tensor(), at::Tensor(), at::Tensor(), at::Tensor()};
  }

 private:
  static kernels::ImageDifference work_of(const at::Tensor& fixed, const at::Tensor& warped, const at::Tensor& mask,
                                          bool squared) {
    kernels::ImageDifference work = {fixed.const_data_ptr<float>(), warped.const_data_ptr<float>(),
                                     volume_size(warped)};
    work.penalty = squared ? kernels::Penalty::kSquared : kernels::Penalty::kAbsolute;
    work.mask = mask.defined() ? mask.const_data_ptr<std::uint8_t>() : nullptr;
    return work;
  }
};

}  // namespace

bool has_image_difference(const at::Tensor& fixed, const at::Tensor& warped, const at::Tensor& mask) {
  return are_plain(fixed, warped) &&
         (!mask.defined() || (mask.scalar_type() == at::kByte && mask.device() == warped.device()));
}

at::Tensor image_difference(const at::Tensor& fixed, const at::Tensor& warped, const at::Tensor& mask, bool squared) {
  const auto inside = mask.defined() ? std::optional<at::Tensor>(mask) : std::nullopt;
  return Difference::apply(fixed, warped, inside, squared, needs_gradient(fixed), needs_gradient(warped));
}

}  // namespace regatta::fast
