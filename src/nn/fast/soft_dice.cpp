#include "nn/fast/soft_dice.hpp"

#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <torch/csrc/autograd/custom_function.h>

#include "regatta/kernels/soft_dice.hpp"
#include "regatta/nn/chip.hpp"

namespace regatta::fast {
namespace {

bool are_labels_of(const at::Tensor& labels, const at::Tensor& flow) {
  return labels.scalar_type() == at::kByte && labels.device() == flow.device();
}

static_assert(kMostLabels == kernels::kMostDiceLabels);

class SoftDiceLoss : public torch::autograd::Function<SoftDiceLoss> {
 public:
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& flow, const at::Tensor& fixed,
                            const at::Tensor& moving, std::int64_t labels, bool squares, bool background) {
    const at::Tensor field = flow.contiguous();
    const at::Tensor one = fixed.contiguous();
    const at::Tensor other = moving.contiguous();
    const kernels::VolumeSize size = volume_size(field);
    const at::Tensor loss = at::empty({}, field.options());
    const at::Tensor slopes =
        at::empty({static_cast<std::int64_t>(kernels::soft_dice_slope_count(size))}, field.options());
    const at::Tensor scratch = scratch_like(field, kernels::soft_dice_scratch_bytes(size));
    context->save_for_backward({field, one, other, slopes});
    context->saved_data["labels"] = labels;
    context->saved_data["squares"] = squares;
    context->saved_data["background"] = background;
    if (const Chip chip = chip_of(field); chip.launches) {
      kernels::soft_dice_forward(work_of(field, one, other, *context), slopes.mutable_data_ptr<float>(),
                                 loss.mutable_data_ptr<float>(), scratch.mutable_data_ptr(), chip.stream);
    }
    return loss;
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& outer) {
    const auto saved = context->get_saved_variables();
    const at::Tensor upstream = outer.front().to(at::kFloat).contiguous();
    const at::Tensor to_flow = at::empty_like(saved[0], at::MemoryFormat::Contiguous);
    if (const Chip chip = chip_of(to_flow); chip.launches) {
      kernels::soft_dice_backward(work_of(saved[0], saved[1], saved[2], *context), saved[3].const_data_ptr<float>(),
                                  upstream.const_data_ptr<float>(), to_flow.mutable_data_ptr<float>(), chip.stream);
    }
    return {to_flow, at::Tensor(), at::Tensor(), at::Tensor(), at::Tensor(), at::Tensor()};
  }

 private:
  static kernels::SoftDice work_of(const at::Tensor& field, const at::Tensor& fixed, const at::Tensor& moving,
                                   torch::autograd::AutogradContext& context) {
    kernels::SoftDice work;
    work.fixed = fixed.const_data_ptr<std::uint8_t>();
    work.moving = moving.const_data_ptr<std::uint8_t>();
    work.flow = field.const_data_ptr<float>();
    work.size = volume_size(field);
    work.labels = static_cast<int>(context.saved_data["labels"].toInt());
    work.background = context.saved_data["background"].toBool();
    work.form = context.saved_data["squares"].toBool() ? kernels::DiceSize::kSquares : kernels::DiceSize::kSums;
    return work;
  }
};

}  // namespace

bool has_soft_dice(const PairState& pair) {
  return has_chip(pair.flow) && pair.flow.scalar_type() == at::kFloat && are_labels_of(pair.fixed_labels, pair.flow) &&
         are_labels_of(pair.moving_labels, pair.flow) && pair.label_count <= kMostLabels;
}

at::Tensor soft_dice(const PairState& pair, bool squares, bool background) {
  return SoftDiceLoss::apply(pair.flow, pair.fixed_labels, pair.moving_labels, pair.label_count, squares, background);
}

}  // namespace regatta::fast
